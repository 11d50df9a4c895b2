"""One alternative to the federation: who trains on what, simulated with the live method values, and measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from edgefed.demo.hyperspectral.fields import CLASSES, FIELDS, Draw, Kind, draw, indian_pines
from edgefed.simulation import simulate
from models.hsi.accuracy import Accuracy, accuracy
from models.hsi.scene import Scene
from models.hsi.window_svm import WindowSvm
from models.hsi.windows import Pixels, cut
from models.method import SiteData, Update
from models.wsa.classifier import Classifier
from models.wsa.first_round import published_projection
from models.wsa.networks import NETWORKS
from protos.jobs import JobSpec

_AT_ONCE = 2048  # windows


@dataclass(frozen=True)
class Measured:
    """A model on the test pixels of its draw.

    Attributes:
        accuracy: of the model.
        map: (h, w) the class of every pixel of the scene, where a map was wanted.
    """

    accuracy: Accuracy
    map: NDArray[np.int16] | None = None


@dataclass(frozen=True)
class Task:
    """An alternative to the federation.

    Attributes:
        name: for people.
        kind: of the split.
        seed: of the split and of the training.
        who: "fields", "pooled", "svm", or one of `FIELDS` alone.
        aligned: as the job says; else off.
        map: whether every pixel of the scene is classified, not the test pixels alone.
    """

    name: str
    kind: Kind
    seed: int
    who: str
    aligned: bool = True
    map: bool = False


@dataclass(frozen=True)
class Work:
    """Trains and measures alternatives in the process that it is called in.

    Attributes:
        spec: the federation's job; an alternative has its own seed.
        scratch: a folder for the simulated sites.
    """

    spec: JobSpec
    scratch: Path

    def __call__(self, task: Task) -> Measured:
        """Simulates the job that the task says, and measures what it gives."""
        torch.set_num_threads(1)  # two processes share the cores; each of them thinks that it has all
        settings = self.spec.the_settings
        with threadpool_limits(1):
            drawn = draw(task.kind, task.seed, NETWORKS[settings.network].window)
            if task.who == "svm":
                return self._baseline(drawn)
            return self._trained(task, drawn)

    def _trained(self, task: Task, drawn: Draw) -> Measured:
        spec = self.spec.model_copy(update={"seed": task.seed, "settings": _settings(self.spec, task)})
        scenes = {**drawn.fields, "pooled": drawn.whole}
        names = FIELDS if task.who == "fields" else (task.who,)
        sites = {name: SiteData((), name, {}, self.scratch, name, (scenes[name],)) for name in names}
        model = Classifier(spec.the_settings, simulate(spec, sites).final, {})
        if not task.map:
            return Measured(accuracy(drawn.truth, _classes(model, drawn.split.test), CLASSES))
        return measured_map(drawn, _classes(model, _all_pixels(drawn.whole)).reshape(drawn.whole.labels.shape))

    def _baseline(self, drawn: Draw) -> Measured:
        """On the components that the job's first round would give of the pooled pixels."""
        method, settings = self.spec.the_method, self.spec.the_settings
        pooled = SiteData((), "pooled", {}, self.scratch, "pooled", (drawn.whole,))
        sums = method.local_update(settings, pooled, None, {}, 0, lambda stage, step, steps: None)
        first = method.aggregate(settings, None, [Update("pooled", sums.weight, sums.update)], 0).arrays
        seen = published_projection(first).apply(drawn.whole.cube)
        svm = WindowSvm(drawn.split.window).train(seen, drawn.split.train, drawn.whole.labels)
        return Measured(accuracy(drawn.truth, svm.predict(seen, drawn.split.test), CLASSES))


def _settings(spec: JobSpec, task: Task) -> dict[str, Any]:
    settings = dict(spec.settings)
    if not task.aligned:
        settings["alignment"] = {"mode": "off"}
    if task.who == "pooled":  # as many steps as all fields do together
        training = settings["training"]
        settings["training"] = {**training, "steps": training["steps"] * len(FIELDS)}
    return settings


def measured_map(drawn: Draw, found: NDArray[np.int16]) -> Measured:
    """The accuracy of a map (h, w) of the whole scene on the draw's test pixels."""
    return Measured(accuracy(drawn.truth, found[tuple(drawn.split.test.T)], CLASSES), found)


def _classes(model: Classifier, pixels: Pixels) -> NDArray[np.int16]:
    components = model.projection.apply(indian_pines().cube)
    parts = (pixels[start : start + _AT_ONCE] for start in range(0, len(pixels), _AT_ONCE))
    return np.concatenate([model.classes(cut(components, part, model.window)) for part in parts])


def _all_pixels(scene: Scene) -> Pixels:
    return np.argwhere(np.ones(scene.labels.shape, bool))
