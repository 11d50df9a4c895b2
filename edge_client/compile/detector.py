"""A detector's graph where none is kept, proven on the site's images in the precision that was asked for."""

from __future__ import annotations

import time
from dataclasses import replace

from edge_client.bundle.calibration import CalibrationFile
from edge_client.bundle.files import CALIBRATION
from edge_client.calibration import calibrate
from edge_client.compile.contents import contents
from edge_client.compile.request import CompiledDetector, Request, Timings
from edge_client.compile.source import Source, read_exhibit, read_source
from edge_client.compiled.backends import Graph, choose_runner
from edge_client.compiled.runner import Runner
from edge_client.judging import ENGINES
from edge_client.prove.certificate import Precision
from edge_client.prove.exhibit import Exhibit, ask
from edge_client.prove.precision import Choice, Subject, choose
from models.method import Report

_SWAPS = 20


def compile_detector(request: Request, report: Report) -> CompiledDetector:
    """Compiles a model that judges images. Raises as `compile_model`."""
    report("loading and exporting", 0, 1)
    source = read_source(request.root, request.job)
    # A backend that is not here, or a bank for which there is no room, is told before the slow part.
    _load(request, source, source.graph, "fp32").close()
    exhibit = read_exhibit(request.root, source.model, report)
    choice = _proven(request, source, exhibit, report)
    timings = _timed(request, source, choice)
    choice.runner.close()
    files = contents(source, choice, exhibit.roles)
    scores = CalibrationFile.model_validate_json(files[CALIBRATION])
    return CompiledDetector(
        job=source.model.job, backend=choice.runner.backend, device=choice.runner.device, parity=choice.parity,
        files=files, timings=timings, refused=choice.refused,
        calibration=calibrate(scores.scores, scores.false_reject_rate),
    )  # fmt: skip


def _proven(request: Request, source: Source, exhibit: Exhibit, report: Report) -> Choice:
    report("asking the trained model", 0, 1)
    trained = ask(source.score, exhibit)
    subject = Subject(
        graph=source.graph, bank=source.bank, exhibit=exhibit, trained=trained, trained_name="trained model in torch",
        rate=source.model.settings.score.false_reject_rate,
    )  # fmt: skip
    report("proving", 0, 1)
    return choose(subject, request.precision, lambda graph, precision: _load(request, source, graph, precision), report)


def _load(request: Request, source: Source, onnx: bytes, precision: Precision) -> Runner:
    size = source.model.settings.features.image_size
    graph = Graph(name=source.model.job, onnx=onnx, precision=precision, size=size)
    return choose_runner(
        graph, source.bank, request.backend, engines=request.root / ENGINES, allow_fallback=request.allow_fallback
    )


def _timed(request: Request, source: Source, choice: Choice) -> Timings:
    started = time.perf_counter()
    _load(replace(request, backend=choice.runner.backend), source, choice.graph, choice.parity.precision).close()
    loaded = time.perf_counter()
    for _ in range(_SWAPS):
        choice.runner.swap(source.bank)
    swapped = time.perf_counter()
    return Timings(source.exported, source.export_s, loaded - started, (swapped - loaded) / _SWAPS)
