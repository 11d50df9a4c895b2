"""The process that looks into updates and aggregates them: `python -m coordinator.worker`.

One JSON object a line on stdin, one answer a line on stdout; it ends with its stdin. It is a process of its own so
that the port keeps answering while it computes, and so that the coordinator's memory does not hold models.

    {"op": "check", "spec": JSON, "declaration": {..}, "previous": PATH or null, "path": PATH}  -> {"result": {}}
    {"op": "aggregate", "spec": JSON, "round": R, "previous": PATH or null,
     "updates": [{"site", "weight", "discount", "path"}, ..], "out": PATH}
                                               -> {"result": {"remarks": {SITE: TEXT}, "metrics": {NAME: NUMBER}}}
    anything that goes wrong                                          -> {"error": {"kind": NAME, "message": TEXT}}
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from models.method import RejectedUpdate, Update, derive_seed, methods
from protos.errors import InvalidInput, StateError
from protos.jobs import JobSpec
from protos.tensors import TensorFile, write_tensors

_LOG = logging.getLogger("coordinator.worker")
_MOST_TOLD = 1_000  # characters of a fault: it goes into the round's record, and a site may have worded part of it


def check(spec: JobSpec, declaration: Mapping[str, str], previous: Path | None, path: Path) -> None:
    """Looks into one update that was made from the global `previous`. Raises `RejectedUpdate` with the reason."""
    before = _global(previous)
    try:
        spec.the_method.check(spec.the_settings, declaration, before, TensorFile(path))
    except InvalidInput as error:
        raise RejectedUpdate(f"cannot be read: {error}") from error


def aggregate(
    spec: JobSpec, number: int, previous: Path | None, updates: list[Mapping[str, Any]], out: Path
) -> dict[str, Any]:
    """Aggregates a round's updates in the order given, no more in memory than the method looks at, into a file.

    Returns what the method remarks on sites and measured.
    """
    seed = derive_seed(spec.seed, number, "coordinator")
    aggregated = spec.the_method.aggregate(spec.the_settings, _global(previous), _read(updates), seed)
    write_tensors(out, aggregated.arrays)
    return {"remarks": dict(aggregated.remarks), "metrics": dict(aggregated.metrics)}


def _global(path: Path | None) -> TensorFile | None:
    return None if path is None else TensorFile(path)


def _read(updates: list[Mapping[str, Any]]) -> Iterator[Update]:
    for update in updates:
        yield Update(update["site"], update["weight"], TensorFile(Path(update["path"])), update["discount"])


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Does one request; whatever goes wrong is told and does not end the process."""
    try:
        spec = JobSpec.model_validate_json(request["spec"])
        previous = Path(request["previous"]) if request["previous"] else None
        if request["op"] == "check":
            check(spec, request["declaration"], previous, Path(request["path"]))
            return {"result": {}}
        told = aggregate(spec, request["round"], previous, request["updates"], Path(request["out"]))
        return {"result": told}
    except RejectedUpdate as error:
        return {"error": {"kind": "RejectedUpdate", "message": str(error)[:_MOST_TOLD]}}
    except (StateError, OSError) as error:  # a full disk: the method is not at fault, and it will be tried again
        return {"error": {"kind": StateError.__name__, "message": str(error)[:_MOST_TOLD]}}
    except Exception as error:  # a method is code of other people: its faults end a round, not this process
        _LOG.exception("the method %s failed", request.get("op"))
        return {"error": {"kind": type(error).__name__, "message": str(error)[:_MOST_TOLD] or type(error).__name__}}


def _open_many_files() -> None:
    """Every update of a round is a file that stays open while it is aggregated; by default 1,024 would be the most."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    """Answers requests until stdin ends."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # Whoever asked may be gone by the time of the answer; then there is nothing left to do.
    with suppress(BrokenPipeError), os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what a method prints must not get between the answers
        _open_many_files()
        methods()
        for line in sys.stdin:
            answers.write(json.dumps(answer(json.loads(line))) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
