"""From the files of a job or a bundle to what the graph takes besides images, checked to the last number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from edge_client.compiled.runner import Bank
from models.memory import from_arrays
from models.scoring import cell_scales
from protos.errors import InvalidInput

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def read_bank(memory: bytes, generator: bytes | None, *, cell_scale: bool) -> Bank:
    """The bank of a bundle.

    Args:
        memory: `memory_bank.safetensors`.
        generator: `generator.safetensors`, or None where the site has none.
        cell_scale: of the job.

    Raises:
        InvalidInput: a file is no safetensors file, or its tensors are not a bank or a generator of the bank's width.
    """
    try:
        rows = from_arrays(load_tensors(memory, "memory_bank.safetensors")).rows
    except ValueError as error:
        raise InvalidInput(f"memory_bank.safetensors is not a memory bank: {error}") from error
    scales = cell_scales(rows) if cell_scale else np.ones(len(rows), np.float32)
    return Bank(rows, scales, None if generator is None else _generator(generator, rows.shape[1]))


def generator_file(local: Mapping[str, NDArray[np.generic]]) -> bytes | None:
    """`generator.safetensors` from what `install` left at the site; None where the site has no generator."""
    if "generator.weight" not in local:
        return None
    return save({name: np.asarray(local[f"generator.{name}"], np.float32, order="C") for name in ("bias", "weight")})


def _generator(data: bytes, width: int) -> Pair:
    tensors = load_tensors(data, "generator.safetensors")
    shapes = {name: (tensor.shape, str(tensor.dtype)) for name, tensor in tensors.items()}
    if shapes != {"weight": ((width, width), "float32"), "bias": ((width,), "float32")}:
        raise InvalidInput(f"generator.safetensors is not a generator of the memory's {width} features")
    weight, bias = (tensors[name].astype(np.float32) for name in ("weight", "bias"))
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise InvalidInput("generator.safetensors holds NaN or infinity")
    return weight, bias


def load_tensors(data: bytes, name: str) -> dict[str, NDArray[np.generic]]:
    """The tensors of a file of a bundle. Raises `InvalidInput` where it is no safetensors file."""
    try:
        tensors: dict[str, NDArray[np.generic]] = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:  # the last two for types that numpy lacks
        raise InvalidInput(f"{name} is not a readable safetensors file: {error}") from error
    return tensors
