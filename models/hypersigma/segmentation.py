"""Classification of every pixel of a scene at once."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from models.hypersigma.classification import classifier_shapes
from models.hypersigma.enhancement import SpectralEnhancement
from models.hypersigma.sizes import Size, Window
from models.hypersigma.spatial import SpatialViT, pyramid
from models.hypersigma.spectral import SUMMARY, SpectralViT, crossed
from models.hypersigma.unused import carry

_TOKENS = 100


class SceneClassifier(nn.Module):
    """Cubes to a class for each of their pixels.

    The official head enlarges the features to the image first. All that follows is linear in them and looks at one
    pixel, so that here the K logits are enlarged in their place, with the same result.

    Args:
        size: of both transformers.
        window: the cubes.
        classes: K.
        complete: whether to carry what the official network has and does not use.
    """

    def __init__(self, size: Size, window: Window, classes: int, *, complete: bool = False) -> None:
        super().__init__()
        width = size.width
        self.spat_encoder = SpatialViT(size, window, necks=pyramid(window.patch, width))
        self.spec_encoder = SpectralViT(
            size, window, tokens=_TOKENS, outputs={size.outputs[0]: "l1"}, depth=size.depth if complete else None
        )
        for number in range(1, 5):
            self.add_module(f"DR{number}", nn.Conv2d(width, SUMMARY, 1, bias=False))
            self.add_module(f"fc_spec{number}", SpectralEnhancement(_TOKENS, SUMMARY, width))
        self.conv = nn.Conv2d(4 * SUMMARY, SUMMARY, 1)
        self.cls = nn.Conv2d(SUMMARY, classes, 1)
        if complete:
            norm = {"norm.weight": (width,), "norm.bias": (width,)}
            carry(self.spat_encoder, norm | classifier_shapes("classifier", 49152, classes))
            carry(self.spec_encoder, norm | crossed(_TOKENS, 1))
            carry(self, {"conv_features.weight": (SUMMARY, width, 1, 1)})

    def forward(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to logits (b, K, h, w)."""
        [spectral] = self.spec_encoder(cube)
        logits: Tensor = self.cls(self.conv.get_parameter("bias")[None, :, None, None])
        mixing = self.conv.weight.chunk(4, dim=1)
        # The official head numbers the levels from the deepest on.
        for number, feature in zip((4, 3, 2, 1), self.spat_encoder(cube), strict=True):
            enhanced = self.get_submodule(f"fc_spec{number}")(feature, spectral)
            mixed = functional.conv2d(self.get_submodule(f"DR{number}")(enhanced), mixing[number - 1])
            part = functional.conv2d(mixed, self.cls.weight)
            logits = logits + functional.interpolate(part, cube.shape[2:], mode="bilinear", align_corners=True)
        return logits
