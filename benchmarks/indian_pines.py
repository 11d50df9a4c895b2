"""The real Indian Pines scene (AVIRIS, CC BY 3.0) as it comes with the package tensorly."""

from __future__ import annotations

import numpy as np

from models.hsi.scene import Scene

CLASSES = (
    "Alfalfa", "Corn-notill", "Corn-mintill", "Corn", "Grass-pasture", "Grass-trees", "Grass-pasture-mowed",
    "Hay-windrowed", "Oats", "Soybean-notill", "Soybean-mintill", "Soybean-clean", "Wheat", "Woods",
    "Buildings-Grass-Trees-Drives", "Stone-Steel-Towers",
)  # fmt: skip


def load_scene() -> Scene:
    """145 x 145 pixels, 200 bands of uint16 counts, 16 classes."""
    from tensorly.datasets import load_indian_pines

    data = load_indian_pines()
    labels, wavelengths = data["ticks"]
    labels = np.asarray(labels, np.int16)
    cube = np.asarray(data["tensor"]).astype(np.uint16)
    return Scene(cube, labels, CLASSES, np.ones(labels.shape, bool), np.asarray(wavelengths, np.float32))
