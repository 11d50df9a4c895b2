"""Merges finished models of one network into one file, and measures the models between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_client.cubes.scene_file import load_scene
from edge_client.cubes.settings import CubeSettings
from edge_client.state import model_folder
from models.method import Arrays, SiteData, Unusable
from models.wsa.fusion import spread
from models.wsa.merging import How, barrier, merge
from models.wsa.published import besides, weights_of
from models.wsa.scope import scopes_of
from models.wsa.settings import Settings
from protos.errors import InvalidInput
from protos.jobs import job_from_json
from protos.tensors import TensorFile, write_tensors

POINTS = 21  # of a curve
_GLOBAL, _SPEC = "global.safetensors", "spec.json"


@dataclass(frozen=True)
class Source:
    """A finished model.

    Attributes:
        name: as the user gave it.
        weights: the network's tensors.
        besides: what a job's global model holds besides them: how bands are projected.
        settings: of the job that trained it; None for a bare file.
    """

    name: str
    weights: Arrays
    besides: Arrays
    settings: Settings | None


@dataclass(frozen=True)
class Curve:
    """Losses and accuracies on the way from one model to another.

    Attributes:
        shares: (n,) of the way.
        losses: how models are mixed -> (n,)
        accuracies: how models are mixed -> (n,)
    """

    shares: tuple[float, ...]
    losses: dict[How, tuple[float, ...]]
    accuracies: dict[How, tuple[float, ...]]

    def barrier(self, how: How) -> float:
        """See `models.wsa.merging.barrier`."""
        return barrier(np.array(self.losses[how]))


def read_source(root: Path, name: str) -> Source:
    """A model by its file, its folder, or the name of an installed job.

    Raises:
        InvalidInput: there is none, or it is no network's weights.
        StateError: the site's state folder is of another version.
    """
    path = Path(name)
    if path.is_dir() or not path.exists():
        path = (path if path.is_dir() else model_folder(root, name)) / _GLOBAL
    try:
        arrays = TensorFile(path)
    except OSError as error:
        raise InvalidInput(f"the model {name} cannot be read: {error.filename}: {error.strerror}") from error
    weights = weights_of(arrays)
    if weights is None or not scopes_of(weights).names:
        raise InvalidInput(f"{name} holds no weights of layers; a memory bank or a first round cannot be merged")
    return Source(name, weights, besides(arrays), _settings(path.with_name(_SPEC)))


def merged(sources: Sequence[Source], how: How, out: Path) -> float:
    """Writes the merged model; returns the spread of the models' weight scopes, the mean over the layers.

    Raises:
        InvalidInput: the file exists, or the models are of unlike networks or see unlike bands.
        StateError: the file cannot be written.
    """
    if out.exists():
        raise InvalidInput(f"{out} exists; choose another name for the merged model")
    _same_bands(sources)
    models = [source.weights for source in sources]
    try:
        weights = merge(models, [1.0] * len(models), how)
    except ValueError as error:
        raise InvalidInput(f"{' and '.join(source.name for source in sources)} cannot be merged: {error}") from error
    write_tensors(out, {**sources[0].besides, **weights})
    return float(spread([scopes_of(model) for model in models]).mean())


def measured(one: Source, other: Source, cube: CubeSettings, scratch: Path) -> Curve:
    """The models between two, on the labelled pixels of a cube.

    Raises:
        InvalidInput: neither came with its job's settings, or the cube does not fit them.
    """
    from models.wsa.curve import curve
    from models.wsa.first_round import published_projection
    from models.wsa.local import first_network
    from models.wsa.networks import NETWORKS
    from models.wsa.pixels import examples, labelled_scenes

    settings = one.settings or other.settings
    if settings is None or not one.besides:
        raise InvalidInput(f"nothing beside {one.name} says which network it is; a curve needs a job's models")
    try:
        data = SiteData([], "", {}, scratch, "merge", (load_scene(cube, scratch / "cube.npy"),))
        projection = published_projection(one.besides)
        windows, labels = examples(labelled_scenes(settings, data), projection, NETWORKS[settings.network].window)
        network = first_network(settings, windows.shape[1], data)
    except (Unusable, ValueError) as error:
        raise InvalidInput(str(error)) from error
    shares = tuple(np.linspace(0, 1, POINTS).tolist())
    ways: tuple[How, ...] = ("mean", "wsa")
    points = {how: list(curve(network, (one.weights, other.weights), windows, labels, how, shares)) for how in ways}
    return Curve(
        shares,
        {how: tuple(point.loss for point in line) for how, line in points.items()},
        {how: tuple(point.accuracy for point in line) for how, line in points.items()},
    )


def _settings(spec: Path) -> Settings | None:
    if not spec.exists():
        return None
    found = job_from_json(spec.read_text()).the_settings
    return found if isinstance(found, Settings) else None


def _same_bands(sources: Sequence[Source]) -> None:
    """Weights that learnt on other components mean something else: their average is noise."""
    first = sources[0]
    for other in sources[1:]:
        for name in first.besides.keys() & other.besides.keys():
            if ".bands." in name and not np.array_equal(first.besides[name], other.besides[name]):
                raise InvalidInput(
                    f"{first.name} and {other.name} see the bands through different projections, as models of "
                    "different jobs do; models can be merged that trained in one job, or from one start"
                )
