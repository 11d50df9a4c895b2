"""Patch features of a data set on disk: made once, read in blocks, so memory does not grow with the images.

A block is one `.npy` file of float16 (b, gh, gw, d) for `_BLOCK` images. Blocks are written one by one, so an
interrupted extraction goes on where it stopped, and a damaged block alone is made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.method import Report

_BLOCK = 16

Extract = Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float16]]


@dataclass(frozen=True)
class FeatureCache:
    """The features of all images of a site.

    Attributes:
        folder: holds the blocks.
        images: how many images they cover.
    """

    folder: Path
    images: int

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Yields the indices (b,) of some images and their features (b, gh, gw, d) until all images were seen."""
        for start in range(0, self.images, _BLOCK):
            block = np.load(_path(self.folder, start))
            yield np.arange(start, start + len(block)), block

    def sample_patches(self, images: NDArray[np.int64], patches: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """At most `patches` patches (n, d) float32 of the images of these indices, each once, in random order.

        They are drawn at random: every k-th patch would be the same few positions of every image.
        """
        grid = _grid(self.folder)
        total = len(images) * grid
        drawn = np.sort(rng.choice(total, min(patches, total), replace=False))
        taken = []
        for indices, block in self.blocks():
            flat = block.reshape(len(block), grid, -1)
            row_of = {image: row for row, image in enumerate(np.sort(images))}
            for position, index in enumerate(indices):
                if index in row_of:
                    first = row_of[index] * grid
                    low, high = np.searchsorted(drawn, (first, first + grid))
                    taken.append(flat[position, drawn[low:high] - first].astype(np.float32))
        return rng.permutation(np.concatenate(taken))


def cached_features(
    samples: Sequence[NDArray[np.uint8]], extract: Extract, width: int, scratch: Path, key: str, report: Report
) -> FeatureCache:
    """The features of all samples, taken from `scratch` where they lie there intact, and made where not.

    Args:
        samples: images (h, w, 3) uint8, read once at most.
        extract: makes the features (b, gh, gw, d) of some images.
        width: d.
        scratch: the cache is a folder in it; caches under other keys are removed.
        key: names everything the features depend on: data, backbone, weights, settings.
        report: told after each block.
    """
    folder = scratch / f"features-{sha256(key.encode()).hexdigest()[:16]}"
    for stale in scratch.glob("features-*"):
        if stale != folder:
            shutil.rmtree(stale, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(samples), _BLOCK):
        stop = min(start + _BLOCK, len(samples))
        path = _path(folder, start)
        if not _intact(path, stop - start, width):
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                np.save(file, extract([samples[index] for index in range(start, stop)]))
            partial.replace(path)
        report("features", stop, len(samples))
    return FeatureCache(folder, len(samples))


def _path(folder: Path, start: int) -> Path:
    return folder / f"{start // _BLOCK:06d}.npy"


def _grid(folder: Path) -> int:
    _, rows, columns, _ = np.load(_path(folder, 0), mmap_mode="r").shape
    return int(rows * columns)


def _intact(path: Path, images: int, width: int) -> bool:
    """Whether a block is there whole. Patches have length 1, which zeroed or torn pages do not keep up."""
    try:
        block = np.load(path)
    except (OSError, ValueError, EOFError):
        return False
    if block.dtype != np.float16 or block.ndim != 4 or (len(block), block.shape[3]) != (images, width):
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.square(block, dtype=np.float32).sum(axis=3)
    return bool(lengths.max() < 1.02 and lengths.mean() > 0.9)
