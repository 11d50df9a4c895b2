import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from models.wsa.regulariser import ScopeRegulariser, kl, kl_gradient
from models.wsa.scope import Scopes, scopes_of


def _weight(seed: int = 0) -> torch.Tensor:
    made = torch.Generator().manual_seed(seed)
    return 0.02 + 0.3 * torch.randn(8, 4, 3, 3, generator=made, dtype=torch.float64)


def _reference(weight: torch.Tensor, mean: float, deviation: float) -> torch.Tensor:
    own = Normal(weight.mean(), weight.std(correction=0))
    return kl_divergence(own, Normal(torch.tensor(mean), torch.tensor(deviation)))


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 0.1), (0.0, 1.0), (-0.5, 0.3), (0.02, 0.3)])
def test_the_closed_gradient_is_autograds_of_torchs_own_divergence(mean, deviation):
    weight = _weight().requires_grad_()
    reference = _reference(weight, mean, deviation)
    (expected,) = torch.autograd.grad(reference, weight)
    with torch.no_grad():
        torch.testing.assert_close(kl(weight, mean, deviation), reference, check_dtype=False)
        torch.testing.assert_close(
            kl_gradient(weight, mean, deviation), expected, check_dtype=False, atol=1e-8, rtol=1e-6
        )


def test_at_the_target_there_is_neither_penalty_nor_gradient():
    weight = _weight()
    mean, deviation = float(weight.mean()), float(weight.std(correction=0))
    assert float(kl(weight, mean, deviation)) == pytest.approx(0, abs=1e-12)
    assert float(kl_gradient(weight, mean, deviation).abs().max()) < 1e-12


def test_the_penalty_does_not_see_the_order_of_neurons():
    weight = _weight()
    torch.testing.assert_close(kl(weight.flip(0), 0.1, 0.2), kl(weight, 0.1, 0.2))


def test_descent_on_the_penalty_alone_shifts_and_stretches_a_layer_to_its_target():
    network = nn.Linear(32, 32, bias=False)
    before = network.weight.detach().clone()
    target = Scopes(("weight",), np.array([0.05]), np.array([0.4]))
    regulariser = ScopeRegulariser(network, target, 100.0)
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(300):
        network.weight.grad = torch.zeros_like(network.weight)
        regulariser.add_gradient()
        optimiser.step()
    after = network.weight.detach()
    assert regulariser.penalty() < 1e-6
    np.testing.assert_allclose([after.mean(), after.std(correction=0)], [0.05, 0.4], rtol=1e-3)
    torch.testing.assert_close(
        (after - after.mean()) / after.std(), (before - before.mean()) / before.std(), atol=1e-4, rtol=1e-4
    )


def test_the_gradient_is_added_to_the_losss_by_its_strength():
    network = nn.Linear(20, 20)
    network.weight.grad = torch.ones_like(network.weight)
    target = Scopes(("weight",), np.array([0.0]), np.array([1.0]))
    ScopeRegulariser(network, target, 3.0).add_gradient()
    torch.testing.assert_close(network.weight.grad, 1 + 3 * kl_gradient(network.weight.detach(), 0.0, 1.0))
    assert network.bias.grad is None


def test_constant_layers_are_left_alone_and_make_no_nan():
    network = nn.Linear(20, 20)
    nn.init.zeros_(network.weight)
    for deviation in (0.0, 0.5):  # constant in the target, or only at the site
        network.weight.grad = torch.zeros_like(network.weight)
        target = Scopes(("weight",), np.array([0.0]), np.array([deviation]))
        regulariser = ScopeRegulariser(network, target, 10.0)
        regulariser.add_gradient()
        assert not network.weight.grad.any()
        assert np.isfinite(regulariser.penalty())


def test_scopes_of_a_network_are_those_of_its_arrays():
    network = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(200), nn.Linear(20, 10))
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    target = scopes_of(arrays)
    assert target.names == ("0.weight", "2.weight")
    assert ScopeRegulariser(network, target, 1.0).penalty() == pytest.approx(0, abs=1e-9)
