"""A model of a finished job that classifies the pixels of a cube."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_client.plain import one_line
from edge_client.state import model_folder
from models.hsi.strips import windows
from models.method import Unusable
from models.wsa.settings import Settings
from protos.errors import InvalidInput, StateError
from protos.jobs import JobSpec, job_from_json
from protos.tensors import read_tensors

if TYPE_CHECKING:  # torch is loaded where a model is
    from models.wsa.classifier import Classifier

_ROWS_AT_ONCE = 1 << 24  # values of the windows that are copied at once


@dataclass(frozen=True)
class SceneModel:
    """What a job has left.

    Attributes:
        job: its name.
        settings: of the job.
        classifier: windows to classes.
    """

    job: str
    settings: Settings
    classifier: Classifier

    def predict(self, part: NDArray[np.float32]) -> NDArray[np.int16]:
        """See `edge_client.cubes.classify.Predict`."""
        found = windows(part, self.classifier.window)
        height, width, components, side, _ = found.shape
        rows = max(1, _ROWS_AT_ONCE // (width * components * side * side))
        parts = [
            self.classifier.classes(found[top : top + rows].reshape(-1, components, side, side))
            for top in range(0, height, rows)
        ]
        return np.concatenate(parts).reshape(height, width)


def scene_model_folder(root: Path, job: str | None, folder: Path | None) -> Path | None:
    """Where the model lies, or None where it is one that judges images.

    Args:
        root: the site's state folder.
        job: whose model; None is the site's current one.
        folder: that `edgefed client train` wrote, to use instead.

    Raises:
        InvalidInput: there is no such model.
        StateError: its files are damaged.
    """
    found = folder or model_folder(root, job)
    if folder is not None and not (folder / "spec.json").is_file():
        return None
    return found if _spec(found).the_method.data == "cube" else None


def load_scene_model(folder: Path, weights: dict[str, Path]) -> SceneModel:
    """Loads a model.

    Args:
        folder: with spec.json and global.safetensors.
        weights: the site's weights files by name, already checked.

    Raises:
        InvalidInput: its network needs a weights file that is not there.
        StateError: its files are damaged.
    """
    spec = _spec(folder)
    settings = spec.the_settings
    if not isinstance(settings, Settings):
        raise InvalidInput(f"the job {spec.name!r} used the method {spec.method}, whose models classify no cubes here")
    from models.wsa.classifier import Classifier

    try:
        return SceneModel(
            spec.name, settings, Classifier(settings, read_tensors(folder / "global.safetensors"), weights)
        )
    except Unusable as error:
        raise InvalidInput(str(error)) from error
    except (OSError, KeyError, ValueError, InvalidInput) as error:
        raise _damaged(folder, error) from error


def _spec(folder: Path) -> JobSpec:
    try:
        return job_from_json((folder / "spec.json").read_text())
    except (OSError, ValueError, InvalidInput) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> StateError:
    return StateError(f"the model in {folder} cannot be used ({one_line(str(error))}); run its job again")
