from collections.abc import Callable

import pytest
import torch

from models.sformer.architecture import PRESETS
from models.sformer.graph import exportable
from models.sformer.network import SFormer


@pytest.mark.parametrize("name", ["paper", "small"])
def test_classes_are_the_same_when_tokens_are_searched_for(network: Callable[..., SFormer], name: str) -> None:
    ours = network(PRESETS[name])
    windows = torch.randn(64, 30, 10, 10, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found = ours(windows), exportable(ours)(windows)
    assert torch.equal(found.argmax(dim=1), expected.argmax(dim=1))
    assert (found - expected).abs().max() <= 0.02 * expected.abs().max()
    assert exportable(ours.train()).training is False and ours.training is True
