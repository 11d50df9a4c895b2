"""Published checkpoints are read as they are; other files are refused with what is wrong, and nothing in them runs."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from models.hypersigma.checkpoint import Branch, read_checkpoint
from models.method import Unusable
from tests.models.hypersigma.published import publish, tensors, write


@pytest.mark.parametrize("branch", ["spatial", "spectral"])
@pytest.mark.parametrize("size", ["base", "large", "huge"])
def test_each_of_the_six_published_files_is_read(tmp_path: Path, branch: Branch, size: str) -> None:
    found = read_checkpoint(publish(tmp_path, branch, size), branch)
    assert (found.branch, found.size) == (branch, size)
    expected = tensors(branch, size)
    assert found.tensors.keys() == expected.keys()
    for key, value in found.tensors.items():
        assert value.shape == expected[key].shape
        assert value.flatten()[0] == expected[key].flatten()[0]


@pytest.mark.parametrize("left_out", [("fpn1.0.weight", "fpn1.0.bias"), ()])
def test_the_pyramids_untrained_convolution_may_be_left_out(tmp_path: Path, left_out: tuple[str, ...]) -> None:
    table = {key: value for key, value in tensors("spatial", "base").items() if key not in left_out}
    assert read_checkpoint(write(tmp_path / "spat.pth", table), "spatial").tensors.keys() == table.keys()


def test_names_of_a_parallel_module_are_read_too(tmp_path: Path) -> None:
    table = OrderedDict((f"module.{key}", value) for key, value in tensors("spectral", "base").items())
    assert "spat_map.weight" in read_checkpoint(write(tmp_path / "spec.pth", table), "spectral").tensors


def test_the_other_branch_is_named_when_the_files_are_swapped(tmp_path: Path) -> None:
    path = publish(tmp_path, "spectral", "large")
    with pytest.raises(Unusable, match=r"holds the spectral branch of HyperSIGMA, large; the spatial one"):
        read_checkpoint(path, "spatial")


def test_a_foreign_vit_is_refused_with_the_first_ten_tensors_that_differ(tmp_path: Path) -> None:
    table = {"cls_token": torch.zeros(1, 1, 768), "pos_embed": torch.zeros(1, 197, 768)}
    table |= {"patch_embed.proj.weight": torch.zeros(768, 3, 16, 16), "head.weight": torch.zeros(10, 768)}
    table |= {f"blocks.{index}.ls1.gamma": torch.zeros(768) for index in range(12)}
    path = tmp_path / "vit.pth"
    torch.save(table, path)
    with pytest.raises(Unusable, match="no published HyperSIGMA checkpoint") as caught:
        read_checkpoint(path, "spatial")
    lines = str(caught.value).splitlines()
    # Of the 255, all but the optional pair are missing or of another shape; 14 are foreign.
    assert "size base: 267, first" in lines[0]
    assert len(lines) == 11
    kinds = [line.split()[0] for line in lines[1:]]
    assert kinds == ["missing:"] * 4 + ["foreign:"] + ["missing:"] * 5
    assert lines[1] == "  missing: blocks.0.attn.proj.bias (768,)"
    assert lines[5] == "  foreign: blocks.0.ls1.gamma (768,)"


def test_one_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    table = tensors("spectral", "huge") | {"blocks.31.mlp.fc1.weight": torch.zeros(1).expand(5120, 1279)}
    with pytest.raises(Unusable) as caught:
        read_checkpoint(write(tmp_path / "spec.pth", table), "spectral")
    assert "size huge: 1, first" in str(caught.value)
    assert "shape: blocks.31.mlp.fc1.weight (5120, 1279), published (5120, 1280)" in str(caught.value)


def test_a_task_network_is_no_pretraining_checkpoint(tmp_path: Path) -> None:
    table = tensors("spatial", "base") | {"blocks.0.attn.sampling_offsets.bias": torch.zeros(192)}
    with pytest.raises(Unusable, match=r"foreign: blocks\.0\.attn\.sampling_offsets\.bias \(192,\)"):
        read_checkpoint(write(tmp_path / "spat.pth", table), "spatial")


class Hostile:
    """Runs a command where it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("place", ["in the model", "beside the model", "a bare pickle"])
def test_nothing_in_a_hostile_file_runs(tmp_path: Path, place: str) -> None:
    witness, path = tmp_path / "witness", tmp_path / "spat.pth"
    if place == "a bare pickle":
        path.write_bytes(pickle.dumps(Hostile(witness)))
    elif place == "in the model":
        write(path, tensors("spatial", "base") | {"norm.bias": Hostile(witness)})
    else:
        torch.save({"model": tensors("spatial", "base"), "args": Hostile(witness)}, path)
    with pytest.raises(Unusable, match="cannot be read as a checkpoint"):
        read_checkpoint(path, "spatial")
    assert not witness.exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 5_000, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = publish(tmp_path, "spatial", "base")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole) if isinstance(kept, float) else kept)])
    with pytest.raises(Unusable, match=r"spat-vit-base.*cannot be read as a checkpoint: ."):
        read_checkpoint(path, "spatial")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({}, "no table of tensors"),
        ([torch.zeros(3)], "no table of tensors"),
        ({"norm.bias": "a text"}, "'norm.bias' among its tensors"),
        ({3: torch.zeros(3)}, "'3' among its tensors"),
        ({"norm.bias": torch.zeros(768, dtype=torch.int64)}, "norm.bias as torch.int64"),
        ({"norm.bias": torch.zeros(768).to_sparse()}, "weights are dense floats"),
        ({"norm.bias": torch.zeros(768)}, "size base: 252, first"),
    ],
)
def test_a_table_of_other_things_is_refused(tmp_path: Path, model: Any, message: str) -> None:
    with pytest.raises(Unusable, match=message):
        read_checkpoint(write(tmp_path / "spat.pth", model), "spatial")


def test_the_format_is_no_reason_to_take_other_weights(tmp_path: Path) -> None:
    save_file({"norm.bias": torch.zeros(768)}, tmp_path / "weights.safetensors")
    with pytest.raises(Unusable):
        read_checkpoint(tmp_path / "weights.safetensors", "spectral")


def test_a_file_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    for name in ("image.png", "absent.pth", "."):
        with pytest.raises(Unusable, match="cannot be read as a checkpoint"):
            read_checkpoint(tmp_path / name, "spectral")
