"""What processes need: read from /proc, so that both sides of a ratio are measured the same way."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType


def with_environment(variable: str, value: str) -> set[int]:
    """The processes in whose environment `variable` starts with `value`, wherever they have detached themselves to."""
    wanted = f"{variable}={value}".encode()
    return {pid for pid in _all() if any(entry.startswith(wanted) for entry in _environment(pid))}


def with_descendants(root: int) -> set[int]:
    """A process and all processes that it and its children started."""
    found, queue = {root}, [root]
    while queue:
        for children in Path(f"/proc/{queue.pop()}/task").glob("*/children"):
            try:
                fresh = {int(pid) for pid in children.read_text().split()} - found
            except OSError:
                continue
            found |= fresh
            queue += fresh
    return found


def memory_mb(pids: Iterable[int], field: str = "VmRSS") -> float:
    """Sum over the processes of a memory line of /proc/PID/status, in MB; `VmHWM` is the highest VmRSS so far."""
    return sum(_status_kb(pid, field) for pid in pids) * 1024 / 1e6


def cpu_s(pid: int) -> float:
    """Seconds of processor time, in user and in system mode, that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(find: Callable[[], set[int]]) -> None:
    """Asks the processes that `find` names to end, and kills those that are there three seconds later."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in find():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + 3
        while find() and time.monotonic() < deadline:
            time.sleep(0.1)


class PeakMemory:
    """The most memory that a changing group of processes held at once, in MB, while this context was open.

    Every process counts with its own high-water mark, which the kernel keeps, so no peak is missed between looks;
    the sum over those alive at one moment is therefore a little more than they held at one moment.
    """

    def __init__(self, find: Callable[[], set[int]], every_s: float = 0.1) -> None:
        """`find` names the processes of the group that are alive now."""
        self.mb = 0.0
        self._find, self._every_s = find, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            self.mb = max(self.mb, memory_mb(self._find(), "VmHWM"))


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _status_kb(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)
