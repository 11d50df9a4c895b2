"""The published checkpoints: read without running anything that lies in them, and compared tensor by tensor."""

from __future__ import annotations

import zipfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from models.hypersigma.networks import key_shapes, plan
from models.hypersigma.sizes import SIZES
from models.method import Unusable

Branch = Literal["spatial", "spectral"]

OPTIONAL = ("fpn1.0.weight", "fpn1.0.bias")
"""Stored in the spatial files at their random start; they were not trained."""

_FEW = 10


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint.

    Attributes:
        branch: which transformer.
        size: a key of `SIZES`.
        tensors: by their official names, read from the file when they are looked at.
    """

    branch: Branch
    size: str
    tensors: Mapping[str, Tensor]


def read_checkpoint(path: Path, branch: Branch) -> Checkpoint:
    """Reads a published pre-training checkpoint of one branch, of whichever size.

    Raises:
        Unusable: the file cannot be read, holds anything but plain data and tensors, or not exactly the tensors of a
            published checkpoint; the message names the first ten that differ.
    """
    tensors = _tensors(path, _content(path))
    size = _size(tensors)
    other: Branch = "spectral" if branch == "spatial" else "spatial"
    if not _differences(tensors, other, size):
        raise Unusable(f"{path} holds the {other} branch of HyperSIGMA, {size}; the {branch} one is asked for here")
    if differences := _differences(tensors, branch, size):
        lines = "\n  ".join(differences[:_FEW])
        raise Unusable(
            f"{path} is no published HyperSIGMA checkpoint of the {branch} branch; tensors that are not as in the one "
            f"of size {size}: {len(differences)}, first\n  {lines}"
        )
    return Checkpoint(branch, size, tensors)


def _content(path: Path) -> Any:
    """What the file holds. Besides tensors and plain values only the training script's options may be in it."""
    try:
        # Two thirds of a published file are the optimiser's: mapped, they are never read. Other formats cannot be.
        mapped = zipfile.is_zipfile(path)
        with torch.serialization.safe_globals([Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # hostile bytes can raise anything
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise Unusable(f"{path} cannot be read as a checkpoint: {reason}") from error


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    table = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(table, dict) or not table:
        raise Unusable(f"{path} holds no table of tensors under the name model")
    for key, value in table.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise Unusable(f"{path} holds {str(key)[:80]!r} among its tensors, which is none")
        if value.layout != torch.strided or not value.dtype.is_floating_point or value.is_meta:
            raise Unusable(f"{path} holds {key[:80]} as {value.dtype}, {value.layout}; weights are dense floats")
    return {key.removeprefix("module."): value for key, value in table.items()}


def _size(tensors: Mapping[str, Tensor]) -> str:
    """The published size with the width of these tensors; Base where there is none."""
    for key in ("pos_embed", "blocks.0.norm1.weight"):
        if key in tensors and tensors[key].ndim:
            for name in ("base", "large", "huge"):
                if SIZES[name].width == tensors[key].shape[-1]:
                    return name
    return "base"


def _differences(tensors: Mapping[str, Tensor], branch: Branch, size: str) -> list[str]:
    """One line for each tensor that is not as in the published file, sorted by its name."""
    expected = key_shapes(plan(branch, size))
    lines = []
    for key in sorted(expected.keys() | tensors.keys()):
        shape = tuple(tensors[key].shape) if key in tensors else None
        if key not in expected:
            lines.append(f"foreign: {key[:80]} {shape}")
        elif shape is None and key not in OPTIONAL:
            lines.append(f"missing: {key} {expected[key]}")
        elif shape is not None and shape != expected[key]:
            lines.append(f"shape: {key} {shape}, published {expected[key]}")
    return lines
