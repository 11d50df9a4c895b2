"""The real Indian Pines scene as the demo has it: whole, and as four sites, a quadrant each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefed.demo.hyperspectral.fields import CLASSES, Kind, draw
from edgefed.demo.hyperspectral.fields import indian_pines as load_scene
from models.hsi.scene import Scene
from models.method import SiteData

__all__ = ["CLASSES", "load_scene", "quadrants"]


def quadrants(
    kind: Kind, window: int, seed: int, scratch: Path, *, validate: bool = False
) -> tuple[dict[str, SiteData], Scene]:
    """Site -> its quadrant with the split's training pixels labelled, and the whole scene with those to be tested.

    A fifth of the pixels, the same in every draw, is never tested: with `validate` it is what comes back, to choose by.
    """
    drawn, scene = draw(kind, seed, window), load_scene()
    sites = {site: SiteData((), site, {}, scratch, site, (field,)) for site, field in drawn.fields.items()}
    pixels, size = drawn.split.test, scene.labels.size
    fifth = np.random.default_rng(12345).permutation(size)[: size // 5]
    kept_apart = np.isin(np.arange(size), fifth).reshape(scene.labels.shape)
    return sites, scene.labelled_at(pixels[kept_apart[tuple(pixels.T)] == validate])
