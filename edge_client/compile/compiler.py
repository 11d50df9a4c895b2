"""From a site's installed model to a bundle that is proven to decide as it does."""

from __future__ import annotations

from pathlib import Path

from edge_client.bundle.writing import write_bundle
from edge_client.compile.alone import alone
from edge_client.compile.classifier import compile_classifier
from edge_client.compile.detector import compile_detector
from edge_client.compile.request import Compiled, Request
from edge_client.compile_order import COMPILED, Order, read_order, write_order
from edge_client.cubes.scene_model import read_spec
from edge_client.plain import one_line
from edge_client.state import model_folder
from models.method import Report


def compile_model(request: Request, report: Report) -> tuple[Path, Compiled]:
    """Exports the graph, proves it, and writes the bundle into `models/JOB/compiled`, the folder that comes back.

    A precision that misses its gates is refused and float32 is kept: see `Compiled.refused`.

    Raises:
        InvalidInput: there is no such model or backend, or the site's images or scenes are gone.
        IntegrityError: the backbone's weights are not those that `site.toml` means.
        BackendMissing: the backend is not on this machine.
        ParityError: not even float32 decides as the trained model does; nothing is written.
        EngineError: the backend cannot run the graph.
        StateError: the model's files are damaged, the disk has no room, or another process compiles here.
    """
    with alone(request.root):
        model = model_folder(request.root, request.job)
        before = read_order(model)
        kind = compile_classifier if read_spec(model).the_method.data == "cube" else compile_detector
        compiled = kind(request, report)
        report("writing", 0, 1)
        write_bundle(model / COMPILED, compiled.files)
        write_order(model, _order(request, before, compiled))
        return model / COMPILED, compiled


def _order(request: Request, before: Order | None, compiled: Compiled) -> Order:
    """What models that follow are compiled by."""
    return Order(
        backend=request.backend, precision=request.precision, allow_fallback=request.allow_fallback,
        forerunner=before.forerunner if before else None, refused=one_line(str(compiled.refused or "")),
    )  # fmt: skip
