from collections.abc import Callable

import pytest
import torch

from benchmarks.sformer_literal import literal
from models.sformer.architecture import PRESETS, SMALL, Architecture
from models.sformer.network import SFormer
from models.sformer.presets import build_paper, build_small
from models.wsa.scope import scopes_of

Make = Callable[..., SFormer]


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_paper_are_those_of_the_code_when_counted_line_by_line() -> None:
    network = build_paper(30, 16, {})
    (kernel_block,) = network.kernel_blocks
    norm = 2 * 128
    stem = (30 * 9 * 128 + 128) + (128 * 4 * 128 + 128) + norm
    projection = 4 * 12 + 12 * 9  # the 1 x 1 x 1 and the depthwise 1 x 3 x 3 convolution over 4 groups
    token_block = 2 * norm + 8 + projection + 128 * 128 + (128 * 180 + 180 * 9 + 180 * 128)
    kernels = (128 * 9 + 128) + (128 * 25 + 128) + 2 * (128 * 64 + 64)
    gates = (2 * 2 + 2) + (128 * 32 + 2 * 32 + 32 * 128) + (64 * 128 + 128)
    dense = 128 * 128 + 128
    kernel_feed_forward = 2 * dense + (128 * 9 + 128)
    head = norm + 128 * 16 + 16
    assert parameters(network.stem) == stem == 100_608
    assert parameters(network.token_blocks[0]) == token_block == 64_760
    assert parameters(kernel_block) == 2 * norm + 2 * 128 + 2 * dense + kernels + gates + kernel_feed_forward == 105_798
    assert parameters(network) == stem + 6 * token_block + 105_798 + head == 597_286
    # The code holds 80,136 more that it never uses: 5 x 5 and 7 x 7 kernels and 3 numbers in each token-selective
    # block, and a 7 x 7 convolution in the kernel-selective one.
    assert 597_286 + 6 * (180 * (25 + 49) + 3) + (2 * 2 * 49 + 2) == 677_422


def test_parameters_of_small_are_a_sixth_when_counted() -> None:
    assert parameters(build_small(30, 16, {})) == 100_650


def test_second_kernel_block_adds_its_parameters_when_not_shared() -> None:
    apart = SFormer(Architecture(share_kernel_block=False), components=30, classes=16)
    assert parameters(apart) == 597_286 + 105_798


@pytest.mark.parametrize("name", ["paper", "small"])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_logits_and_gradients_are_those_of_the_literal_form_when_compared(
    network: Make, name: str, training: bool
) -> None:
    ours = network(PRESETS[name]).train(training)
    peer = literal(ours).train(training)
    windows = torch.randn(6, 30, 10, 10, generator=torch.Generator().manual_seed(1))
    first, second = ours(windows), peer(windows)
    # A sum in another order can change which of two scores, equal but for rounding, is kept.
    assert (first - second).abs().median() <= 1e-5 and (first - second).abs().max() <= 1e-2
    first.square().sum().backward()
    second.square().sum().backward()
    for ours_part, peer_part in ((ours.stem, peer.stem), (ours.kernel_blocks, peer.kernel_blocks)):
        for mine, theirs in zip(ours_part.parameters(), peer_part.parameters(), strict=True):
            assert mine.grad is not None and theirs.grad is not None
            assert torch.linalg.norm(mine.grad - theirs.grad) <= 1e-2 * torch.linalg.norm(theirs.grad) + 1e-4


@pytest.mark.parametrize(
    "options",
    [
        {"share_kernel_block": False},
        {"kernel_norm": "layer"},
        {"spatial_selection": "mean"},
        {"normalise": "channels"},
        {"groups": 1},
        {"groups": 4, "window": 12},
        {"window": 6},
        {"window": 8, "patch": 4},
        {"keep": 1.0},
    ],
    ids=str,
)
def test_literal_form_agrees_when_an_option_is_chosen(network: Make, options: dict[str, object]) -> None:
    chosen = {"channels": 64, "groups": 2, "depth": 2, "hidden": 96, **options}
    architecture = Architecture(**chosen)  # type: ignore[arg-type]
    ours = network(architecture, classes=5, components=7)
    windows = torch.randn(3, 7, architecture.window, architecture.window, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        found = ours(windows)
        assert found.shape == (3, 5)
        assert (found - literal(ours)(windows)).abs().max() <= 1e-3


def test_each_option_changes_the_logits_when_chosen(network: Make) -> None:
    windows = torch.randn(2, 30, 10, 10, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        plain = network(SMALL)(windows)
        for options in ({"spatial_selection": "mean"}, {"normalise": "channels"}, {"kernel_norm": "layer"}):
            small = {"channels": 64, "groups": 2, "depth": 2, "hidden": 96}
            assert not torch.allclose(network(Architecture(**small, **options))(windows), plain)  # type: ignore[arg-type]


def test_one_window_is_classified_when_alone(network: Make) -> None:
    windows = torch.randn(4, 30, 10, 10, generator=torch.Generator().manual_seed(4))
    ours = network(SMALL)
    with torch.inference_mode():
        assert (ours(windows[:1]) - ours(windows)[:1]).abs().max() <= 1e-3


def test_layers_with_a_weight_scope_are_convolutions_and_the_head_when_listed() -> None:
    state = build_small(30, 16, {}).state_dict()
    scoped = scopes_of({name: value.numpy() for name, value in state.items()}).names
    assert "head.weight" in scoped and "stem.local.weight" in scoped
    assert not [name for name in scoped if "norm" in name or "scale" in name or name.endswith("bias")]
