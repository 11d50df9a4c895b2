from collections.abc import Callable

import pytest
import torch

from models.sformer.architecture import Architecture
from models.sformer.network import SFormer


@pytest.fixture
def network() -> Callable[..., SFormer]:
    """Networks whose every parameter is away from where it starts: ones, zeros and 1e-2 hide mistakes."""

    def make(architecture: Architecture, classes: int = 16, components: int = 30) -> SFormer:
        torch.manual_seed(0)
        made = SFormer(architecture, components=components, classes=classes)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        return made.eval()

    return make
