"""An installed model at work: from an image file to a score, a map and a verdict."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.calibration import calibrate, stored_threshold
from edge_client.config import load_site_config
from edge_client.images import read_image
from edge_client.site_data import checked_weights
from edge_client.state import SiteState, open_state
from models.backbones.registry import weights_file
from models.feddymem.detector import Detector
from models.method import Arrays, Unusable
from models.threshold import Threshold
from protos.errors import InvalidInput, StateError
from protos.jobs import JobSpec, job_from_json
from protos.tensors import read_tensors


@dataclass(frozen=True)
class Judgement:
    """What a model says of one image.

    Attributes:
        image: (H, W, 3) uint8, as it was read.
        score: raw; higher is more anomalous.
        map: (gh, gw) float32, raw score of each patch.
        read_ms: milliseconds for reading and decoding the file.
        score_ms: milliseconds for everything from pixels to score.
    """

    image: NDArray[np.uint8]
    score: float
    map: NDArray[np.float32]
    read_ms: float
    score_ms: float


@dataclass(frozen=True)
class InstalledModel:
    """A model that a finished job has left at this site.

    Attributes:
        job: its name.
        folder: `models/JOB` of the site.
        spec: of the job.
        detector: gives raw scores.
        calibration: (n,) scores of the site's held-out normal images.
    """

    job: str
    folder: Path
    spec: JobSpec
    detector: Detector
    calibration: NDArray[np.float32]

    def threshold(self, rate: float | None) -> Threshold | None:
        """The cut between normal and defect; None where no normal image was held out.

        Args:
            rate: false-reject rate in (0, 1); None is the stored threshold, or the job's rate where none is stored.
        """
        stored = stored_threshold(self.folder) if rate is None else None
        return stored or calibrate(self.folder, self.calibration, rate or self.job_rate)

    @property
    def job_rate(self) -> float:
        """The false-reject rate that the job asks for."""
        return float(self.spec.the_settings.score.false_reject_rate)

    def judge(self, path: Path) -> Judgement:
        """Reads and scores one image file. Raises `InvalidInput` where it cannot be read."""
        started = time.perf_counter()
        image = read_image(path)
        read = time.perf_counter()
        scores = self.detector.score([image])
        done = time.perf_counter()
        return Judgement(
            image, float(scores.image[0]), scores.map[0], 1000 * (read - started), 1000 * (done - read)
        )  # fmt: skip


def load_model(root: Path, job: str | None = None) -> InstalledModel:
    """Loads a model of a site.

    Args:
        root: the site's state folder.
        job: whose model; None is the site's current one.

    Raises:
        InvalidInput: there is no such model, or the backbone's weights are missing.
        StateError: the model's files are damaged.
    """
    state = open_state(root)
    name = job or state.current_model()
    if name is None:
        raise InvalidInput(f"no model is installed in {root} yet; `edgefed client run` installs one when a job ends")
    folder = state.models / name
    if not folder.is_dir():
        raise InvalidInput(f"there is no model of {name!r} in {root}; installed: {_installed(state) or 'none'}")
    try:
        spec = job_from_json((folder / "spec.json").read_text())
        bank, local = read_tensors(folder / "global.safetensors"), read_tensors(folder / "local.safetensors")
        calibration = local["calibration"].astype(np.float32)
        return InstalledModel(name, folder, spec, _detector(root, spec, bank, local), calibration)
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, Unusable):
            raise InvalidInput(str(error)) from error
        raise StateError(f"the model in {folder} is damaged ({error}); run the job again") from error


def _detector(root: Path, spec: JobSpec, bank: Arrays, local: Arrays) -> Detector:
    settings = spec.the_settings
    weights = weights_file(settings.features.backbone, checked_weights(load_site_config(root)))
    return Detector(settings, weights, bank, local)


def _installed(state: SiteState) -> str:
    return ", ".join(sorted(path.name for path in state.models.iterdir() if path.is_dir() and path.name[0] != "."))
