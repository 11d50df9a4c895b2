"""An installed model at work: from an image file to a score, a map and a verdict."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.calibration import Calibration, calibrate, kept_rate
from edge_client.config import load_site_config
from edge_client.images import read_image
from edge_client.site_data import checked_weights
from edge_client.state import SiteState, check_job_name, open_state
from models.backbones.registry import weights_file
from models.feddymem.detector import Detector
from models.feddymem.settings import Settings
from models.method import Arrays, Unusable
from models.scoring import image_scores
from protos.errors import InvalidInput, StateError
from protos.jobs import JobSpec, job_from_json
from protos.tensors import read_tensors


@dataclass(frozen=True)
class Judgement:
    """What a model says of one image.

    Attributes:
        image: (H, W, 3) uint8, as it was read.
        score: higher is more anomalous.
        map: (gh, gw) float32, one per patch.
        hottest: mean of as many of the map's hottest patches as the job's rule looks at.
        read_ms: milliseconds for reading and decoding the file.
        score_ms: milliseconds for everything from pixels to score.
    """

    image: NDArray[np.uint8]
    score: float
    map: NDArray[np.float32]
    hottest: float
    read_ms: float
    score_ms: float

    @property
    def score_map(self) -> NDArray[np.float32]:
        """The map (gh, gw) in the unit of `score`, so that it can be held against the threshold."""
        return self.map * np.float32(self.score / self.hottest if self.hottest else 1)


@dataclass(frozen=True)
class InstalledModel:
    """A model that a finished job has left at this site.

    Attributes:
        job: its name.
        folder: `models/JOB` of the site.
        settings: of the job.
        detector: gives scores.
        normal_scores: (n,) of the site's held-out normal images.
    """

    job: str
    folder: Path
    settings: Settings
    detector: Detector
    normal_scores: NDArray[np.float32]

    def calibration(self) -> Calibration | None:
        """At the rate that the site keeps, or else at the job's; None where no normal image was held out."""
        rate = kept_rate(self.folder)
        return calibrate(self.normal_scores, self.settings.score.false_reject_rate if rate is None else rate)

    def judge(self, path: Path) -> Judgement:
        """Reads and scores one image file.

        Raises:
            InvalidInput: it cannot be read.
            StateError: the model gives no number; NaN is above no threshold and would pass as normal.
        """
        started = time.perf_counter()
        image = read_image(path)
        read = time.perf_counter()
        scores = self.detector.score([image])
        done = time.perf_counter()
        hottest = float(image_scores(scores.map, self.settings.score.rule, self_normalise=False)[0])
        if not (np.isfinite(scores.image).all() and np.isfinite(scores.map).all()):
            raise _damaged(self.folder, ValueError("its scores are not finite"))
        milliseconds = 1000 * (read - started), 1000 * (done - read)
        return Judgement(image, float(scores.image[0]), scores.map[0], hottest, *milliseconds)


def load_model(root: Path, job: str | None = None) -> InstalledModel:
    """Loads a model of a site.

    Args:
        root: the site's state folder.
        job: whose model; None is the site's current one.

    Raises:
        InvalidInput: there is no such model, it judges no images, or the backbone's weights are missing.
        IntegrityError: the backbone's weights are not those that `site.toml` means.
        StateError: the model's files are damaged.
    """
    state = open_state(root)
    name = state.current_model() if job is None else check_job_name(job)
    if name is None:
        raise InvalidInput(f"no model is installed in {root} yet; `edgefed client run` installs one when a job ends")
    folder = state.models / name
    if not folder.is_dir():
        raise InvalidInput(f"there is no model of {name!r} in {root}; installed: {_installed(state) or 'none'}")
    spec, final, local = _read(folder)
    settings = spec.the_settings
    if not isinstance(settings, Settings):
        raise InvalidInput(f"the job {name!r} used the method {spec.method}, whose models judge no images")
    try:
        weights = weights_file(settings.features.backbone, checked_weights(load_site_config(root)))
        detector = Detector(settings, weights, final, local)
        normal_scores = local["calibration"].astype(np.float32)
        if normal_scores.ndim != 1 or not np.isfinite(normal_scores).all():
            raise ValueError("scores of held-out images are not a row of finite numbers")
        return InstalledModel(name, folder, settings, detector, normal_scores)
    except Unusable as error:
        raise InvalidInput(str(error)) from error
    except (KeyError, ValueError) as error:
        raise _damaged(folder, error) from error


def _read(folder: Path) -> tuple[JobSpec, Arrays, Arrays]:
    try:
        spec = job_from_json((folder / "spec.json").read_text())
        return spec, read_tensors(folder / "global.safetensors"), read_tensors(folder / "local.safetensors")
    except (OSError, ValueError, InvalidInput) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> StateError:
    return StateError(f"the model in {folder} cannot be used ({error}); run its job again")


def _installed(state: SiteState) -> str:
    return ", ".join(sorted(path.name for path in state.models.iterdir() if path.is_dir() and path.name[0] != "."))
