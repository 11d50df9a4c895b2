"""The spectral enhancement module, which joins the two branches."""

from __future__ import annotations

from torch import Tensor, nn


class SpectralEnhancement(nn.Sequential):
    """Weighs the channels of spatial features by what the spectral branch saw: F + w F, one w a channel.

    Args:
        tokens: T of the spectral branch.
        hidden: features between the two layers.
        channels: of the spatial features.
    """

    def __init__(self, tokens: int, hidden: int, channels: int) -> None:
        super().__init__(
            nn.Linear(tokens, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, channels, bias=False), nn.Sigmoid()
        )

    def factors(self, spectral: Tensor) -> Tensor:
        """(b, T, features) to 1 + w, (b, channels), in [1, 2]."""
        weights: Tensor = super().forward(spectral.mean(2))  # type: ignore[no-untyped-call]
        return 1 + weights

    def forward(self, spatial: Tensor, spectral: Tensor) -> Tensor:  # type: ignore[override]
        """(b, channels, h, w) and (b, T, features) to (b, channels, h, w)."""
        return spatial * self.factors(spectral)[:, :, None, None]
