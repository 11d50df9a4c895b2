from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.hypersigma.initialise import fresh
from models.hypersigma.networks import plan
from models.hypersigma.weights import load, save
from models.method import Unusable


def test_a_network_comes_back_with_its_plan_and_without_what_it_does_not_use(tmp_path: Path) -> None:
    chosen = plan("classification", "small", bands=5, image=9, number=3)
    network = fresh(chosen, seed=0, complete=True).eval()
    save(network, chosen, tmp_path / "network.safetensors")
    found, found_plan = load(tmp_path / "network.safetensors")
    assert found_plan == chosen
    assert "spec_encoder.conv_q.0.weight" not in found.state_dict()
    cube = torch.randn(2, 5, 9, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(found(cube), network(cube))
    assert [path.name for path in tmp_path.iterdir()] == ["network.safetensors"]


def test_a_network_learns_on_from_its_file(tmp_path: Path) -> None:
    chosen = plan("anomaly", "small", bands=3, image=4)
    save(fresh(chosen, seed=0), chosen, tmp_path / "network.safetensors")
    network, _ = load(tmp_path / "network.safetensors")
    network.train()(torch.zeros(2, 3, 4, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


PLAN = {"task": "anomaly", "size": "small", "window": {"bands": 3, "height": 4, "width": 4, "patch": 1}, "number": 0}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "no file of a HyperSIGMA network"),
        ({"hypersigma": "{"}, "no file of a HyperSIGMA network"),
        ({"hypersigma": json.dumps({**PLAN, "size": "giant"})}, "no file of a HyperSIGMA network"),
        ({"hypersigma": json.dumps({**PLAN, "window": 3})}, "no file of a HyperSIGMA network"),
        ({"hypersigma": json.dumps(PLAN)}, "lacks .* tensors of its network, the first is spat_encoder.pos_embed"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, metadata: dict[str, str] | None, message: str) -> None:
    path = tmp_path / "network.safetensors"
    save_file({"norm.bias": torch.zeros(3)}, path, metadata=metadata)
    with pytest.raises(Unusable, match=message):
        load(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(Unusable, match="no file of a HyperSIGMA network"):
        load(path)
