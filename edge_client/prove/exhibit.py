"""The images that a compiled model is held against the trained one on, and what each says of them.

Letters: n images, s their side, (gh, gw) the map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_client.compiled.runner import RawScores
from models.pixels import resized

Role = Literal["held-out normal", "test normal", "test defect", "made defect", "training normal"]
"""Held-out normals set the threshold; "made" defects are held-out normals with a false piece in them."""

Score = Callable[[NDArray[np.uint8]], RawScores]
"""From pixels (b, s, s, 3) to raw scores: a runner's `run`, or a trained detector's `raw`."""

_BATCH = 8


@dataclass(frozen=True)
class Exhibit:
    """Real images and what they are.

    Attributes:
        images: of any sizes, (h, w, 3) uint8; read one at a time where the sequence does so.
        roles: of those n images, the made ones last.
        size: s.
        made: more images, which were made of some of the others.
    """

    images: Sequence[NDArray[np.uint8]]
    roles: Sequence[Role]
    size: int
    made: Sequence[NDArray[np.uint8]] = ()

    def __len__(self) -> int:
        return len(self.images) + len(self.made)

    def read(self, numbers: Iterable[int]) -> NDArray[np.uint8]:
        """Some of the images as the model takes them, (b, s, s, 3) uint8; at least one."""
        real = len(self.images)
        return resized([self.images[one] if one < real else self.made[one - real] for one in numbers], self.size)

    def pixels(self, role: Role, at_most: int) -> NDArray[np.uint8]:
        """The first images of a role, (b, s, s, 3) uint8 with b at least 1 and at most `at_most`.

        Raises:
            ValueError: there is none.
        """
        chosen = [number for number, found in enumerate(self.roles) if found == role][:at_most]
        if not chosen:
            raise ValueError(f"there is no {role} image")
        return self.read(chosen)


@dataclass(frozen=True, eq=False)
class Answers:
    """What one model says of an exhibit.

    Attributes:
        scores: (n,) float32, raw.
        maps: (n, gh, gw) float32, raw.
        golden: of the golden image, b = 1.
        digests: SHA-256 of each image's pixels, as the model saw them.
    """

    scores: NDArray[np.float32]
    maps: NDArray[np.float32]
    golden: RawScores
    digests: tuple[str, ...]


def ask(score: Score, exhibit: Exhibit) -> Answers:
    """What a model says of all images, a few at a time, and of the golden one. `exhibit` has at least one image."""
    found, digests = [], []
    for start in range(0, len(exhibit), _BATCH):
        pixels = exhibit.read(range(start, min(start + _BATCH, len(exhibit))))
        digests += [sha256(image.tobytes()).hexdigest() for image in pixels]
        found.append(score(pixels))
    scores, maps = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Answers(scores, maps, score(golden_image(exhibit.size)[None]), tuple(digests))


def golden_image(size: int) -> NDArray[np.uint8]:
    """The same picture (s, s, 3) uint8 on every machine: noise over a slope, so that all of a network is at work."""
    noise = np.random.default_rng(0).integers(-40, 41, (size, size, 3))
    slope = np.linspace(40, 215, size)[:, None, None]
    return (slope + noise).clip(0, 255).astype(np.uint8)


def made_defects(images: Sequence[NDArray[np.uint8]], seed: int) -> list[NDArray[np.uint8]]:
    """Each image (h, w, 3) with a piece of the next one, its brightness turned over, laid over a random place.

    The pieces have an eighth to a quarter of the side and are more or less transparent, so that some are hard to find.
    """
    draw = np.random.default_rng(seed)
    made = []
    for number, image in enumerate(images):
        other = images[(number + 1) % len(images)]
        side = [round(length * draw.uniform(0.12, 0.25)) for length in np.minimum(image.shape[:2], other.shape[:2])]
        there, here = (
            tuple(
                slice(at, at + length)
                for at, length in zip(draw.integers(0, np.array(whole) - side), side, strict=True)
            )
            for whole in (other.shape[:2], image.shape[:2])
        )
        share = draw.uniform(0.1, 0.6)
        changed = image.copy()
        changed[here] = (1 - share) * image[here] + share * (255 - other[there].astype(np.float32))
        made.append(changed)
    return made
