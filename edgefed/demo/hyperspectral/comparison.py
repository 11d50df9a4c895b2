"""What the same method gives otherwise: a site alone, pooled pixels, no alignment, other draws; and the baseline.

The jobs are simulated with the live method values, each in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from threadpoolctl import threadpool_limits

from edgefed.demo.hyperspectral.fields import CLASSES, FIELDS, Draw, Kind, draw, indian_pines
from edgefed.demo.processes import leave_interrupts_to_the_parent
from edgefed.simulation import simulate
from models.hsi.accuracy import Accuracy, accuracy
from models.hsi.moments import band_sums
from models.hsi.projection import fit
from models.hsi.scene import Scene
from models.hsi.window_svm import WindowSvm
from models.hsi.windows import Pixels, cut
from models.method import SiteData
from models.wsa.classifier import Classifier
from models.wsa.networks import NETWORKS
from protos.jobs import JobSpec

DRAWS = 5  # of blocks: results swing with the draw more than with anything else
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
class Comparison:
    """The federation's alternatives.

    Attributes:
        local: site -> its own pixels alone.
        mean_only: the federation without alignment.
        centralised: the pooled training pixels.
        svm: the window baseline on the pooled training pixels.
        draws: the federation on several disjoint draws; none where the demo's own split is the first of them.
        draws_svm: the baseline on the same draws.
        random: the federation on a random split; None where the demo's own is one.
        random_svm: the baseline on a random split.
    """

    local: Mapping[str, Measured]
    mean_only: Measured
    centralised: Measured
    svm: Measured
    draws: tuple[Measured, ...]
    draws_svm: tuple[Measured, ...]
    random: Measured | None
    random_svm: Measured


@dataclass(frozen=True)
class _Task:
    """One alternative, as it is handed to a process of its own.

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


def compare(spec: JobSpec, kind: Kind, scratch: Path, console: Console) -> Comparison:
    """Measures every alternative, two at a time.

    Args:
        spec: the federation's job; its seed is that of the split, too.
        kind: of the split that the federation used.
        scratch: a folder for the simulated sites.
        console: gets a line as each alternative is done.
    """
    seeds = [spec.seed + index for index in range(DRAWS)]
    others = seeds[1:] if kind == "disjoint" else seeds  # the federation itself is the first draw
    tasks = [
        _Task("pooled", kind, spec.seed, "pooled", map=True),
        _Task("no alignment", kind, spec.seed, "fields", aligned=False),
        *(_Task(site, kind, spec.seed, site, map=True) for site in FIELDS),
        *(_Task(f"draw {seed}", "disjoint", seed, "fields") for seed in others),
        *([_Task("random", "random", spec.seed, "fields")] if kind == "disjoint" else []),
        *(_Task(f"SVM, draw {seed}", "disjoint", seed, "svm") for seed in seeds),
        _Task("SVM, random", "random", spec.seed, "svm"),
    ]
    found: dict[str, Measured] = {}
    with get_context("spawn").Pool(2, leave_interrupts_to_the_parent) as pool:
        for task, measured in zip(tasks, pool.imap(_Work(spec, scratch), tasks), strict=True):
            found[task.name] = measured
            console.print(f"    {task.name}: {measured.accuracy.oa:.3f}")
    draws_svm = tuple(found[f"SVM, draw {seed}"] for seed in seeds)
    return Comparison(
        local={site: found[site] for site in FIELDS},
        mean_only=found["no alignment"],
        centralised=found["pooled"],
        svm=draws_svm[0] if kind == "disjoint" else found["SVM, random"],
        draws=tuple(found[f"draw {seed}"] for seed in others),
        draws_svm=draws_svm,
        random=found.get("random"),
        random_svm=found["SVM, random"],
    )


@dataclass(frozen=True)
class _Work:
    """Does a task; a value, so that it can be sent to a process."""

    spec: JobSpec
    scratch: Path

    def __call__(self, task: _Task) -> Measured:
        torch.set_num_threads(1)  # two processes share the cores; each of them thinks that it has all
        settings = self.spec.the_settings
        with threadpool_limits(1):
            drawn = draw(task.kind, task.seed, NETWORKS[settings.network].window)
            if task.who == "svm":
                return _baseline(drawn, settings.bands.components)
            return self._trained(task, drawn)

    def _trained(self, task: _Task, drawn: Draw) -> Measured:
        spec = self.spec.model_copy(update={"seed": task.seed})
        if not task.aligned:
            off = {**spec.settings, "alignment": {"mode": "off"}}
            spec = spec.model_copy(update={"settings": off})
        scenes = {**drawn.fields, "pooled": drawn.whole}
        names = FIELDS if task.who == "fields" else (task.who,)
        sites = {name: SiteData((), name, {}, self.scratch, name, (scenes[name],)) for name in names}
        model = Classifier(spec.the_settings, simulate(spec, sites).final, {})
        if not task.map:
            return Measured(accuracy(drawn.truth, _classes(model, drawn.split.test), CLASSES))
        return measured_map(drawn, _classes(model, _all_pixels(drawn.whole)).reshape(drawn.whole.labels.shape))


def measured_map(drawn: Draw, found: NDArray[np.int16]) -> Measured:
    """The accuracy of a map (h, w) of the whole scene on the draw's test pixels."""
    return Measured(accuracy(drawn.truth, found[tuple(drawn.split.test.T)], CLASSES), found)


def _classes(model: Classifier, pixels: Pixels) -> NDArray[np.int16]:
    components = model.projection.apply(indian_pines().cube)
    parts = (pixels[start : start + _AT_ONCE] for start in range(0, len(pixels), _AT_ONCE))
    return np.concatenate([model.classes(cut(components, part, model.window)) for part in parts])


def _baseline(drawn: Draw, components: int) -> Measured:
    cube = drawn.whole.cube
    projected = fit(band_sums(cube[tuple(drawn.split.train.T)]), components).apply(cube)
    svm = WindowSvm(drawn.split.window).train(projected, drawn.split.train, drawn.whole.labels)
    return Measured(accuracy(drawn.truth, svm.predict(projected, drawn.split.test), CLASSES))


def _all_pixels(scene: Scene) -> Pixels:
    return np.argwhere(np.ones(scene.labels.shape, bool))
