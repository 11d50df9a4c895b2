"""A site's labelled pixels as the job sees them: its classes by name, its bands at the job's wavelengths.

h rows, w columns, b bands of the job, n labelled pixels, s side of a window.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.hsi.classes import renumbered
from models.hsi.moments import BandSums, band_sums
from models.hsi.neighbours import differences
from models.hsi.projection import Projection
from models.hsi.resampling import resampling
from models.hsi.scene import Scene
from models.hsi.windows import Pixels, check_size, cut
from models.method import SiteData, Unusable
from models.wsa.networks import NETWORKS
from models.wsa.settings import Settings

Floats = NDArray[np.float32]
_STRIP = 1 << 22  # values of a cube worked on at once: it may be larger than memory


@dataclass(frozen=True, eq=False)
class LabelledScene:
    """One scene of a site.

    Attributes:
        scene: as the site has it.
        labels: (h, w) by the job's classes, 0 where unlabelled.
        to_job: (own bands, b) weights that bring a spectrum to the job's wavelengths; None where it has them.
        pixels: (n, 2) that are labelled, at least one.
    """

    scene: Scene
    labels: NDArray[np.int16]
    to_job: Floats | None
    pixels: Pixels

    @property
    def bands(self) -> int:
        """How many, b."""
        return int(self.scene.cube.shape[2] if self.to_job is None else self.to_job.shape[1])

    def spectra(self) -> NDArray[np.generic]:
        """(n, b) of the labelled pixels; a camera's counts stay integers where nothing is resampled."""
        raw: NDArray[np.generic] = self.scene.cube[tuple(self.pixels.T)]
        return raw if self.to_job is None else np.asarray(raw.astype(np.float32) @ self.to_job)

    def differences(self) -> NDArray[np.generic]:
        """(m, b) to neighbours of the labelled pixels; see `models.hsi.neighbours`."""
        raw = differences(self.scene.cube, self.pixels, self.scene.valid)
        return raw if self.to_job is None else np.asarray(raw.astype(np.float32) @ self.to_job)

    def windows(self, projection: Projection, side: int) -> Floats:
        """(n, components, s, s); pixels that the sensor did not see are the mean of all."""
        return cut(self._components(projection), self.pixels, side)

    def _components(self, projection: Projection) -> Floats:
        height, width, own = self.scene.cube.shape
        made = np.empty((height, width, projection.matrix.shape[1]), np.float32)
        rows = max(1, _STRIP // (width * own))
        for top in range(0, height, rows):
            strip = self.scene.cube[top : top + rows]
            if self.to_job is not None:
                strip = strip.astype(np.float32) @ self.to_job
            made[top : top + rows] = projection.apply(strip)
        made[~self.scene.valid] = 0
        return made


def labelled_scenes(settings: Settings, data: SiteData) -> tuple[LabelledScene, ...]:
    """The scenes of a site that have labelled pixels.

    Raises:
        Unusable: there are fewer than two such pixels in all, a class that the job does not know, bands that cannot be
            brought to the job's, or scenes with unlike bands.
    """
    found = []
    try:
        for scene in data.scenes:
            check_size(scene.labels.shape, NETWORKS[settings.network].window)
            labels = renumbered(scene.labels, scene.class_names, settings.classes)
            made = LabelledScene(scene, labels, _to_job(scene, settings), np.argwhere(labels > 0))
            found += [made] if len(made.pixels) else []
    except ValueError as error:
        raise Unusable(str(error)) from error
    if sum(len(one.pixels) for one in found) < 2:
        raise Unusable("the site has fewer than two labelled pixels of the job's classes; label some in its scenes")
    if len(bands := {one.bands for one in found}) > 1:
        counts = " and ".join(map(str, sorted(bands)))
        raise Unusable(f"the site's scenes have {counts} bands; name the job's wavelengths so that they are resampled")
    return tuple(found)


def sums_of(scenes: tuple[LabelledScene, ...]) -> BandSums:
    """Over all labelled pixels of a site. Raises `Unusable` where bands hold NaN or infinity there."""
    return _added(scene.spectra() for scene in scenes)


def noise_of(scenes: tuple[LabelledScene, ...]) -> BandSums:
    """Over what sets a site's labelled pixels apart from their neighbours. Raises `Unusable` as `sums_of`."""
    return _added(scene.differences() for scene in scenes)


def examples(scenes: tuple[LabelledScene, ...], projection: Projection, side: int) -> tuple[Floats, NDArray[np.int64]]:
    """Windows (n, components, s, s) of all labelled pixels, and their classes (n,) from 0."""
    windows = [scene.windows(projection, side) for scene in scenes]
    labels = [scene.labels[tuple(scene.pixels.T)] for scene in scenes]
    return np.concatenate(windows), np.concatenate(labels).astype(np.int64) - 1


def _added(parts: Iterable[NDArray[np.generic]]) -> BandSums:
    try:
        first, *others = map(band_sums, parts)
        return sum(others, first)
    except ValueError as error:
        raise Unusable(f"the labelled pixels cannot be summed up: {error}") from error


def _to_job(scene: Scene, settings: Settings) -> Floats | None:
    wanted = np.array(settings.bands.wavelengths)
    if not wanted.size:
        return None
    if scene.wavelengths is None:
        raise ValueError(
            f"the job is for {wanted.size} wavelengths and nothing says which this scene's {scene.cube.shape[2]} bands"
            " have; add them to its header or configuration"
        )
    if np.array_equal(scene.wavelengths, wanted.astype(np.float32)):
        return None
    return resampling(scene.wavelengths, wanted)
