"""Classification of the pixel in the middle of a small cube."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.hypersigma.enhancement import SpectralEnhancement
from models.hypersigma.sizes import Size, Window
from models.hypersigma.spatial import Doubling, SpatialViT, pyramid
from models.hypersigma.spectral import SUMMARY, SpectralViT, crossed
from models.hypersigma.unused import carry, with_bias

_TOKENS = 100


class PixelClassifier(nn.Module):
    """Cubes to the class of their middle pixel.

    Of the spectral branch only the first output is used. The head averages over pixels, and all before that is linear
    but the coarser pyramid levels: so the average comes first, with the same result.

    Args:
        size: of both transformers.
        window: the cubes.
        classes: K.
        complete: whether to carry what the official network has and does not use.
    """

    def __init__(self, size: Size, window: Window, classes: int, *, complete: bool = False) -> None:
        super().__init__()
        self.spat_encoder = SpatialViT(size, window, necks=pyramid(window.patch, size.width))
        self.spec_encoder = SpectralViT(
            size, window, tokens=_TOKENS, outputs={size.outputs[0]: "l1"}, depth=size.depth if complete else None
        )
        for number in range(1, 5):
            self.add_module(f"DR{number}", nn.Conv2d(size.width, SUMMARY, 1, bias=False))
            self.add_module(f"fc_spec{number}", SpectralEnhancement(_TOKENS, SUMMARY, SUMMARY))
        self.classifier = nn.Sequential(
            nn.Linear(4 * SUMMARY, 256), nn.Dropout(0.4), nn.Linear(256, 128), nn.Dropout(0.4), nn.Linear(128, classes)
        )
        if complete:
            self._carry(size.width, classes)

    def forward(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to logits (b, K)."""
        spatial = self.spat_encoder.features(cube)
        [spectral] = self.spec_encoder(cube)
        parts: list[Tensor] = []
        # The official head numbers the levels from the deepest on.
        for number, neck, feature in zip((4, 3, 2, 1), self.spat_encoder.necks(), spatial, strict=True):
            reduction = self.get_submodule(f"DR{number}").get_parameter("weight").flatten(1)
            enhancement = self.get_submodule(f"fc_spec{number}")
            assert isinstance(enhancement, SpectralEnhancement)
            average = functional.linear(_average(neck, feature), reduction)
            parts.insert(0, average * enhancement.factors(spectral))
        logits: Tensor = self.classifier(torch.cat(parts, dim=1))
        return logits

    def _carry(self, width: int, classes: int) -> None:
        norm = {"norm.weight": (width,), "norm.bias": (width,)}
        carry(self.spat_encoder, norm | classifier_shapes("classifier", 49152, classes))
        # 3072 is four times the width of Base, in all sizes.
        carry(self.spat_encoder, classifier_shapes("classifier1", 3072, classes))
        carry(self.spat_encoder, with_bias("cls", classes, 4 * width, 1, 1))
        carry(self.spec_encoder, norm | crossed(_TOKENS, 4))
        carry(self, {"conv_features.weight": (64, width, 1, 1), **with_bias("conv", SUMMARY, 4 * SUMMARY, 1, 1)})


def classifier_shapes(name: str, inputs: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a classifier of three layers that an official encoder carries and never uses."""
    widths = (inputs, 128, 64, classes)
    shapes: dict[str, tuple[int, ...]] = {}
    for index in range(3):
        shapes |= with_bias(f"{name}.{index}", widths[index + 1], widths[index])
    return shapes


def _average(neck: nn.Module, feature: Tensor) -> Tensor:
    """The mean over pixels of `neck(feature)`, (b, E), from (b, E, h, w)."""
    if isinstance(neck, Doubling):
        return neck.average(feature)
    coarser: Tensor = neck(feature)
    return coarser.mean((2, 3))
