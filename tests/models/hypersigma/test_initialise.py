from __future__ import annotations

from math import sqrt

import pytest
import torch

from models.hypersigma.initialise import fresh
from models.hypersigma.networks import TASKS, plan


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_generator_alone() -> None:
    chosen = plan("classification", "small")
    before = torch.get_rng_state()
    one, two, other = (fresh(chosen, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["DR1.weight"], other["DR1.weight"])


@pytest.mark.parametrize("task", TASKS)
def test_every_weight_is_drawn_and_finite(task: str) -> None:
    for complete in (False, True):
        network = fresh(plan(task, "small"), seed=0, complete=complete)
        for tensor in (*network.parameters(), *network.buffers()):
            assert tensor.device.type == "cpu"
            assert bool(torch.isfinite(tensor).all())


def test_layers_of_a_block_are_drawn_as_published() -> None:
    weights = fresh(plan("anomaly", "small"), seed=0).state_dict()
    for branch in ("spat_encoder", "spec_encoder"):
        for index in range(4):
            prefix = f"{branch}.blocks.{index}."
            assert float(weights[prefix + "mlp.fc1.weight"].std()) == pytest.approx(0.02, rel=0.05)
            expected = 0.02 / sqrt(2 * (index + 1))
            assert float(weights[prefix + "mlp.fc2.weight"].std()) == pytest.approx(expected, rel=0.05)
            assert float(weights[prefix + "attn.proj.weight"].std()) == pytest.approx(expected, rel=0.05)
            assert not weights[prefix + "mlp.fc1.bias"].any()
            assert bool((weights[prefix + "norm1.weight"] == 1).all())
