"""`edgefed client serve`: the compiled model at the line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_client.cli_detect import BundlePath, StateDir


def serve(
    http: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="KServe v2, images with POST /inspect, and /metrics.")
    ] = None,
    zmq: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Frames in and verdicts out, as tcp://127.0.0.1:5555.")
    ] = None,
    feed: Annotated[str | None, typer.Option(metavar="ENDPOINT", help="Publish every verdict over ZeroMQ.")] = None,
    watch: Annotated[Path | None, typer.Option(metavar="DIR", help="Judge every image that comes into it.")] = None,
    results: Annotated[Path | None, typer.Option(metavar="DIR", help="Results of --watch.")] = None,
    state: StateDir = None,
    bundle: BundlePath = None,
    latency_budget_ms: Annotated[
        float | None, typer.Option(help="Training on this machine pauses while 99 % of images take longer.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log JSON lines.")] = False,
) -> None:
    """Serve the compiled model until SIGTERM; another one takes its place without a dropped image."""
    from edge_client.serve.logs import log_to_stderr
    from edge_client.state import default_root
    from edge_client.threads import bound_threads
    from protos.errors import InvalidInput

    log_to_stderr(as_json=as_json)
    bound_threads()
    try:
        from edge_client.serve.server import Options
        from edge_client.serve.server import serve as serve_model

        serve_model(
            Options(
                root=state or default_root(), bundle=bundle, http=http, zmq=zmq, feed=feed, watch=watch,
                results=results, budget_ms=latency_budget_ms,
            )
        )  # fmt: skip
    except ModuleNotFoundError as error:
        raise InvalidInput(f"serving needs {error.name}, which is not here: pip install 'edgefed[serve]'") from error
