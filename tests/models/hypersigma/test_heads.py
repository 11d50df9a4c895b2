"""Every task's network: what it takes and gives, and what it leaves out of the official computation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.hypersigma_literal import classify, segment
from models.hypersigma.classification import PixelClassifier
from models.hypersigma.initialise import fresh
from models.hypersigma.networks import Plan, plan
from models.hypersigma.segmentation import SceneClassifier
from models.hypersigma.sizes import SIZES, Window
from models.hypersigma.spectral import SpectralViT

PLANS = {
    "classification": (plan("classification", "small", bands=12, image=9), [(2, 17)]),
    "segmentation": (plan("segmentation", "small", bands=12, image=33, patch=4), [(2, 16, 33, 33)]),
    "anomaly": (plan("anomaly", "small", bands=12, image=6), [(2, 2, 6, 6)]),
    "target": (plan("target", "small", bands=12, image=6), [(2, 6, 6)]),
    "change": (plan("change", "small", bands=12, image=5), [(2, 2)]),
    "unmixing": (plan("unmixing", "small", bands=12, image=9), [(2, 4, 9, 9), (2, 12, 9, 9)]),
    "denoising": (plan("denoising", "small", bands=12, image=8), [(2, 12, 8, 8)]),
    "super-resolution": (plan("super-resolution", "small", bands=12, image=6, number=8), [(2, 12, 48, 48)]),
    "multispectral-change": (plan("multispectral-change", "small", image=32, patch=4), [(2, 2, 32, 32)]),
}


def inputs(plan: Plan, batch: int = 2) -> tuple[Tensor, ...]:
    window, generator = plan.window, torch.Generator().manual_seed(0)
    cube = torch.randn(batch, window.bands, window.height, window.width, generator=generator)
    if plan.task == "target":
        return cube, torch.randn(batch, window.bands, generator=generator)
    return (cube, cube.flip(0)) if "change" in plan.task else (cube,)


def both(task: str) -> tuple[nn.Module, nn.Module, Tensor]:
    """The official network with all that it carries, the lean one with the same weights, and a cube."""
    chosen = PLANS[task][0]
    whole, lean = fresh(chosen, seed=0, complete=True).eval(), fresh(chosen, seed=1).eval()
    for key, value in whole.named_parameters():
        if "sampling_offsets" in key:
            nn.init.normal_(value, std=0.2)  # so that places lie everywhere, also outside
    lean.load_state_dict({key: whole.state_dict()[key] for key in lean.state_dict()})
    return whole, lean, inputs(chosen)[0]


@pytest.mark.parametrize("task", PLANS)
def test_a_network_gives_what_its_task_asks_for_and_learns_with_all_it_has(task: str) -> None:
    chosen, shapes = PLANS[task]
    network = fresh(chosen, seed=0)
    outputs = network(*inputs(chosen))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert [tuple(output.shape) for output in outputs] == shapes
    sum(output.square().sum() for output in outputs).backward()
    assert [key for key, value in network.named_parameters() if value.grad is None] == []


def test_classification_is_that_of_the_literal_form_without_the_dead_spectral_blocks() -> None:
    whole, lean, cube = both("classification")
    assert isinstance(whole, PixelClassifier) and isinstance(lean, PixelClassifier)
    assert (len(whole.spec_encoder.blocks), len(lean.spec_encoder.blocks)) == (4, 1)
    with torch.no_grad():
        expected = classify(whole, cube)
        torch.testing.assert_close(lean(cube), expected, atol=1e-6, rtol=1e-5)
        assert torch.equal(lean(cube), whole(cube))
    assert expected.std() > 1e-3


@pytest.mark.parametrize("patch", [1, 2, 4, 8])
def test_classification_is_that_of_the_literal_form_in_float64_at_every_patch_size(patch: int) -> None:
    network = fresh(plan("classification", "small", bands=5, image=33, patch=patch), seed=0, complete=True)
    assert isinstance(network.eval().double(), PixelClassifier)
    cube = torch.randn(1, 5, 33, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network(cube), classify(network, cube), atol=1e-12, rtol=0)  # type: ignore[arg-type]


def test_segmentation_is_that_of_the_literal_form_though_it_enlarges_logits_and_not_features() -> None:
    whole, lean, cube = both("segmentation")
    assert isinstance(whole, SceneClassifier)
    with torch.no_grad():
        torch.testing.assert_close(lean(cube), segment(whole, cube), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_spectral_blocks_behind_the_first_output_have_no_part_in_the_result(task: str) -> None:
    whole, _, cube = both(task)
    with torch.no_grad():
        before = whole(cube)
        for key, value in whole.named_parameters():
            if key.startswith(("spec_encoder.blocks.1.", "spec_encoder.blocks.3.")):
                value.fill_(torch.nan)
        assert torch.equal(whole(cube), before)


@pytest.mark.parametrize("task", PLANS)
def test_a_cube_of_other_bands_or_another_size_is_refused_by_its_numbers(task: str) -> None:
    chosen, _ = PLANS[task]
    network = fresh(chosen, seed=0).eval()
    first, *others = inputs(chosen)
    with pytest.raises(ValueError, match=rf"\(any, {chosen.window.bands}, .*, not \(2, {chosen.window.bands + 1}, "):
        network(torch.cat([first, first[:, :1]], dim=1), *others)
    with pytest.raises(ValueError, match="the network takes cubes of"):
        network(first[:, :, 1:], *others)


@pytest.mark.parametrize("tokens", [0, 99, 128])
def test_spectral_tokens_that_fill_no_square_are_refused(tokens: int) -> None:
    with pytest.raises(ValueError, match=f"{tokens} spectral tokens do not fill a square"):
        SpectralViT(SIZES["small"], Window(5, 4, 4, patch=1), tokens=tokens, outputs={0: "l1"})


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("classification", {"patch": 3}, "patches of 1, 2, 4 or 8 pixels, not 3"),
        ("change", {"image": 9}, "5 x 5 or 7 x 7 patches, not 9 x 9"),
        ("denoising", {"image": 9}, "even number of rows and columns"),
        ("super-resolution", {"number": 3}, "a scale of 2, 4, 8"),
    ],
)
def test_a_window_that_a_head_cannot_take_is_refused(task: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fresh(plan(task, "small", **options), seed=0)  # type: ignore[arg-type]


def test_change_collapses_seven_by_seven_patches_too() -> None:
    network = fresh(plan("change", "small", bands=6, image=15, patch=2), seed=0).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 6, 15, 15), torch.ones(1, 6, 15, 15)).shape == (1, 2)


def test_abundances_add_up_to_one() -> None:
    chosen, _ = PLANS["unmixing"]
    with torch.no_grad():
        abundances, _ = fresh(chosen, seed=0).eval()(*inputs(chosen))
    torch.testing.assert_close(abundances.sum(1), torch.ones_like(abundances[:, 0]))
