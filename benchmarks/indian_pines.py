"""The real Indian Pines scene as the demo has it: whole, and as four sites, a quadrant each."""

from __future__ import annotations

from dataclasses import replace
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
    labels, pixels = np.zeros_like(scene.labels), tuple(drawn.split.test.T)
    fifth = np.random.default_rng(12345).permutation(labels.size)[: labels.size // 5]
    kept_apart = np.isin(np.arange(labels.size), fifth).reshape(labels.shape)
    labels[pixels] = np.where(kept_apart[pixels] == validate, scene.labels[pixels], 0)
    return sites, replace(scene, labels=labels)
