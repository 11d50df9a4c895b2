"""`python -m edge_client.worker`: the process that trains, told what to do by the agent.

One JSON object a line: requests on stdin, answers on stdout, words for the log on stderr. A request is answered by any
number of `{"progress": [stage, step, steps]}` and one `{"result": …}` or `{"error": {"kind", "message"}}`. The process
lives as long as a job, because loading torch takes seconds.

    {"op": "declare", "job_dir", "site_dir"}                          -> {"declaration": {…}}
    {"op": "update",  "job_dir", "site_dir", "round", "global", "out"} -> {"weight", "media_type", "metrics"}
    {"op": "install", "job_dir", "site_dir", "round", "global", "out"} -> {}
    {"op": "compile", "job_dir", "site_dir"}                          -> {"backend", "precision", "notes"}
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from edge_client.compile_order import order_for_next, write_order
from edge_client.latency_budget import pausing
from edge_client.site_data import SiteReader
from edge_client.threads import bound_threads
from models.method import Arrays, Report, Unusable, derive_seed
from protos.durable import copy_durably
from protos.errors import EdgeFedError, InvalidInput, StateError
from protos.jobs import JobSpec, job_from_json
from protos.tensors import read_tensors, write_tensors

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1  # of prctl(2)


class Training:
    """The four things that the agent asks for. Every method may raise `EdgeFedError` or `Unusable`."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._reader = SiteReader()

    def declare(self, job_dir: Path, site_dir: Path) -> dict[str, Any]:
        """How this site would compute, see `Method.declare`."""
        spec = _spec(job_dir)
        data = self._reader.read(site_dir, job_dir, spec, self._report)
        return {"declaration": dict(spec.the_method.declare(spec.the_settings, data))}

    def update(self, job_dir: Path, site_dir: Path, number: int, previous: Path | None, out: Path) -> dict[str, Any]:
        """One round: writes the update to `out` and the site's own state beside the job's spec.

        A round that is done again after a crash starts from the state before it, so it gives the same bytes.
        """
        spec, report = _spec(job_dir), pausing(self._report, site_dir)
        data = self._reader.read(site_dir, job_dir, spec, report)
        known = None if previous is None else read_tensors(previous)
        seed = derive_seed(spec.seed, number, data.site)
        method, state = spec.the_method, _latest_state(job_dir, number - 1)
        result = method.local_update(spec.the_settings, data, known, state, seed, report)
        write_tensors(_state_path(job_dir, number), result.state)
        write_tensors(out, result.update)
        return {"weight": result.weight, "media_type": method.media_type, "metrics": dict(result.metrics)}

    def install(self, job_dir: Path, site_dir: Path, number: int, final: Path, out: Path) -> dict[str, Any]:
        """Writes the site's model into the folder `out`: spec, global memory, and what the site adds of its own."""
        spec, report = _spec(job_dir), pausing(self._report, site_dir)
        data = self._reader.read(site_dir, job_dir, spec, report)
        seed = derive_seed(spec.seed, number, data.site, "install")
        state = _latest_state(job_dir, number)
        local = spec.the_method.install(spec.the_settings, data, read_tensors(final), state, seed, report)
        write_tensors(out / "local.safetensors", local)
        copy_durably(final, out / "global.safetensors")
        copy_durably(job_dir / "spec.json", out / "spec.json")
        try:
            if order := order_for_next(site_dir):
                write_order(out, order)
        except StateError as error:  # no reason to be without the model
            log.warning("the model will not be compiled by itself: %s", error)
        return {}

    def compile(self, job_dir: Path, site_dir: Path) -> dict[str, Any]:
        """Compiles the job's installed model, see `compile_ordered`."""
        from edge_client.compile.ordered import compile_ordered  # loads what training needs not

        return compile_ordered(site_dir, job_dir.name, pausing(self._report, site_dir))


def answer(request: Mapping[str, Any], training: Training) -> dict[str, Any]:
    """The answer to one request; an error that a user can cause becomes one, anything else ends the process."""
    try:
        job_dir, site_dir = Path(request["job_dir"]), Path(request["site_dir"])
        if request["op"] == "declare":
            return {"result": training.declare(job_dir, site_dir)}
        if request["op"] == "compile":
            return {"result": training.compile(job_dir, site_dir)}
        operation: Callable[..., dict[str, Any]] = {"update": training.update, "install": training.install}[
            request["op"]
        ]
        known = None if request["global"] is None else Path(request["global"])
        return {"result": operation(job_dir, site_dir, request["round"], known, Path(request["out"]))}
    except (EdgeFedError, Unusable) as error:
        if isinstance(error, Unusable) and isinstance(error.__cause__, EdgeFedError):
            log.error("%s", error.__cause__)
        return {"error": {"kind": type(error).__name__, "message": str(error)}}
    except OSError as error:
        return {"error": {"kind": "StateError", "message": f"{error.filename}: {error.strerror}"}}


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answers requests until the agent closes its end."""

    def write(message: Mapping[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    training = Training(lambda stage, step, steps: write({"progress": [stage, step, steps]}))
    for line in requests:
        write(answer(json.loads(line), training))


def _spec(job_dir: Path) -> JobSpec:
    return job_from_json((job_dir / "spec.json").read_text())


def _state_path(job_dir: Path, number: int) -> Path:
    return job_dir / f"state-{number}.safetensors"


def _latest_state(job_dir: Path, number: int) -> Arrays:
    """The site's state after round `number`, or after the last round before it that the site took part in."""
    # What is there is looked through, and not every number: the coordinator says the number, up to 2 ** 32.
    rounds = [int(path.stem.removeprefix("state-")) for path in job_dir.glob("state-*.safetensors")]
    latest = max((kept for kept in rounds if 0 < kept <= number), default=0)
    return read_tensors(_state_path(job_dir, latest)) if latest else {}


def main() -> None:
    """Takes stdout for the answers alone: whatever else prints goes to the log."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # an agent that was killed leaves no worker behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is for the agent, which ends the worker
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    os.nice(5)  # the line that this machine serves goes first
    try:
        bound_threads()
    except InvalidInput as error:
        sys.exit(str(error))
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
