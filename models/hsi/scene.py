"""A labelled hyperspectral scene as a value.

h and w are the scene's height and width in pixels, b the number of its bands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

UNLABELLED = 0


@dataclass(frozen=True, eq=False)
class Scene:
    """A cube with the labels of some of its pixels.

    Attributes:
        cube: (h, w, b) of integers or floats; it may lie in a memory-mapped file.
        labels: (h, w) int16; 0 is unlabelled, class i of `class_names` has the number i + 1.
        class_names: at least one, all different.
        valid: (h, w) bool, False where the sensor saw nothing; no pixel there is labelled.
        wavelengths: (b,) float32, centre of each band in nanometres, or None where nobody says them.

    Raises:
        ValueError: shapes that do not fit each other, or labels without a name.
    """

    cube: NDArray[np.generic]
    labels: NDArray[np.int16]
    class_names: tuple[str, ...]
    valid: NDArray[np.bool_]
    wavelengths: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.cube.ndim != 3 or 0 in self.cube.shape:
            raise ValueError(f"a cube has the shape (rows, columns, bands); this one is {self.cube.shape}")
        check_labels(self.labels, self.cube.shape, self.class_names)
        if self.valid.shape != self.labels.shape or (self.labels[~self.valid] != UNLABELLED).any():
            raise ValueError("the mask of valid pixels has another shape than the labels, or leaves out labelled ones")
        if self.wavelengths is not None and self.wavelengths.shape != self.cube.shape[2:]:
            raise ValueError(f"{self.cube.shape[2]} bands need as many wavelengths; there are {len(self.wavelengths)}")

    @property
    def counts(self) -> dict[str, int]:
        """Class name -> how many pixels carry its label."""
        found = np.bincount(self.labels.ravel(), minlength=len(self.class_names) + 1)[1:]
        return {name: int(count) for name, count in zip(self.class_names, found, strict=True)}

    def labelled_at(self, pixels: NDArray[np.intp]) -> Scene:
        """The scene with the labels of these pixels (n, 2) alone."""
        kept = np.zeros_like(self.labels)
        kept[tuple(pixels.T)] = self.labels[tuple(pixels.T)]
        return replace(self, labels=kept)


def check_labels(labels: NDArray[np.integer], cube_shape: tuple[int, ...], class_names: tuple[str, ...]) -> None:
    """Says by name why labels (h, w) do not fit a cube (h, w, b) and its classes.

    Raises:
        ValueError: another shape (the message tells a transposed cube from foreign labels), a number without a name,
            names that are missing or repeated.
    """
    rows, columns = cube_shape[:2]
    if labels.shape != (rows, columns):
        raise ValueError(_misfit(labels.shape, cube_shape))
    written = all(name.strip() and name.isprintable() for name in class_names)
    if not class_names or not written or len(set(class_names)) != len(class_names):
        raise ValueError(
            f"classes need names, each another one: {', '.join(map(repr, class_names)) or 'there is none'}"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < UNLABELLED or highest > len(class_names):
        foreign = sorted({int(value) for value in np.unique(labels)} - set(range(len(class_names) + 1)))
        shown = ", ".join(map(str, foreign[:8]))
        raise ValueError(
            f"the labels hold {shown}, and the {len(class_names)} declared classes have the numbers 1 to"
            f" {len(class_names)} (0 is unlabelled)"
        )


def _misfit(labels: tuple[int, ...], cube: tuple[int, ...]) -> str:
    said = f"the labels have the shape {labels} and the cube {cube}"
    if labels in (cube[1:], cube[1:][::-1]):
        return f"{said}: the cube is transposed, its bands come first; turn it to (rows, columns, bands)"
    if labels in (cube[::2], cube[::2][::-1]):
        return f"{said}: the cube is transposed, its bands lie in the middle; turn it to (rows, columns, bands)"
    if labels == cube[1::-1]:
        return f"{said}: rows and columns of one of them are exchanged"
    return f"{said}: they must have the same rows and columns"
