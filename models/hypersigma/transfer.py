"""From the two published checkpoints to a task's network: what is copied, what is drawn, and why."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.hypersigma.checkpoint import Checkpoint
from models.hypersigma.initialise import initialise
from models.hypersigma.networks import Plan, outline
from models.method import Unusable

_HEAD = "the task's own, in no pre-training file"
_UNTRAINED = "stored at its random start: pre-training does not use it"
_OFFSETS = "pre-training attends to all tokens, so that the file has no sampling"
_CARRIED = "carried for the official layout; no computation uses it"
_LEFT_DECODER = "of the decoder, which only pre-training has"
_LEFT_NO_PLACE = "this task's network has no such tensor"


@dataclass
class Transfer:
    """What became of every tensor, by official names with the branch before them.

    Attributes:
        loaded: copied from a checkpoint.
        initialised: drawn at random -> why.
        left: in a checkpoint and not copied -> why.
    """

    loaded: list[str] = field(default_factory=list)
    initialised: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def transfer(plan: Plan, spatial: Checkpoint, spectral: Checkpoint, *, seed: int) -> tuple[nn.Module, Transfer]:
    """A task's network in the official layout with what the two checkpoints can give.

    Blocks and norms are copied; the embedding of patches and the map of band images where both weight and bias have
    the shape of this network. Position embeddings and the pyramid's convolution are not: they were never trained.

    Args:
        plan: of a task, in the checkpoints' size.
        spatial: checkpoint of the spatial branch.
        spectral: checkpoint of the spectral branch.
        seed: of what is drawn.

    Raises:
        Unusable: the sizes are not one and the same, or a tensor holds NaN or infinity.
    """
    if not plan.size == spatial.size == spectral.size:
        raise Unusable(
            f"the spatial checkpoint is of size {spatial.size}, the spectral one of size {spectral.size}, the network "
            f"of size {plan.size}: all must be the same"
        )
    network, record = outline(plan, complete=True), Transfer()
    wanted, used = network.state_dict(), outline(plan).state_dict().keys()
    state: dict[str, Tensor] = {}
    for prefix, checkpoint in (("spat_encoder.", spatial), ("spec_encoder.", spectral)):
        state |= _copied(prefix, checkpoint.tensors, wanted, record, unused=wanted.keys() - used)
    for key in wanted.keys() - state.keys() - record.initialised.keys():
        record.initialised[key] = _HEAD if key in used else _CARRIED
    network.load_state_dict(state, strict=False, assign=True)
    initialise(network, seed=seed)
    return network, record


def _copied(
    prefix: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], record: Transfer, *, unused: Set[str]
) -> dict[str, Tensor]:
    """What one encoder takes from its checkpoint; `record` is told of every tensor on either side."""
    taken: dict[str, Tensor] = {}
    for key in (key for key in wanted if key.startswith(prefix)):
        name = key.removeprefix(prefix)
        if reason := _why_drawn(prefix, name, wanted, found, carried=key in unused):
            record.initialised[key] = reason
        else:
            taken[key] = _checked(key, found[name])
    record.loaded += taken
    for name in found:
        if prefix + name not in taken:
            record.left[prefix + name] = _why_left(name, record.initialised.get(prefix + name))
    return taken


def _why_drawn(
    prefix: str, name: str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], *, carried: bool
) -> str:
    """Why a tensor of an encoder is not copied; "" where it is."""
    if name not in found:
        if name.startswith("blocks.") and ".sampling_offsets." in name:
            return _OFFSETS
        return _CARRIED if carried else _HEAD
    if name == "pos_embed" or name.startswith("fpn1."):
        return _UNTRAINED
    # A bias fits whatever its weight's shape is, and means nothing without it.
    weight = name.removesuffix("bias") + "weight" if name.endswith(".bias") else name
    here, there = tuple(wanted[prefix + weight].shape), tuple(found[weight].shape)
    return "" if here == there else f"its weight is {there} in the file and {here} here"


def _why_left(name: str, drawn: str | None) -> str:
    if name.startswith("decoder_") or name == "mask_token":
        return _LEFT_DECODER
    return drawn or _LEFT_NO_PLACE


def _checked(key: str, tensor: Tensor) -> Tensor:
    if not torch.isfinite(tensor).all():
        raise Unusable(f"{key} of the checkpoint holds NaN or infinity; the file is damaged")
    return tensor.float()
