"""Job files: defaults, and every fault told at once."""

from pathlib import Path

import pytest

from protos.errors import InvalidInput
from protos.jobs import MAX_JOB_BYTES, job_from_json, job_to_json, load_job

GOOD = """
name = "solar-cells"
method = "feddymem"
seed = 7

[rounds]
count = 3
sites = ["plant-a", "plant-b"]
quorum = 1

[feddymem.features]
image_size = 448
"""

BAD = """
name = "Solar Cells"
method = "feddymem"
sead = 7

[rounds]
count = 0
sites = ["plant-a", "Plant B"]
quoram = 1

[feddymem.features]
image_size = 20
backbone = "vgg"

[feddymem.memory]
raws = 3
"""


def _job(folder: Path, text: str | bytes) -> Path:
    path = folder / "job.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_job_holds_what_the_file_says_and_all_defaults(tmp_path: Path) -> None:
    spec = load_job(_job(tmp_path, GOOD))
    assert (spec.name, spec.seed, spec.rounds.count, spec.rounds.quorum) == ("solar-cells", 7, 3, 1)
    assert spec.the_settings.features.image_size == 448
    assert spec.settings["memory"]["upload_rows"] > 0


def test_job_survives_the_wire(tmp_path: Path) -> None:
    spec = load_job(_job(tmp_path, GOOD))
    assert job_from_json(job_to_json(spec)) == spec
    assert job_from_json(job_to_json(spec)).the_settings == spec.the_settings


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_job(_job(tmp_path, BAD))
    told = str(caught.value)
    expected = (
        "name: ",
        "sead: unknown key",
        "rounds.count: ",
        "rounds.sites: ",
        "rounds.quoram: unknown key",
        "feddymem.features.image_size: ",
        "feddymem.features.backbone: ",
        "feddymem.memory.raws: unknown key",
    )
    assert [fault for fault in expected if fault not in told] == []
    assert "8 faults" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "method: 'missing' is not installed"),
        ("name = 'x'\nmethod = 'magic'\n[magic]\na = 1", "magic' is not installed; there is fedavg, feddymem"),
        ("name = ", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        ("x = " + "[" * 5000, "not valid TOML"),
        ("name = 'x'\nmethod = 'feddymem'\n[rounds]\nsites = ['a']\nquorum = 2", "quorum of 2 cannot be reached"),
        ("name = 'x'\nmethod = 'feddymem'\n[rounds]\nsites = ['a', 'a']", "named twice"),
        ("name = 'x'\nmethod = 'feddymem'\n[settings]\na = 1", "write the table [feddymem]"),
        ("name = 'x'\nmethod = 'feddymem'\nfeddymem = 3", "feddymem: "),
        ("# " + "x" * MAX_JOB_BYTES, "at most"),
        (
            "name = 'x'\nmethod = 'fedavg'\n[rounds]\nquorum = 8\n[fedavg.aggregation]\nrule = 'krum'\nassumed_bad = 3",
            "rounds.quorum: 8 updates are too few for the aggregation of [fedavg]; as it is set, it needs 9",
        ),
        (
            "name = 'x'\nmethod = 'fedavg'\n[fedavg.aggregation]\nrule = 'krum'",
            "fedavg.aggregation: Value error, krum needs assumed_bad",
        ),
    ],
    ids=range(12),
)
def test_faulty_file_gets_a_clear_line(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_job(_job(tmp_path, text))
    assert told in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.toml cannot be read: No such file"):
        load_job(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x", "method": "magic"}', "{" * 60_000])
def test_job_from_a_hostile_peer_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        job_from_json(text)


def test_number_of_too_many_digits_is_told(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(f"seed = {'9' * 5000}")
    with pytest.raises(InvalidInput, match="is not valid TOML"):
        load_job(tmp_path / "job.toml")


def test_name_that_sites_use_themselves_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"name: .*choose another name"):
        job_from_json('{"name": "current", "method": "fedavg"}')
