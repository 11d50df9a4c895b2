"""A network with its plan in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from models.hypersigma.networks import Plan, outline
from models.hypersigma.sizes import Window
from models.method import Unusable

_PLAN = "hypersigma"


def save(network: nn.Module, plan: Plan, path: Path) -> None:
    """Writes a network's tensors and its plan; the file is there as a whole or not at all."""
    tensors = {key: value.detach().contiguous() for key, value in network.state_dict().items()}
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata={_PLAN: json.dumps(asdict(plan))})
    partial.replace(path)


def load(path: Path) -> tuple[nn.Module, Plan]:
    """The network of a file that `save` wrote, in evaluation mode, without what the official layout carries unused.

    Every tensor is read once, straight into its place.

    Raises:
        Unusable: the file cannot be read, names no plan, or lacks tensors of it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            plan = _plan((file.metadata() or {})[_PLAN])
            network = outline(plan)
            expected = {key: list(value.shape) for key, value in network.state_dict().items()}
            found = set(file.keys())
            faults = [
                key for key, shape in expected.items() if key not in found or file.get_slice(key).get_shape() != shape
            ]
            if faults:
                raise Unusable(f"{path} lacks {len(faults)} tensors of its network, the first is {faults[0]}")
            network.load_state_dict({key: file.get_tensor(key) for key in expected}, assign=True)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable(f"{path} is no file of a HyperSIGMA network: {error}") from error
    return network.eval(), plan


def _plan(text: str) -> Plan:
    table = json.loads(text)
    return Plan(table["task"], table["size"], Window(**table["window"]), table["number"])
