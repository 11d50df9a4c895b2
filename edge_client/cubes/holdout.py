"""Holds labelled pixels of a scene back from training, and measures a model on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    """What a model, and the window baseline beside it, score on a split's test pixels."""

    split: Split
    model: Accuracy
    svm: Accuracy


def split_scene(scene: Scene, settings: Settings, kind: Kind, per_class: int, seed: int) -> Split:
    """Splits the labelled pixels of a scene for a job's windows.

    Raises:
        ValueError: see `models.hsi.splits`.
    """
    window = NETWORKS[settings.network].window
    labels = renumbered(scene.labels, scene.class_names, settings.classes)
    split = (disjoint_split if kind == "disjoint" else random_split)(labels, window, seed=seed, per_class=per_class)
    check_trained(split, labels, settings.classes)
    return split


def with_labels_at(scene: Scene, pixels: Pixels) -> Scene:
    """The scene with the labels of these pixels (n, 2) alone."""
    kept = np.zeros_like(scene.labels)
    kept[tuple(pixels.T)] = scene.labels[tuple(pixels.T)]
    return replace(scene, labels=kept)


def measure(classifier: Classifier, settings: Settings, data: SiteData, split: Split, report: Report) -> Measured:
    """Judges a scene's test pixels, and trains the baseline on its training pixels.

    Args:
        classifier: of the job.
        settings: of the job.
        data: of the site, with the whole scene.
        split: of that scene; its windows are looked at once more before anything is measured.
        report: told how many pixels are done.

    Raises:
        ValueError: windows of the two sides overlap, or the training pixels are of one class.
    """
    scene = data.scenes[0]
    split.check((scene.labels.shape[0], scene.labels.shape[1]))
    train, test = (
        labelled_scenes(settings, replace(data, scenes=(with_labels_at(scene, side),)))[0]
        for side in (split.train, split.test)
    )
    svm = WindowSvm(split.window)
    svm.fit(*_means(train, classifier, split.window))
    found: dict[str, list[NDArray[np.int16]]] = {"truth": [], "model": [], "svm": []}
    for windows, truth in _parts(test, classifier, split.window):
        found["truth"].append(truth)
        found["model"].append(classifier.classes(windows))
        found["svm"].append(svm.classes(windows.mean(axis=(2, 3))))
        report("testing", sum(map(len, found["truth"])), len(test.pixels))
    truth, model, baseline = (np.concatenate(found[key]) for key in ("truth", "model", "svm"))
    return Measured(split, accuracy(truth, model, settings.classes), accuracy(truth, baseline, settings.classes))


def _means(scene: LabelledScene, classifier: Classifier, side: int) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    parts = [(windows.mean(axis=(2, 3)), truth) for windows, truth in _parts(scene, classifier, side)]
    return np.concatenate([means for means, _ in parts]), np.concatenate([truth for _, truth in parts])


def _parts(
    scene: LabelledScene, classifier: Classifier, side: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int16]]]:
    """Windows (n, c, s, s) and classes (n,) of the labelled pixels, some thousand at a time."""
    for start in range(0, len(scene.pixels), _AT_ONCE):
        part = replace(scene, pixels=scene.pixels[start : start + _AT_ONCE])
        yield part.windows(classifier.projection, side), scene.labels[tuple(part.pixels.T)]
