import numpy as np
import pytest
import torch

from models.feddymem.generator import MemoryGenerator, apply, generator_from_arrays, generator_to_arrays
from models.feddymem.loss import fixed_radius, metric_loss, squared_distances, went_astray
from models.feddymem.settings import Generator
from models.feddymem.training import train_generator

WIDTHS = (4, 6)


def _patches(n: int, seed: int) -> np.ndarray:
    """Features as `PatchFeatures` makes them, around few directions."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(5, 10))[rng.integers(0, 5, n)] + 0.3 * rng.normal(size=(n, 10))
    parts = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in np.split(raw, [4], axis=1)]
    return (np.concatenate(parts, axis=1) / 2**0.5).astype(np.float32)


def _silent(*_: object) -> None:
    pass


def test_the_generator_is_the_identity_at_the_start():
    patches = _patches(50, 0)
    np.testing.assert_allclose(apply(MemoryGenerator(WIDTHS), patches), patches, atol=1e-6)
    assert apply(None, patches) is patches


def test_each_stage_keeps_its_share_of_the_length_whatever_the_weights():
    generator = MemoryGenerator(WIDTHS)
    torch.nn.init.normal_(generator.residual.weight, generator=torch.Generator().manual_seed(0))
    moved = apply(generator, _patches(50, 0))
    np.testing.assert_allclose(np.linalg.norm(moved[:, :4], axis=1), 0.5**0.5, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)


def test_the_generator_survives_as_arrays():
    generator = MemoryGenerator(WIDTHS)
    torch.nn.init.normal_(generator.residual.weight, generator=torch.Generator().manual_seed(1))
    again = generator_from_arrays(generator_to_arrays(generator))
    np.testing.assert_array_equal(apply(again, _patches(9, 1)), apply(generator, _patches(9, 1)))
    assert generator_from_arrays({}) is None
    assert generator_to_arrays(None) == {}


def test_the_loss_is_that_computed_by_hand():
    patches, rows = torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 5.0]])
    moved = rows + torch.tensor([[0.0, 0.3], [0.0, 0.0], [0.0, 0.0]])
    # Squared distances 1 and 4 of the two nearest, r^2 = 2: (0 + 2) / 2 = 1; the anchor adds 3 * 0.09 / 3.
    loss = metric_loss(patches, rows, moved, 2.0, attract=2, anchor=3.0)
    assert abs(loss.item() - (1 + 0.09) / 2) < 1e-6


def test_attraction_reaches_no_further_than_the_rows_there_are():
    rows = torch.tensor([[1.0, 0.0]])
    assert metric_loss(torch.zeros(1, 2), rows, rows, 0.5, attract=3, anchor=1.0).item() == 1.0


def test_squared_distances_are_never_below_zero():
    same = torch.full((3, 8), 0.1)
    assert squared_distances(same, same).min() >= 0
    assert fixed_radius(same, same) > 0


def test_the_gradient_moves_the_generator_from_its_identity_start():
    patches, rows = torch.from_numpy(_patches(40, 0)), torch.from_numpy(_patches(6, 1))
    generator = MemoryGenerator(WIDTHS)
    radius = fixed_radius(patches, rows)
    metric_loss(generator(patches), rows, generator(rows), radius, attract=3, anchor=3.0).backward()
    assert generator.residual.weight.grad.abs().max() > 0
    assert generator.residual.weight.grad.isfinite().all()


def test_training_lowers_the_loss_and_is_the_same_when_the_seed_is_equal():
    patches, rows, start = _patches(3000, 0), _patches(20, 1), MemoryGenerator(WIDTHS)
    settings = Generator(epochs=1, learning_rate=1e-4)
    first, loss = train_generator(start, patches, rows, settings, 5, _silent)
    second, _ = train_generator(start, patches, rows, settings, 5, _silent)
    assert first is not start
    assert start.residual.weight.abs().max() == 0
    assert torch.equal(first.residual.weight, second.residual.weight)
    assert train_generator(first, patches, rows, settings, 6, _silent)[1] < loss


def test_training_is_given_up_when_it_moves_the_common_rows_too_far():
    start = MemoryGenerator(WIDTHS)
    wild = Generator(epochs=20, learning_rate=0.1, anchor=0.0)
    assert train_generator(start, _patches(3000, 0), _patches(20, 1), wild, 0, _silent)[0] is start


def test_a_generator_is_astray_when_it_squeezes_patches_or_gives_nan():
    patches, rows = torch.from_numpy(_patches(100, 0)), torch.from_numpy(_patches(5, 1))
    assert not went_astray(patches, 0.9 * patches, rows, rows)
    assert went_astray(patches, 0.8 * patches, rows, rows)
    assert went_astray(patches, patches, rows, rows + 0.1)
    assert went_astray(patches, patches * torch.nan, rows, rows)


def test_a_generator_whose_parts_do_not_fit_is_refused():
    sound = generator_to_arrays(MemoryGenerator(WIDTHS))
    assert generator_from_arrays(sound).widths == tuple(WIDTHS)
    for change in (
        {"widths": np.array([1 << 40])},
        {"widths": np.array([-2, 2])},
        {"widths": np.array([], np.int64)},
        {"widths": np.array(sum(WIDTHS))},
        {"weight": np.zeros((3, 3), np.float32)},
        {"bias": np.full(sum(WIDTHS), np.nan, np.float32)},
    ):
        with pytest.raises(ValueError, match="generator"):
            generator_from_arrays(sound | {f"generator.{name}": array for name, array in change.items()})
