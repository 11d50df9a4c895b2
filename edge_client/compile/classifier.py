"""A classifier's network as a graph, proven on pixels of the site's own scenes.

Letters: n pixels, c components, s side of a window.
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from blake3 import blake3
from numpy.typing import NDArray

from edge_client.bundle.classifier_card import classifier_card
from edge_client.bundle.files import CARD, MANIFEST, MODELS, PARITY, WEIGHTS
from edge_client.bundle.manifest import ClassifierManifest, Windows
from edge_client.bundle.record import Graph
from edge_client.compile.export import OPSET
from edge_client.compile.network import export_network
from edge_client.compile.request import Compiled, Request, Timings
from edge_client.compile.source import installed_round
from edge_client.compiled.classifier import CompiledClassifier, choose_provider
from edge_client.config import load_site_config
from edge_client.cubes.scene_model import load_classifier
from edge_client.prove.gates import refusal
from edge_client.prove.pixels import PixelParity, certify_pixels
from edge_client.site_data import SiteReader, checked_weights
from edge_client.state import model_folder
from models.method import Report, Unusable
from models.sformer.graph import exportable
from models.wsa.classifier import Classifier
from models.wsa.pixels import labelled_scenes
from models.wsa.settings import Settings
from protos.errors import InvalidInput, StateError
from protos.jobs import JobSpec

_PIXELS, _VALUES = 2048, 1 << 26  # of all scenes together, and of their windows
_AT_ONCE = 64


def compile_classifier(request: Request, report: Report) -> Compiled:
    """Compiles a model that classifies the pixels of cubes. Raises as `compile_model`."""
    if request.precision != "fp32":
        raise InvalidInput(f"a classifier of pixels is compiled in fp32, and {request.precision} was asked for")
    # Told before the slow part.
    provider = choose_provider(request.backend, allow_fallback=request.allow_fallback)
    folder = model_folder(request.root, request.job)
    report("loading and exporting", 0, 1)
    spec, classifier, settings = load_classifier(folder, checked_weights(load_site_config(request.root)))
    started = time.perf_counter()
    components, side = classifier.projection.matrix.shape[1], classifier.window
    example = torch.zeros(1, components, side, side)
    graph = export_network(exportable(classifier.network), (example,))
    exported = time.perf_counter()
    compiled = CompiledClassifier(graph, (components, side, side), len(settings.classes), provider)
    loaded = time.perf_counter()
    parity = _proven(classifier, compiled, settings, _windows(request.root, spec, settings, classifier, report), report)
    files = {
        MODELS["fp32"]: graph,
        WEIGHTS: (folder / "global.safetensors").read_bytes(),
        PARITY: parity.model_dump_json(indent=2).encode() + b"\n",
    }
    manifest = _manifest(spec, settings, classifier, installed_round(request.root, spec.name), files, parity)
    return Compiled(
        job=spec.name, backend=compiled.backend, device=compiled.device, parity=parity,
        files={**files, MANIFEST: manifest.to_json(), CARD: classifier_card(manifest, parity).encode()},
        timings=Timings(True, exported - started, loaded - exported),
    )  # fmt: skip


def _windows(
    root: Path, spec: JobSpec, settings: Settings, classifier: Classifier, report: Report
) -> NDArray[np.float32]:
    """(n, c, s, s) of pixels evenly from the site's scenes, labelled or not."""
    job = root / "jobs" / spec.name
    job.mkdir(parents=True, exist_ok=True)
    try:
        scenes = labelled_scenes(settings, SiteReader().read(root, job, spec, report))
    except Unusable as error:
        raise InvalidInput(f"a compiled model is proven on the site's own scenes, and {error}") from error
    values = classifier.projection.matrix.shape[1] * classifier.window**2
    most, found = max(1, min(_PIXELS, _VALUES // values) // len(scenes)), []
    for scene in scenes:
        valid = np.argwhere(scene.scene.valid)
        chosen = valid[np.linspace(0, len(valid) - 1, min(len(valid), most)).astype(int)]
        found.append(replace(scene, pixels=chosen).windows(classifier.projection, classifier.window))
    return np.concatenate(found)


def _proven(
    classifier: Classifier,
    compiled: CompiledClassifier,
    settings: Settings,
    windows: NDArray[np.float32],
    report: Report,
) -> PixelParity:
    trained, found = [], []
    for start in range(0, len(windows), _AT_ONCE):
        part = windows[start : start + _AT_ONCE]
        trained.append(classifier.logits(part))
        found.append(compiled.logits(part))
        report("proving", start + len(part), len(windows))
    logits = np.concatenate(trained)
    if not np.isfinite(logits).all():
        raise StateError("the trained model's logits are not finite; run its job again")
    parity = certify_pixels(
        windows, logits, np.concatenate(found), settings.classes, against="trained model in torch", by=compiled
    )
    if error := refusal(parity):
        raise error
    return parity


def _manifest(
    spec: JobSpec, settings: Settings, classifier: Classifier, number: int | None, files: dict[str, bytes],
    parity: PixelParity,
) -> ClassifierManifest:  # fmt: skip
    bands, components = classifier.projection.matrix.shape
    return ClassifierManifest(
        edgefed=version("edgefed"), job=spec.name, round=number, global_digest=blake3(files[WEIGHTS]).hexdigest(),
        backend=parity.backend, precision="fp32", network=settings.network, classes=settings.classes,
        graph=Graph(opset=OPSET, exporter=f"torch {version('torch')}"),
        input=Windows(
            bands=bands, wavelengths=settings.bands.wavelengths, components=components, size=classifier.window
        ),
    )  # fmt: skip
