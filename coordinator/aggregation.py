"""The worker process as the coordinator uses it: started while a job runs, asked one thing at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.method import RejectedUpdate
from protos.errors import StateError
from protos.jobs import JobSpec, job_to_json

_LOG = logging.getLogger("coordinator.aggregation")
_ENVIRONMENT = {
    # More than two OpenMP threads add partial sums in the order in which they finish, and the last bits then differ
    # from run to run; with two the order cannot matter.
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
    # Large pages for tensors: with small ones, fetching an update's memory takes three times as long as averaging it.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_ANSWER_BYTES = 1 << 20


@dataclass(frozen=True)
class Received:
    """An update as it lies in the store; see `models.method.Update` for its fields."""

    site: str
    weight: float
    discount: float
    path: Path


@dataclass(frozen=True)
class Told:
    """What a method says of an aggregation; see `models.method.Aggregated`."""

    remarks: Mapping[str, str]
    metrics: Mapping[str, float]


class AggregationFailed(Exception):
    """The method failed on updates that had passed its check, or the process died twice."""


_ERRORS: dict[str, type[Exception]] = {
    "RejectedUpdate": RejectedUpdate,
    "OSError": StateError,
    "StateError": StateError,
}


class AggregationWorker:
    """A handle on the worker process; it is started when first needed."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._exchanges: set[asyncio.Task[Any]] = set()

    async def check(self, spec: JobSpec, declaration: Mapping[str, str], previous: Path | None, path: Path) -> None:
        """Looks into one update made from the global `previous`.

        Raises:
            RejectedUpdate: with the reason.
            AggregationFailed: with the method's message.
        """
        request = {
            "op": "check", "spec": job_to_json(spec), "declaration": dict(declaration),
            "previous": str(previous) if previous else None, "path": str(path),
        }  # fmt: skip
        await self._ask(request)

    async def aggregate(
        self, spec: JobSpec, number: int, previous: Path | None, updates: Sequence[Received], out: Path
    ) -> Told:
        """Writes the aggregate of round `number` to `out`, durably; returns what the method says of it.

        Raises:
            AggregationFailed: with the method's message.
            StateError: the aggregate cannot be written, as on a full disk.
        """
        listed = [asdict(update) | {"path": str(update.path)} for update in updates]
        request = {
            "op": "aggregate", "spec": job_to_json(spec), "round": number, "updates": listed, "out": str(out),
            "previous": str(previous) if previous else None,
        }  # fmt: skip
        try:
            return Told(**await self._ask(request))
        except RejectedUpdate as error:
            raise AggregationFailed(str(error)) from error

    async def start(self) -> None:
        """Starts the process, so that its imports are done when the first update comes."""
        async with self._lock:
            await self._started()

    async def rest(self) -> None:
        """Ends the process once it has answered what it was asked."""
        async with self._lock:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                await self._process.wait()
            self._process = None

    async def stop(self) -> None:
        """Ends the process, whatever it is doing."""
        for exchange in self._exchanges:
            exchange.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._process = None

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        # A caller may be cancelled (its peer hung up); the exchange goes on, or the next one would get its answer.
        exchange = asyncio.create_task(self._exchange(request))
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._exchanges.discard)
        answer = await asyncio.shield(exchange)
        if error := answer.get("error"):
            raise _ERRORS.get(error["kind"], AggregationFailed)(error["message"])
        result: dict[str, Any] = answer["result"]
        return result

    async def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        line = json.dumps(request).encode() + b"\n"
        async with self._lock:
            for _ in range(2):  # a worker that was killed is replaced once
                process = await self._started()
                if (reply := await _say(process, line)) is not None:
                    return reply
                code = await process.wait()
                _LOG.warning("the aggregation worker ended with %d while it worked", code)
        return {
            "error": {"kind": "AggregationFailed", "message": f"its process ended twice, the last time with {code}"}
        }

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            # A session of its own: Ctrl-C is for the coordinator, which then ends the worker itself.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "coordinator.worker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                env=os.environ | _ENVIRONMENT, start_new_session=True, limit=_ANSWER_BYTES,
            )  # fmt: skip
        return self._process


async def _say(process: asyncio.subprocess.Process, line: bytes) -> dict[str, Any] | None:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(line)
        await process.stdin.drain()
        reply = await process.stdout.readline()
    except (BrokenPipeError, ConnectionResetError):
        return None
    return json.loads(reply) if reply.endswith(b"\n") else None
