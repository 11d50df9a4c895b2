"""The classifiers that a job can name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.hypersigma.initialise import fresh
from models.hypersigma.networks import plan
from models.hypersigma.presets import BASE_WINDOW, SMALL_WINDOW, build_base, build_small
from models.hypersigma.weights import save
from models.method import Unusable
from models.wsa.networks import NETWORKS


def test_small_takes_windows_of_its_size_and_is_drawn_from_torchs_generator() -> None:
    torch.manual_seed(1)
    one = build_small(5, 3, {})
    torch.manual_seed(1)
    same, other = build_small(5, 3, {}), build_small(5, 3, {})
    assert one.eval()(torch.zeros(2, 5, SMALL_WINDOW, SMALL_WINDOW)).shape == (2, 3)
    states = [network.state_dict() for network in (one, same, other)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["DR1.weight"], states[2]["DR1.weight"])


def test_jobs_cut_windows_of_the_size_that_the_networks_take() -> None:
    assert NETWORKS["hypersigma-small"].window == SMALL_WINDOW
    assert NETWORKS["hypersigma-base"].window == BASE_WINDOW


def test_base_starts_from_imported_weights_where_a_site_has_them(tmp_path: Path) -> None:
    chosen = plan("classification", "base", bands=4, image=BASE_WINDOW, patch=2, number=3)
    path = tmp_path / "imported.safetensors"
    imported = fresh(chosen, seed=5)
    save(imported, chosen, path)
    network = build_base(4, 3, {"hypersigma-base": path})
    assert torch.equal(network.state_dict()["DR1.weight"], imported.state_dict()["DR1.weight"])
    with pytest.raises(Unusable, match="import the checkpoints with --bands 7 --number 3"):
        build_base(7, 3, {"hypersigma-base": path})
