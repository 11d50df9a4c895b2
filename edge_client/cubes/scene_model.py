"""A model of a finished job that classifies the pixels of a cube: the trained one, or a compiled one without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_client.bundle.bundle import ClassifierBundle, open_bundle
from edge_client.bundle.files import is_classifier
from edge_client.compile_order import COMPILED
from edge_client.compiled.classifier import CompiledClassifier, choose_provider
from edge_client.plain import one_line
from edge_client.release_key import required_key
from edge_client.state import model_folder
from models.hsi.projection import Projection
from models.hsi.strips import windows
from models.method import Unusable
from models.wsa.settings import Settings
from protos.artifacts import digest_of_file
from protos.errors import InvalidInput, StateError
from protos.jobs import JobSpec, job_from_json
from protos.tensors import read_tensors

if TYPE_CHECKING:  # torch is loaded where a trained model is
    from models.wsa.classifier import Classifier

_VALUES_AT_ONCE = 1 << 24  # of the windows that are copied together

SPEC = "spec.json"


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneModel:
    """What a job has left. n windows, c components, s their side, k classes.

    Attributes:
        job: its name.
        description: what classifies and where it runs, in a few words.
        classes: names of the k classes.
        wavelengths: nanometres that cubes are resampled to; empty where all have the same camera.
        window: s.
        projection: of a cube's bands to c components.
        logits: windows (n, c, s, s) float32 to (n, k) float32, n at least 1.
    """

    job: str
    description: str
    classes: tuple[str, ...]
    wavelengths: tuple[float, ...]
    window: int
    projection: Projection
    logits: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def predict(self, part: NDArray[np.float32]) -> NDArray[np.int16]:
        """See `edge_client.cubes.classify.Predict`."""
        found = windows(part, self.window)
        height, width, components, side, _ = found.shape
        rows = max(1, _VALUES_AT_ONCE // (width * components * side * side))
        parts = [
            self.logits(found[top : top + rows].reshape(-1, components, side, side)).argmax(axis=1)
            for top in range(0, height, rows)
        ]
        return np.concatenate(parts).reshape(height, width).astype(np.int16) + 1


def scene_model_folder(root: Path, job: str | None, bundle: Path | None) -> Path | None:
    """Where the model lies, the compiled one where there is one; None where it is one that judges images.

    Args:
        root: the site's state folder.
        job: whose model; None is the site's current one.
        bundle: a compiled model, or a folder that `edgefed client train` wrote, to use instead.

    Raises:
        InvalidInput: there is no such model.
        StateError: its files are damaged.
    """
    if bundle is not None and not (bundle / SPEC).is_file():
        return bundle if is_classifier(bundle) else None
    found = bundle or model_folder(root, job)
    if read_spec(found).the_method.data != "cube":
        return None
    return found / COMPILED if (found / COMPILED).exists() else found


def load_scene_model(path: Path, root: Path, weights: dict[str, Path]) -> SceneModel:
    """Loads a model that `scene_model_folder` has found.

    Args:
        path: of it.
        root: the site's state folder.
        weights: the site's weights files by name, already checked.

    Raises:
        InvalidInput: torch or a weights file that its network needs is not there.
        IntegrityError, BackendMissing, EngineError: a compiled model is not what was promised, or cannot run here.
        StateError: its files are damaged, or the compiled model is of an earlier round.
    """
    if not (path / SPEC).is_file():
        return _compiled(path, root)
    spec, classifier, settings = load_classifier(path, weights)
    return SceneModel(
        job=spec.name, description="the trained model, with torch", classes=settings.classes,
        wavelengths=settings.bands.wavelengths, window=classifier.window, projection=classifier.projection,
        logits=classifier.logits,
    )  # fmt: skip


def load_classifier(folder: Path, weights: dict[str, Path]) -> tuple[JobSpec, Classifier, Settings]:
    """A trained model, with torch, its job and the job's settings. Raises as `load_scene_model`."""
    spec = read_spec(folder)
    settings = spec.the_settings
    if not isinstance(settings, Settings):
        raise InvalidInput(f"the job {spec.name!r} used the method {spec.method}, whose models classify no cubes here")
    try:
        from models.wsa.classifier import Classifier

        return spec, Classifier(settings, read_tensors(folder / "global.safetensors"), weights), settings
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"the model in {folder} is not compiled and {error.name} is not installed: compile it where it was trained,"
            " or pip install 'edgefed[train]'"
        ) from error
    except Unusable as error:
        raise InvalidInput(str(error)) from error
    except (OSError, KeyError, ValueError, InvalidInput) as error:
        raise _damaged(folder, error) from error


def _compiled(path: Path, root: Path) -> SceneModel:
    installed = path.parent / "global.safetensors"
    here = path.name == COMPILED and installed.exists() and path.parent.parent == root / "models"
    bundle = open_bundle(path, required_key(root, path, compiled_here=here))
    if not isinstance(bundle, ClassifierBundle):
        raise InvalidInput(f"the bundle {path} judges images, and classifies no cubes")
    manifest = bundle.manifest
    if here and digest_of_file(installed) != manifest.global_digest:
        raise StateError(f"{path} is of another round than {installed}; run `edgefed client compile`")
    spectra = manifest.input
    shape = (spectra.components, spectra.size, spectra.size)
    classifier = CompiledClassifier(bundle.model, shape, len(manifest.classes), choose_provider(manifest.backend))
    return SceneModel(
        job=manifest.job, description=f"the compiled model, fp32 on {classifier.backend}, {classifier.device}",
        classes=manifest.classes, wavelengths=spectra.wavelengths, window=spectra.size, projection=bundle.projection,
        logits=classifier.logits,
    )  # fmt: skip


def read_spec(folder: Path) -> JobSpec:
    """The job of a model. Raises `StateError` where it is damaged."""
    try:
        return job_from_json((folder / SPEC).read_text())
    except (OSError, ValueError, InvalidInput) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> StateError:
    return StateError(f"the model in {folder} cannot be used ({one_line(str(error))}); run its job again")
