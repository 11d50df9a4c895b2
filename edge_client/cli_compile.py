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
    from edge_client.compile.compiler import Compiled
    from models.method import Report


class Backend(StrEnum):
    """What runs the graph."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"
    ONNXRUNTIME_CUDA = "onnxruntime-cuda"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


class Precision(StrEnum):
    """Of the backbone; distances are float32 in all of them."""

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

    A precision that changes decisions is refused: float32 is kept, and the exit code is 5 or 6.
    """
    from edge_client.state import default_root
    from edge_client.threads import bound_threads

    bound_threads()
    from protos.errors import InvalidInput

    try:
        from edge_client.compile.compiler import Request, compile_model
    except ModuleNotFoundError as error:
        raise InvalidInput(f"compiling needs {error.name}, which is not here: pip install 'edgefed[train]'") from error
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a coordinator that is away is told in one line of our own
    from edge_client.signing import try_to_sign

    request = Request(state or default_root(), job, backend.value, precision.value, allow_fallback)
    with _progress() as report:
        compiled = compile_model(request, report)
    _print(compiled, try_to_sign(request.root, compiled.folder), as_json=as_json)
    if compiled.choice.refused:
        raise compiled.choice.refused


def _print(compiled: Compiled, unsigned: str | None, *, as_json: bool) -> None:
    timings, parity = compiled.timings, compiled.choice.parity
    if as_json:
        document = {
            "job": compiled.job,
            "bundle": str(compiled.folder),
            "backend": compiled.choice.runner.backend,
            "device": compiled.choice.runner.device,
            "threshold_note": str(compiled.calibration) if compiled.calibration else NO_THRESHOLD,
            "signed": unsigned is None,
            "unsigned_because": unsigned,
            "seconds": asdict(timings),
            "parity": parity.model_dump(mode="json"),
        }
        typer.echo(json.dumps(document))
        return
    from rich.console import Console

    from edge_client.prove.parity_table import print_parity

    print_parity(parity, Console())
    typer.echo(compiled.calibration or NO_THRESHOLD)
    graph = f"exported in {timings.export:.1f} s" if timings.exported else "kept from an earlier memory"
    typer.echo(f"graph: {graph}; loaded in {timings.load:.2f} s; another memory takes {1000 * timings.swap:.2f} ms")
    typer.echo(f"{compiled.folder}: {parity.precision} on {compiled.choice.runner.backend}")
    typer.echo(f"not signed yet: {unsigned}" if unsigned else "signed by the coordinator")


@contextmanager
def _progress() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1)
        yield lambda stage, step, steps: progress.update(task, description=stage, completed=step, total=steps)
