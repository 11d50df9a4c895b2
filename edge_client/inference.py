"""An installed model at work with torch: from an image file to a score, a map and a verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.calibration import Calibration, calibrate, kept_rate
from edge_client.config import load_site_config
from edge_client.images import read_image
from edge_client.judge import Judgement, judgements
from edge_client.plain import one_line
from edge_client.site_data import checked_weights
from edge_client.state import model_folder
from models.backbones.registry import weights_file
from models.feddymem.detector import Detector
from models.feddymem.settings import Settings
from models.method import Arrays, Unusable
from protos.errors import InvalidInput, StateError
from protos.jobs import JobSpec, job_from_json
from protos.tensors import read_tensors


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

    @property
    def description(self) -> str:
        """See `Judge`."""
        return "the trained model, with torch"

    def calibration(self) -> Calibration | None:
        """At the rate that the site keeps, or else at the job's; None where no normal image was held out."""
        rate = kept_rate(self.folder)
        return calibrate(self.normal_scores, self.settings.score.false_reject_rate if rate is None else rate)

    def judge(self, path: Path) -> Judgement:
        """See `Judge`."""
        started = time.perf_counter()
        image = read_image(path)
        read_ms = 1000 * (time.perf_counter() - started)
        return replace(self.judge_images([image])[0], read_ms=read_ms)

    def judge_images(self, images: Sequence[NDArray[np.uint8]]) -> list[Judgement]:
        """See `Judge`."""
        started = time.perf_counter()
        scores = self.detector.score(images)
        score_ms = 1000 * (time.perf_counter() - started) / len(images)
        try:
            return judgements(images, *scores, self.settings.score.rule, score_ms)
        except ValueError as error:
            raise _damaged(self.folder, error) from error


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
    folder = model_folder(root, job)
    name = folder.name
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
    return StateError(f"the model in {folder} cannot be used ({one_line(str(error))}); run its job again")
