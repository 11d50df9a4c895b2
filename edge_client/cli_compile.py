"""`edgefed client compile`: the installed model for this machine's own hardware, proven and packed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_client.cli_detect import NO_THRESHOLD

if TYPE_CHECKING:  # imported in the command: `edgefed --help` must not wait for torch
    from edge_client.compile.request import Compiled
    from edge_client.prove.certificate import Parity
    from edge_client.prove.pixels import PixelParity
    from models.method import Report


class Backend(StrEnum):
    """What runs the graph."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"
    ONNXRUNTIME_CUDA = "onnxruntime-cuda"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


class Precision(StrEnum):
    """Of a detector's backbone; distances are float32 in all of them. Classifiers of pixels are float32."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


def compile_(
    backend: Annotated[Backend, typer.Option(help="What is to run it.")] = Backend.ONNXRUNTIME,
    precision: Annotated[Precision, typer.Option(help="Of the backbone.")] = Precision.FP32,
    allow_fallback: Annotated[
        bool, typer.Option("--allow-fallback", help="Take the CPU where the backend is not on this machine.")
    ] = False,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="State folder; $XDG_STATE_HOME/edgefed/client.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="Whose model; the current one where left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compile the installed model for this machine, prove that it decides as the trained one, and pack it.

    Models that judge images and models that classify the pixels of cubes are compiled alike; the latter run in float32,
    on ONNX Runtime. A precision that changes decisions is refused: float32 is kept, and the exit code is 5 or 6.
    """
    from edge_client.state import default_root
    from edge_client.threads import bound_threads

    bound_threads()
    from protos.errors import InvalidInput

    try:
        from edge_client.compile.compiler import compile_model
        from edge_client.compile.request import Request
    except ModuleNotFoundError as error:
        raise InvalidInput(f"compiling needs {error.name}, which is not here: pip install 'edgefed[train]'") from error
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a coordinator that is away is told in one line of our own
    from edge_client.signing import try_to_sign

    request = Request(state or default_root(), job, backend.value, precision.value, allow_fallback)
    with _progress() as report:
        folder, compiled = compile_model(request, report)
    _print(folder, compiled, try_to_sign(request.root, folder), as_json=as_json)
    if compiled.refused:
        raise compiled.refused


def _print(folder: Path, compiled: Compiled, unsigned: str | None, *, as_json: bool) -> None:
    from edge_client.compile.request import CompiledDetector

    timings = compiled.timings
    note = (compiled.calibration or NO_THRESHOLD) if isinstance(compiled, CompiledDetector) else None
    if as_json:
        document = {
            "job": compiled.job,
            "bundle": str(folder),
            "backend": compiled.backend,
            "device": compiled.device,
            **({"threshold_note": str(note)} if note else {}),
            "signed": unsigned is None,
            "unsigned_because": unsigned,
            "seconds": asdict(timings),
            "parity": compiled.parity.model_dump(mode="json"),
        }
        typer.echo(json.dumps(document))
        return
    _print_parity(compiled.parity)
    if note:
        typer.echo(note)
    graph = f"exported in {timings.export:.1f} s" if timings.exported else "kept from an earlier memory"
    swap = "" if timings.swap is None else f"; another memory takes {1000 * timings.swap:.2f} ms"
    typer.echo(f"graph: {graph}; loaded in {timings.load:.2f} s{swap}")
    typer.echo(f"{folder}: {compiled.parity.precision} on {compiled.backend}")
    typer.echo(f"not signed yet: {unsigned}" if unsigned else "signed by the coordinator")


def _print_parity(parity: Parity | PixelParity) -> None:
    from rich.console import Console

    from edge_client.prove.certificate import Parity
    from edge_client.prove.parity_table import print_parity

    if isinstance(parity, Parity):
        print_parity(parity, Console())
        return
    typer.echo(f"{parity.agreement:.2%} of {parity.pixels} pixels get the class of the {parity.reference}")
    typer.echo(f"of 1000 logits 999 differ by at most {parity.quantile:.1e} of how much they vary")
    for one in parity.changed:
        typer.echo(f"changed: {one.compiled}, trained {one.trained}, whose logit is {one.margin:.2g} higher")


@contextmanager
def _progress() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1)
        yield lambda stage, step, steps: progress.update(task, description=stage, completed=step, total=steps)
