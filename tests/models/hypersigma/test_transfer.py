"""What goes from the checkpoints into a task's network: exactly what pre-training trained and what fits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from models.hypersigma.checkpoint import Checkpoint, read_checkpoint
from models.hypersigma.networks import Plan, key_shapes, plan
from models.hypersigma.transfer import transfer
from models.method import Unusable
from tests.models.hypersigma.published import publish, tensors


def checkpoints(size: str) -> tuple[Checkpoint, Checkpoint]:
    return Checkpoint("spatial", size, tensors("spatial", size)), Checkpoint(
        "spectral", size, tensors("spectral", size)
    )


def test_blocks_and_norms_are_copied_and_every_other_tensor_has_a_reason() -> None:
    chosen = plan("classification", "base")
    spatial, spectral = checkpoints("base")
    network, record = transfer(chosen, spatial, spectral, seed=0)
    state = network.state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == key_shapes(chosen)
    assert not any(value.is_meta for value in network.state_dict().values())
    copied = {key for key in state if ".blocks." in key and "sampling_offsets" not in key}
    assert set(record.loaded) == copied | {f"{branch}_encoder.norm.{part}" for branch in ("spat", "spec")
                                           for part in ("weight", "bias")}  # fmt: skip
    for key in record.loaded:
        source = spatial if key.startswith("spat") else spectral
        assert torch.equal(state[key], source.tensors[key.partition(".")[2]])
    assert set(record.loaded) | record.initialised.keys() == state.keys()
    assert not set(record.loaded) & record.initialised.keys()
    assert all(record.initialised.values()) and all(record.left.values())


def test_each_reason_stands_where_it_is_true() -> None:
    _, record = transfer(plan("classification", "base"), *checkpoints("base"), seed=0)
    assert (
        "(768, 100, 8, 8) in the file and (768, 30, 2, 2) here"
        in record.initialised["spat_encoder.patch_embed.proj.bias"]
    )
    assert "never" not in record.initialised["spec_encoder.spat_map.weight"]
    for key in ("spat_encoder.pos_embed", "spec_encoder.pos_embed", "spat_encoder.fpn1.0.weight"):
        assert "random start" in record.initialised[key]
    assert "attends to all tokens" in record.initialised["spat_encoder.blocks.0.attn.sampling_offsets.bias"]
    assert "no computation uses it" in record.initialised["spec_encoder.conv_q.0.weight"]
    assert "the task's own" in record.initialised["classifier.0.weight"]
    assert "decoder" in record.left["spec_encoder.mask_token"]


def test_embeddings_are_copied_with_their_bias_where_their_shape_allows() -> None:
    chosen = plan("classification", "base", bands=100, image=64, patch=8)
    _, record = transfer(chosen, *checkpoints("base"), seed=0)
    fitting = {f"{name}.{part}" for name in ("spat_encoder.patch_embed.proj", "spec_encoder.spat_map")
               for part in ("weight", "bias")}  # fmt: skip
    assert fitting <= set(record.loaded)
    assert len(record.loaded) == 2 * 146 + 4


# The notes on the official code count, for base and each branch: tensors of one name and shape in both, of one name
# and two shapes, in the checkpoint alone, and in the task's network alone.
COUNTS = {
    "classification": ((149, 2, 104, 30), (148, 1, 104, 41)),
    "segmentation": ((147, 2, 106, 22), (148, 1, 104, 23)),
    "anomaly": ((145, 2, 108, 20), (148, 1, 104, 23)),
    "target": ((145, 2, 108, 20), (148, 1, 104, 23)),
    "change": ((147, 1, 107, 16), (147, 1, 105, 20)),
    "unmixing": ((147, 1, 107, 16), (148, 0, 105, 20)),
    "denoising": ((147, 2, 106, 85), (149, 0, 104, 27)),
    "super-resolution": ((147, 1, 107, 84), (147, 1, 105, 27)),
    "multispectral-change": ((150, 0, 105, 16), (147, 1, 105, 20)),
}


@pytest.mark.parametrize("task", COUNTS)
def test_networks_and_checkpoints_share_as_many_tensors_as_the_official_ones(task: str) -> None:
    network = key_shapes(plan(task, "base"))
    for prefix, branch, expected in zip(("spat_encoder.", "spec_encoder."), ("spatial", "spectral"), COUNTS[task],
                                        strict=True):  # fmt: skip
        own = {key.removeprefix(prefix): shape for key, shape in network.items() if key.startswith(prefix)}
        file = key_shapes(plan(branch, "base"))
        kinds = Counter(
            "one" if own.get(key) == file.get(key) else "two" if key in own and key in file else key in own
            for key in own.keys() | file.keys()
        )
        assert (kinds["one"], kinds["two"], kinds[False], kinds[True]) == expected


@pytest.mark.parametrize("task", COUNTS)
def test_every_task_takes_all_blocks_of_its_checkpoints(task: str) -> None:
    network, record = transfer(plan(task, "base"), *checkpoints("base"), seed=0)
    assert sum(".blocks." in key for key in record.loaded) == 288
    assert not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))


@pytest.mark.parametrize("size", ["large", "huge"])
def test_the_larger_published_files_go_into_their_classifiers(tmp_path: Path, size: str) -> None:
    spatial, spectral = (read_checkpoint(publish(tmp_path, branch, size), branch) for branch in ("spatial", "spectral"))
    network, record = transfer(plan("classification", size), spatial, spectral, seed=0)
    assert len(record.loaded) == 2 * (12 * (24 if size == "large" else 32) + 2)
    assert not any(parameter.is_meta for parameter in network.parameters())


def test_checkpoints_of_two_sizes_are_refused_by_name() -> None:
    spatial, _ = checkpoints("base")
    _, spectral = checkpoints("large")
    with pytest.raises(Unusable, match="spatial checkpoint is of size base, the spectral one of size large"):
        transfer(plan("anomaly", "base"), spatial, spectral, seed=0)


def test_a_damaged_tensor_is_named() -> None:
    spatial, spectral = checkpoints("base")
    damaged = dict(spatial.tensors) | {"blocks.3.norm1.bias": torch.full((768,), torch.nan)}
    chosen: Plan = plan("anomaly", "base")
    with pytest.raises(Unusable, match=r"spat_encoder\.blocks\.3\.norm1\.bias of the checkpoint holds NaN"):
        transfer(chosen, Checkpoint("spatial", "base", damaged), spectral, seed=0)
