from pathlib import Path

import pytest

from edge_client.config import NO_DATA, Data, data_at, load_site_config, site_toml
from protos.artifacts import MEMORY_BANK, WEIGHTS
from protos.errors import InvalidInput


def write(folder: Path, text: str) -> Path:
    (folder / "site.toml").write_text(text)
    return folder


def test_site_toml_reads_back_when_it_is_new(tmp_path: Path) -> None:
    config = load_site_config(write(tmp_path, site_toml(NO_DATA)))
    assert config.data.images is None
    assert config.backbones == {}
    assert config.egress.allow == ("memory-bank",)


@pytest.mark.parametrize("name", ["plain", 'with "quotes"', "with\\backslash", "ümläut"])
def test_site_toml_keeps_the_images_folder_when_its_name_is_odd(tmp_path: Path, name: str) -> None:
    assert load_site_config(write(tmp_path, site_toml(Data(images=tmp_path / name)))).data.images == tmp_path / name


def test_a_cube_is_named_with_its_labels_and_lets_weights_leave(tmp_path: Path) -> None:
    (tmp_path / "scene.npz").touch()
    config = load_site_config(write(tmp_path, site_toml(data_at(tmp_path / "scene.npz", tmp_path / "labels.tif"))))
    assert (config.data.cube, config.data.labels) == (tmp_path / "scene.npz", tmp_path / "labels.tif")
    assert config.data.images is None and config.egress.allow == ("weights",)


def test_labels_without_a_cube_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name the cube's file with --data"):
        data_at(tmp_path, tmp_path / "labels.tif")


def test_every_fault_is_told_when_there_are_several(tmp_path: Path) -> None:
    text = """
        [data]
        image = "x"
        [backbones.resnet]
        weights = "w.pt"
        sha256 = "abc"
        [egress]
        allow = ["images"]
    """
    with pytest.raises(InvalidInput, match="has 4 faults") as caught:
        load_site_config(write(tmp_path, text))
    for where in ("data.image: unknown key", "backbones.resnet.sha256", "egress.allow.0", "egress.max_bytes"):
        assert where in str(caught.value)


def test_egress_must_be_written_when_nothing_may_leave(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="egress: Field required"):
        load_site_config(write(tmp_path, ""))


@pytest.mark.parametrize(("text", "what"), [(b"[data", "not valid TOML"), (b"\xff", "not valid TOML")])
def test_a_broken_file_is_told_when_it_is_read(tmp_path: Path, text: bytes, what: str) -> None:
    (tmp_path / "site.toml").write_bytes(text)
    with pytest.raises(InvalidInput, match=what):
        load_site_config(tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"site\.toml cannot be read: No such file"):
        load_site_config(tmp_path)


def test_relative_paths_start_at_the_site_folder(tmp_path: Path) -> None:
    text = f"""
        [data]
        images = "images"
        [backbones.resnet]
        weights = "w.pt"
        sha256 = "{"a" * 64}"
        [egress]
        allow = []
        max_bytes = 1
    """
    config = load_site_config(write(tmp_path, text))
    assert config.data.images == tmp_path / "images"
    assert config.backbones["resnet"].weights == tmp_path / "w.pt"


def test_egress_refuses_what_the_contract_does_not_name(tmp_path: Path) -> None:
    egress = load_site_config(write(tmp_path, '[egress]\nallow = ["memory-bank"]\nmax_bytes = 100')).egress
    assert egress.refusal(MEMORY_BANK, 100) is None
    assert "at most 100 bytes" in str(egress.refusal(MEMORY_BANK, 101))
    assert "allows memory-bank to leave" in str(egress.refusal(WEIGHTS, 1))


def test_egress_refuses_everything_when_nothing_is_allowed(tmp_path: Path) -> None:
    egress = load_site_config(write(tmp_path, "[egress]\nallow = []\nmax_bytes = 1")).egress
    assert "allows nothing to leave" in str(egress.refusal(MEMORY_BANK, 1))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"max_bytes = {'9' * 5000}", "is not valid TOML"),
        ("x = " + "[" * 30_000, "is not valid TOML"),
        ("# " + "x" * (64 << 10), "at most 65536 bytes are read"),
    ],
    ids=["a number of 5,000 digits", "deep", "large"],
)
def test_a_hostile_file_is_named(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault):
        load_site_config(write(tmp_path, text))
