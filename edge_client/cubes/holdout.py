"""Holds labelled pixels of a site's scenes back from training, and measures a model on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from models.hsi.accuracy import Accuracy, accuracy
from models.hsi.classes import renumbered
from models.hsi.scene import Scene
from models.hsi.splits import Split, check_trained, disjoint_split, random_split
from models.hsi.window_svm import WindowSvm
from models.hsi.windows import Pixels
from models.method import Report, SiteData
from models.wsa.networks import NETWORKS
from models.wsa.pixels import LabelledScene, labelled_scenes
from models.wsa.settings import Settings

if TYPE_CHECKING:  # torch is loaded where a model is
    from models.wsa.classifier import Classifier

Kind = Literal["disjoint", "random"]
_AT_ONCE = 4096


@dataclass(frozen=True)
class Measured:
    """What a model, and the window baseline beside it, score on the test pixels of a site's scenes."""

    splits: tuple[Split, ...]
    model: Accuracy
    svm: Accuracy

    @property
    def kind(self) -> Kind:
        """Of all splits."""
        return self.splits[0].kind

    @property
    def train_pixels(self) -> int:
        """In all scenes."""
        return sum(len(split.train) for split in self.splits)

    @property
    def test_pixels(self) -> int:
        """In all scenes."""
        return sum(len(split.test) for split in self.splits)


def split_scenes(
    scenes: Sequence[Scene], settings: Settings, kind: Kind, per_class: int, seed: int
) -> tuple[Split, ...]:
    """Splits the labelled pixels of each scene for a job's windows.

    Raises:
        ValueError: see `models.hsi.splits`.
    """
    window = NETWORKS[settings.network].window
    labels = [renumbered(scene.labels, scene.class_names, settings.classes) for scene in scenes]
    draw = disjoint_split if kind == "disjoint" else random_split
    splits = tuple(draw(plane, window, seed=seed, per_class=per_class) for plane in labels)
    train, test = (
        np.concatenate([plane[tuple(side(split).T)] for plane, split in zip(labels, splits, strict=True)])
        for side in (attrgetter("train"), attrgetter("test"))
    )
    check_trained(train, test, settings.classes)
    return splits


def with_labels_at(data: SiteData, pixels: Sequence[Pixels]) -> SiteData:
    """A site's data with the labels of some pixels (n, 2) of each scene alone."""
    return replace(data, scenes=tuple(map(Scene.labelled_at, data.scenes, pixels)))


def measure(
    classifier: Classifier, settings: Settings, data: SiteData, splits: tuple[Split, ...], report: Report
) -> Measured:
    """Judges the test pixels of a site's scenes, and trains the baseline on their training pixels.

    Args:
        classifier: of the job.
        settings: of the job.
        data: of the site, with whole scenes.
        splits: of those scenes; their windows are looked at once more before anything is measured.
        report: told how many pixels are done.

    Raises:
        ValueError: windows of the two sides overlap, or the training pixels are of one class.
    """
    for scene, split in zip(data.scenes, splits, strict=True):
        split.check((scene.labels.shape[0], scene.labels.shape[1]))
    train = labelled_scenes(settings, with_labels_at(data, [split.train for split in splits]))
    test = labelled_scenes(settings, with_labels_at(data, [split.test for split in splits]))
    svm = WindowSvm(classifier.window)
    means = [(windows.mean(axis=(2, 3)), truth) for windows, truth in _parts(train, classifier)]
    svm.fit(np.concatenate([mean for mean, _ in means]), np.concatenate([truth for _, truth in means]))
    found: dict[str, list[NDArray[np.int16]]] = {"truth": [], "model": [], "svm": []}
    for windows, truth in _parts(test, classifier):
        found["truth"].append(truth)
        found["model"].append(classifier.classes(windows))
        found["svm"].append(svm.classes(windows.mean(axis=(2, 3))))
        report("testing", sum(map(len, found["truth"])), sum(len(scene.pixels) for scene in test))
    truth, model, baseline = (np.concatenate(found[key]) for key in ("truth", "model", "svm"))
    return Measured(splits, accuracy(truth, model, settings.classes), accuracy(truth, baseline, settings.classes))


def _parts(
    scenes: Sequence[LabelledScene], classifier: Classifier
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int16]]]:
    """Windows (n, c, s, s) and classes (n,) of the labelled pixels, some thousand at a time."""
    for scene in scenes:
        for start in range(0, len(scene.pixels), _AT_ONCE):
            part = replace(scene, pixels=scene.pixels[start : start + _AT_ONCE])
            yield part.windows(classifier.projection, classifier.window), scene.labels[tuple(part.pixels.T)]
