import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.sformer.architecture import Architecture
from models.sformer.network import SFormer
from models.sformer.recipe import PAPER_RECIPE, Recipe
from models.sformer.training import begin, learning_rate, restore, to_arrays, train, train_epoch

TINY = Architecture(channels=16, groups=1, heads=4, depth=2, hidden=16, window=6)
Examples = tuple[NDArray[np.float32], NDArray[np.int64]]


@pytest.fixture
def examples() -> Examples:
    """Three classes that differ in the mean of a component."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 65)
    windows = rng.normal(size=(65, 4, 6, 6)).astype(np.float32)
    windows[np.arange(65), labels] += 1.5
    return windows, labels


def network() -> SFormer:
    torch.manual_seed(0)
    return SFormer(TINY, components=4, classes=3)


def test_classes_are_told_apart_when_trained(examples: Examples) -> None:
    trained, told = network(), []
    recipe = Recipe(epochs=12, batch=16)
    losses = train(trained, *examples, recipe, seed=1, report=lambda *step: told.append(step))
    assert told[-1] == ("training", 12, 12)
    assert losses[-1] < 0.3 < losses[0]


def test_weights_are_the_same_when_training_goes_on_after_a_break(examples: Examples) -> None:
    recipe = Recipe(epochs=4, batch=16)
    whole = begin(network(), recipe)
    for _ in range(4):
        train_epoch(whole, *examples, seed=3)
    first = begin(network(), recipe)
    for _ in range(2):
        train_epoch(first, *examples, seed=3)
    second = begin(SFormer(TINY, components=4, classes=3), recipe)
    restore(second, to_arrays(first))
    for _ in range(2):
        train_epoch(second, *examples, seed=3)
    assert second.epoch == 4
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


def test_last_batch_is_never_a_single_window_when_one_is_left_over(examples: Examples) -> None:
    # 65 windows in batches of 64: normalisation over a batch of one would fail.
    assert train(network(), *examples, Recipe(epochs=1, batch=64), seed=0)


def test_learning_rate_rises_and_falls_when_it_follows_the_cosine() -> None:
    recipe = Recipe(epochs=12, warm_up=2, learning_rate=1.0)
    rates = [learning_rate(recipe, epoch) for epoch in (0, 1, 2, 7, 12)]
    assert 0 < rates[0] < rates[1] < rates[2] == 1.0
    assert rates[3] == pytest.approx(0.5) and rates[4] == pytest.approx(0)


def test_learning_rate_stays_when_the_recipe_is_that_of_the_paper() -> None:
    assert {learning_rate(PAPER_RECIPE, epoch) for epoch in (0, 250, 499.9)} == {1e-4}
