import pytest
import torch

from models.sformer.selection import kth_highest, searched_softmax, selected_softmax

SHAPES = [(100, 80), (100, 40), (50, 40), (25, 1), (7, 6)]


def literal(scores: torch.Tensor, keep: int) -> torch.Tensor:
    kept = torch.topk(scores, keep, dim=-1).indices
    mask = torch.full_like(scores, -torch.inf).scatter(-1, kept, 0.0)
    return (scores + mask).softmax(dim=-1)


def scores(count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(3, 2, count, count, generator=generator, dtype=dtype)


@pytest.mark.parametrize(("count", "keep"), SHAPES)
def test_kth_highest_is_that_of_topk_when_sorted(count: int, keep: int) -> None:
    rows = scores(count)
    assert torch.equal(kth_highest(rows, keep), torch.topk(rows, keep, dim=-1).values[..., -1:])


@pytest.mark.parametrize(("count", "keep"), SHAPES)
def test_weights_are_those_of_topk_when_selected(count: int, keep: int) -> None:
    rows = scores(count)
    expected = literal(rows, keep)
    found = selected_softmax(rows.clone(), keep)
    assert torch.equal(found > 0, expected > 0)
    assert (found - expected).abs().max() <= 1e-6


def test_gradients_are_those_of_topk_when_selected() -> None:
    first, second = (scores(50).requires_grad_() for _ in range(2))
    towards = torch.randn(3, 2, 50, 50, generator=torch.Generator().manual_seed(1))
    selected_softmax(first * 1.0, 40).backward(towards)
    literal(second, 40).backward(towards)
    assert first.grad is not None and second.grad is not None
    assert (first.grad - second.grad).abs().max() <= 1e-6


def test_gradient_is_the_numerical_one_when_scores_are_double() -> None:
    rows = scores(8, torch.float64)[0, :1].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: selected_softmax(x * 1.0, 5), (rows,))


def test_all_tokens_weigh_when_all_are_kept() -> None:
    rows = scores(10)
    assert torch.equal(selected_softmax(rows.clone(), 10), rows.softmax(dim=-1))
    assert torch.equal(searched_softmax(rows, 10), rows.softmax(dim=-1))


def test_equal_scores_are_all_kept_when_they_lie_at_the_border() -> None:
    flat = torch.ones(2, 10)
    for select in (selected_softmax, searched_softmax):
        assert torch.allclose(select(flat.clone(), 4), torch.full((2, 10), 0.1))


@pytest.mark.parametrize(("count", "keep"), SHAPES)
@pytest.mark.parametrize("scale", [0.02, 1.0, 30.0])
def test_search_keeps_the_same_tokens_when_it_ends(count: int, keep: int, scale: float) -> None:
    rows = scores(count) * scale
    expected, found = literal(rows, keep), searched_softmax(rows, keep)
    assert torch.allclose(found.sum(dim=-1), torch.ones(()), atol=1e-5)
    # None that should be kept is lost, and hardly any is kept besides.
    assert not (found == 0)[expected > 1e-30].any()
    assert ((found > 0).sum(dim=-1) - (expected > 0).sum(dim=-1)).float().mean() <= 0.02 * count
