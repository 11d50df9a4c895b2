"""A strike ends its own process, or flips a bit, when a named function of the product is reached. It strikes once.

The processes under test are the product's own commands, unchanged. `install` wraps the functions that are listed in
`points.json` as their modules are imported; a wrapper looks into `armed.json` at every call and strikes where it is
meant. `struck` marks that it has, and when, so that whatever is started next goes on.
"""

from __future__ import annotations

import functools
import importlib.machinery
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Literal


@dataclass(frozen=True)
class Strike:
    """Where and how to strike.

    Attributes:
        process: which one: "coordinator" or a site; its worker counts as the same.
        point: "module:function" or "module:Class.method".
        when: before or after the function, or at its database commit: the rows are written, the fsync is not done.
        about: part of an argument's text, or of the name of an argument's class; the call must have one such.
        nth: the how-manyth such call in one process.
        action: kill -9 of the process; the same with a power cut (see `disk`); or one wrong bit in its bytes.
    """

    process: str
    point: str
    when: Literal["before", "commit", "after"]
    about: str = ""
    nth: int = 1
    action: Literal["kill", "power cut", "flip a bit"] = "kill"


def arm(folder: Path, strike: Strike) -> None:
    """Makes the next call at the strike's point the one that strikes."""
    disarm(folder)
    partial = folder / "armed.partial"
    partial.write_text(json.dumps({"id": time.time_ns(), **asdict(strike)}))
    partial.replace(folder / "armed.json")


def disarm(folder: Path) -> None:
    """From here on nothing strikes."""
    for name in ("armed.json", "struck", "power-cut"):
        (folder / name).unlink(missing_ok=True)


def struck_at(folder: Path) -> float | None:
    """When it struck, in seconds since the epoch."""
    try:
        return float((folder / "struck").read_text() or time.time())
    except FileNotFoundError:
        return None


def power_was_cut(folder: Path, process: str) -> bool:
    """Whether what has struck, just now, was a power cut at this process; it answers once."""
    mark = folder / "power-cut"
    cut = mark.exists() and mark.read_text() == process
    if cut:
        mark.unlink()
    return cut


def install() -> None:
    """Wraps every point in this process, now or when its module is imported."""
    points: list[str] = json.loads((_folder() / "points.json").read_text())
    by_module: dict[str, list[str]] = {}
    for point in points:
        by_module.setdefault(point.partition(":")[0], []).append(point)
    for module in sorted(by_module.keys() & sys.modules.keys()):
        wrap(sys.modules[module], by_module.pop(module))
    sys.meta_path.insert(0, _Finder(by_module))


def wrap(module: ModuleType, points: Sequence[str]) -> None:
    """Puts the wrapper around the module's points. Raises `AttributeError` where one is no longer there."""
    for point in points:
        *outer, name = point.partition(":")[2].split(".")
        owner: Any = functools.reduce(getattr, outer, module)
        setattr(owner, name, _wrapped(point, getattr(owner, name)))


class _Finder(MetaPathFinder):
    def __init__(self, points: dict[str, list[str]]) -> None:
        self._points = points

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name not in self._points:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_wrap(module: ModuleType) -> None:
                run(module)
                wrap(module, self._points[name])

            spec.loader.exec_module = run_and_wrap  # type: ignore[method-assign]
        return spec


def _wrapped(point: str, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_later(*args: Any, **kwargs: Any) -> Any:
            armed = _armed(point, args)
            _enter(armed, args)
            return _leave(armed, await function(*args, **kwargs))

        return call_later

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        armed = _armed(point, args)
        _enter(armed, args)
        return _leave(armed, function(*args, **kwargs))

    return call


_calls: dict[int, int] = {}


def _armed(point: str, args: Sequence[Any]) -> dict[str, Any] | None:
    try:
        armed: dict[str, Any] = json.loads((_folder() / "armed.json").read_text())
    except FileNotFoundError:
        return None
    if (armed["process"], armed["point"]) != (os.environ["EDGEFED_TEST_PROCESS"], point):
        return None
    if armed["about"] and not any(armed["about"] in _text(argument) for argument in args):
        return None
    _calls[armed["id"]] = _calls.get(armed["id"], 0) + 1
    return armed if _calls[armed["id"]] == armed["nth"] else None


def _text(argument: Any) -> str:
    is_text = isinstance(argument, str | Path)
    return f"{type(argument).__name__} {argument if is_text else ''}"


def _enter(armed: dict[str, Any] | None, args: Sequence[Any]) -> None:
    if armed is None:
        return
    if armed["when"] == "commit":
        from sqlalchemy import event

        event.listen(args[0]._engine, "commit", lambda connection: _strike(armed), once=True)
    elif armed["when"] == "before" and _strike(armed):
        message = next(argument for argument in args if hasattr(argument, "data"))
        message.data = _flipped(message.data)


def _leave(armed: dict[str, Any] | None, result: Any) -> Any:
    strikes = armed is not None and armed["when"] == "after" and _strike(armed)
    return _flipped(result) if strikes else result


def _strike(armed: dict[str, Any]) -> bool:
    """Strikes, unless it was done before; returns whether there is a bit to be flipped."""
    try:
        with (_folder() / "struck").open("x") as mark:
            mark.write(str(time.time()))
    except FileExistsError:
        return False
    if armed["action"] == "power cut":
        (_folder() / "power-cut").write_text(armed["process"])
        for child in _children(os.getpid()):
            os.kill(child, signal.SIGKILL)
    if armed["action"] != "flip a bit":
        os.kill(os.getpid(), signal.SIGKILL)
    return True


def _flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _children(pid: int) -> list[int]:
    listed = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for line in listed for child in line]


def _folder() -> Path:
    return Path(os.environ["EDGEFED_TEST_STRIKES"])
