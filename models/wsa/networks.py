"""The networks that sites can train together, by name; each is imported when a site really trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

NetworkName = Literal["spectral-mlp", "sformer-small", "sformer-paper", "hypersigma-small", "hypersigma-base"]


@dataclass(frozen=True)
class Network:
    """Where a network comes from.

    Attributes:
        window: s, side of the windows that it looks at, in pixels.
        builder: MODULE:FUNCTION; `function(bands, classes, weights)` makes an untrained `torch.nn.Module` of windows
            (n, bands, s, s) float32 to logits (n, classes). It draws its weights from torch's default generator;
            `weights` are the site's checked weights files by name, see `models.method.SiteData`.
        head: name of the linear layer that makes the logits.
    """

    window: int
    builder: str
    head: str = "head"


NETWORKS: Final[Mapping[NetworkName, Network]] = {
    "spectral-mlp": Network(1, "models.wsa.spectral_mlp:build", "5"),
    "sformer-small": Network(10, "models.sformer.presets:build_small"),
    "sformer-paper": Network(10, "models.sformer.presets:build_paper"),
    "hypersigma-small": Network(9, "models.hypersigma.presets:build_small", "classifier.4"),
    "hypersigma-base": Network(33, "models.hypersigma.presets:build_base", "classifier.4"),
}
