"""From a site's installed model to a bundle that is proven to decide as it does."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from edge_client.bundle.calibration import CalibrationFile
from edge_client.bundle.files import CALIBRATION
from edge_client.bundle.writing import write_bundle
from edge_client.calibration import Calibration, calibrate
from edge_client.compile.alone import alone
from edge_client.compile.contents import contents
from edge_client.compile.source import Source, read_exhibit, read_source
from edge_client.compile_order import COMPILED, Order, read_order, write_order
from edge_client.compiled.backends import Graph, choose_runner
from edge_client.compiled.runner import Runner
from edge_client.judging import ENGINES
from edge_client.plain import one_line
from edge_client.prove.certificate import Precision
from edge_client.prove.exhibit import Exhibit, ask
from edge_client.prove.precision import Choice, Subject, choose
from models.method import Report

_SWAPS = 20


@dataclass(frozen=True)
class Request:
    """What is to be compiled, and for what.

    Attributes:
        root: the site's state folder.
        job: whose model; None is the current one.
        backend: see `choose_runner`.
        precision: of the backbone.
        allow_fallback: see `choose_runner`.
    """

    root: Path
    job: str | None
    backend: str
    precision: Precision
    allow_fallback: bool = False


@dataclass(frozen=True)
class Timings:
    """Seconds that a new memory costs, with and without what an input of the graph saves.

    Attributes:
        exported: whether the graph was made now, and not kept from an earlier memory.
        export: to have the graph.
        load: to have a runner of it, with a TensorRT engine from the cache.
        swap: to put another bank into that runner, the mean of several.
    """

    exported: bool
    export: float
    load: float
    swap: float


@dataclass(frozen=True)
class Compiled:
    """What came of it.

    Attributes:
        folder: the bundle.
        job: whose model it is.
        choice: precision, certificates, and why a precision was refused.
        calibration: what the compiled model's scores mean; None where no normal image was held out.
        timings: of a new memory.
    """

    folder: Path
    job: str
    choice: Choice
    calibration: Calibration | None
    timings: Timings


def compile_model(request: Request, report: Report) -> Compiled:
    """Exports the graph where none is kept, proves it, and writes the bundle into `models/JOB/compiled`.

    A precision that misses its gates is refused and float32 is kept: see `Choice.refused`.

    Raises:
        InvalidInput: there is no such model or backend, or the site's images are gone.
        IntegrityError: the backbone's weights are not those that `site.toml` means.
        BackendMissing: the backend is not on this machine.
        ParityError: not even float32 decides as the trained model does; nothing is written.
        EngineError: the backend cannot run the graph.
        StateError: the model's files are damaged, the disk has no room, or another process compiles here.
    """
    with alone(request.root):
        return _compile(request, report)


def _compile(request: Request, report: Report) -> Compiled:
    report("loading and exporting", 0, 1)
    source = read_source(request.root, request.job)
    before = read_order(source.model.folder)
    # A backend that is not here, or a bank for which there is no room, is told before the slow part.
    _load(request, source, source.graph, "fp32").close()
    exhibit = read_exhibit(request.root, source.model, report)
    choice = _proven(request, source, exhibit, report)
    timings = _timed(request, source, choice)
    choice.runner.close()
    report("writing", 0, 1)
    folder = source.model.folder / COMPILED
    files = contents(source, choice, exhibit.roles)
    write_bundle(folder, files)
    write_order(source.model.folder, _order(request, before, choice))
    scores = CalibrationFile.model_validate_json(files[CALIBRATION])
    return Compiled(folder, source.model.job, choice, calibrate(scores.scores, scores.false_reject_rate), timings)


def _order(request: Request, before: Order | None, choice: Choice) -> Order:
    """What models that follow are compiled by."""
    return Order(
        backend=request.backend, precision=request.precision, allow_fallback=request.allow_fallback,
        forerunner=before.forerunner if before else None, refused=one_line(str(choice.refused or "")),
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
