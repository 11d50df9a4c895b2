"""The training worker as the agent sees it: a process of its own, so that torch lives only as long as a job."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

_LONGEST_LINE = 1 << 20
_EXIT_S = 5.0  # for a worker that has closed its output

Report = Callable[[str, int, int], None]
"""`report(stage, step, steps)`; `steps` is 0 where it is unknown."""


class WorkFailed(Exception):
    """The worker could not do what it was asked for.

    Attributes:
        kind: the class of the error in the worker, "WorkerEnded", or "WorkerKilled" by a signal.
        message: for the site's log; it may name the site's own files.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Worker:
    """`python -m edge_client.worker`, started by the first request and again by the first one after it has ended."""

    def __init__(self) -> None:
        self._process: _Process | None = None

    @property
    def is_running(self) -> bool:
        """Whether a process is there; it holds torch in memory."""
        return self._process is not None

    async def ask(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """Has the worker do one thing and returns its result; given up midway, it ends the worker.

        A worker that was killed is started again, once: somebody else's hunger for memory is not the job's fault.

        Raises:
            WorkFailed: the worker says that it cannot, or it has ended.
        """
        try:
            return await self._ask(request, report)
        except WorkFailed as failure:
            if failure.kind != "WorkerKilled":
                raise
            log.warning("%s; it is started again", failure)
        return await self._ask(request, report)

    async def _ask(self, request: Mapping[str, Any], report: Report) -> dict[str, Any]:
        if self._process is None:
            self._process = await _Process.spawn()
        try:
            result = await self._process.ask(request, report)
        except asyncio.CancelledError:
            # Its answer would be taken for the answer to the next request.
            await self.stop()
            raise
        except (ValueError, RecursionError) as error:
            await self.stop()
            raise WorkFailed("WorkerEnded", f"the training worker wrote something that is no answer: {error}") from None
        if result is None:
            failure = await self._process.how_it_ended()
            await self.stop()
            raise failure
        return result

    async def stop(self) -> None:
        """Ends the process, whatever it is doing; a file that it was writing stays partial and is ignored."""
        if self._process is not None:
            process, self._process = self._process, None
            await process.end()


class _Process:
    """A worker's process and its three pipes."""

    def __init__(self, process: Process) -> None:
        assert process.stdin and process.stdout and process.stderr, "started without pipes"
        self._process = process
        self._requests, self._answers, self._words = process.stdin, process.stdout, process.stderr
        self._last_words = ""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def spawn(cls) -> _Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge_client.worker",
            stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=_LONGEST_LINE,
        )  # fmt: skip
        return cls(process)

    async def ask(self, request: Mapping[str, Any], report: Report) -> dict[str, Any] | None:
        """The result, or None where the process has ended. Raises `WorkFailed` or `ValueError`."""
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            await self._requests.drain()
        except OSError:
            return None
        while line := await self._answers.readline():
            result = read_answer(line, report)
            if result is not None:
                return result
        return None

    async def how_it_ended(self) -> WorkFailed:
        try:
            code = await asyncio.wait_for(self._process.wait(), _EXIT_S)
        except TimeoutError:
            return WorkFailed("WorkerEnded", "the training worker closed its output without an answer")
        await self._listening
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit status {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        words = f": {self._last_words}" if self._last_words else ""
        kind = "WorkerKilled" if code < 0 else "WorkerEnded"
        return WorkFailed(kind, f"the training worker {how}{hint}{words}")

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        while True:
            try:
                line = await self._words.readline()
            except ValueError:
                continue  # a line longer than the limit, which the reader has dropped
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self._last_words = text or self._last_words
            log.info("worker: %s", text)


def read_answer(line: bytes, report: Report) -> dict[str, Any] | None:
    """The result in an answer, or None after a line of progress.

    Raises:
        WorkFailed: the worker says that it cannot.
        ValueError, RecursionError: it is no answer.
    """
    answer = json.loads(line)
    match answer:
        case {"progress": [str(stage), int(step), int(steps)]}:
            report(stage, step, steps)
            return None
        case {"error": {"kind": str(kind), "message": str(message)}}:
            raise WorkFailed(kind, message)
        case {"result": dict(result)}:
            return result
    raise ValueError("neither progress, nor an error, nor a result")
