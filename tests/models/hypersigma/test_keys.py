"""Names and shapes of every official network, without memory for weights."""

from __future__ import annotations

import ast
from math import prod
from pathlib import Path

import pytest

from models.hypersigma.networks import TASKS, key_shapes, outline, plan

LISTS = {
    **{f"keys_spat_{size}": ("spatial", size) for size in ("base", "large", "huge")},
    **{f"keys_spec_{size}": ("spectral", size) for size in ("base", "large", "huge")},
    **{f"keys_ft_cls_{size}": ("classification", size) for size in ("base", "large", "huge")},
    "keys_ft_seg_base": ("segmentation", "base"),
    "keys_ft_had_base": ("anomaly", "base"),
    "keys_ft_htd_base": ("target", "base"),
    "keys_ft_cd_patch5_base": ("change", "base"),
    "keys_ft_unmix_base": ("unmixing", "base"),
    "keys_ft_denoise_base": ("denoising", "base"),
    "keys_ft_sr_x4_base": ("super-resolution", "base"),
    "keys_ft_mscd_base": ("multispectral-change", "base"),
}


@pytest.mark.parametrize("name", LISTS)
def test_names_and_shapes_are_those_of_the_official_list(papers: Path, name: str) -> None:
    lines = (papers / f"{name}.txt").read_text().splitlines()
    fields = [line.split("\t") for line in lines if not line.startswith("#")]
    expected = {field[0]: ast.literal_eval(field[1]) for field in fields}
    assert key_shapes(plan(*LISTS[name])) == expected


def test_every_official_list_is_compared(papers: Path) -> None:
    assert {file.stem for file in papers.glob("keys_*.txt")} == set(LISTS)


def block(prefix: str, width: int, heads: int | None) -> dict[str, tuple[int, ...]]:
    """The tensors of a block; of a sampling one where its heads are given."""
    layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
    layers |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width), "norm1": (width,), "norm2": (width,)}
    if heads:
        layers["attn.sampling_offsets"] = (heads * 8 * 2, width)
    weights = {f"{prefix}.{name}.weight": shape for name, shape in layers.items()}
    return weights | {f"{prefix}.{name}.bias": shape[:1] for name, shape in layers.items()}


@pytest.mark.parametrize(
    ("size", "width", "depth", "spatial", "spectral"),
    [
        ("base", 768, 12, 121_311_488, 116_046_080),
        ("large", 1024, 24, 342_188_288, 334_507_008),
        ("huge", 1280, 32, 673_703_168, 663_081_728),
    ],
)
def test_pretraining_networks_have_the_published_number_of_tensors_and_elements(
    size: str, width: int, depth: int, spatial: int, spectral: int
) -> None:
    for branch, extra, elements in (("spatial", 15, spatial), ("spectral", 13, spectral)):
        found = key_shapes(plan(branch, size))
        blocks: dict[str, tuple[int, ...]] = {}
        for index in range(depth):
            blocks |= block(f"blocks.{index}", width, None)
        for index in range(8):
            blocks |= block(f"decoder_blocks.{index}", 512, None)
        assert blocks.items() <= found.items()
        assert len(found) == len(blocks) + extra
        assert sum(map(prod, found.values())) == elements


@pytest.mark.parametrize(
    ("size", "depth", "heads", "interval", "millions"),
    [("base", 12, 12, 3, 183.80), ("large", 24, 16, 6, 628.88), ("huge", 32, 16, 8, 1294.45)],
)
def test_the_classifier_samples_in_all_blocks_but_every_nth(
    size: str, depth: int, heads: int, interval: int, millions: float
) -> None:
    found = key_shapes(plan("classification", size))
    width = found["spat_encoder.pos_embed"][-1]
    for branch in ("spat_encoder", "spec_encoder"):
        expected: dict[str, tuple[int, ...]] = {}
        for index in range(depth):
            expected |= block(f"{branch}.blocks.{index}", width, heads if (index + 1) % interval else None)
        assert {key: shape for key, shape in found.items() if key.startswith(f"{branch}.blocks.")} == expected
    assert sum(map(prod, found.values())) / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize("task", TASKS)
def test_the_lean_network_has_some_of_the_official_tensors_and_no_others(task: str) -> None:
    lean = outline(plan(task, "base")).state_dict()
    official = key_shapes(plan(task, "base"))
    assert {key: tuple(value.shape) for key, value in lean.items()}.items() <= official.items()


def test_the_lean_classifier_is_built_without_spectral_blocks_behind_the_output() -> None:
    keys = outline(plan("classification", "base")).state_dict()
    assert "spec_encoder.blocks.3.norm1.weight" in keys
    assert "spec_encoder.blocks.4.norm1.weight" not in keys


def test_another_window_changes_only_what_belongs_to_it() -> None:
    published = key_shapes(plan("classification", "base"))
    other = key_shapes(plan("classification", "base", bands=103, image=21, patch=1, number=10))
    changed = {key for key in published if published[key] != other[key] and "classifier" not in key}
    assert changed == {
        "spat_encoder.patch_embed.proj.weight", "spat_encoder.pos_embed", "spec_encoder.spat_map.weight",
        "spat_encoder.cls.weight", "spat_encoder.cls.bias",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "cooking"}, "no network for cooking; there is spatial"),
        ({"size": "giant"}, "no size giant; there is small, base, large, huge"),
        ({"patch": 64}, "smaller than a patch"),
        ({"bands": 0}, "both must be 1 or more"),
        ({"number": 0}, "classes must be 1 or more"),
        ({"task": "anomaly", "number": 3}, "counts neither classes"),
    ],
)
def test_a_plan_that_fits_nothing_is_refused(options: dict[str, object], message: str) -> None:
    arguments = {"task": "classification", "size": "base", **options}
    with pytest.raises(ValueError, match=message):
        plan(**arguments)  # type: ignore[arg-type]
