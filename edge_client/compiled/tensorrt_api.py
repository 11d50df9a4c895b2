"""TensorRT as it is installed here: API 10, API 11 or TensorRT-RTX. What it can do is looked up, never concluded."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

from protos.errors import BackendMissing

Name = Literal["tensorrt", "tensorrt-rtx"]

_MODULES: dict[Name, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_MEND: dict[Name, str] = {
    "tensorrt": "install 'edgefed[tensorrt]', or on a Jetson make the environment see JetPack's own TensorRT",
    "tensorrt-rtx": "install 'edgefed[tensorrt-rtx]'",
}
_SOURCE_PLACES = re.compile(r"^\w+::\w+: Error Code \d+: (?:Myelin )?|\(?\[\S+\.\w+:+\w*:* ?\w*\] ?|\.? In \w+ at /.*$")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TensorRT:
    """An installed TensorRT.

    Attributes:
        name: as `--backend` names it.
        module: its Python bindings; they come without types.
    """

    name: Name
    module: ModuleType

    @property
    def version(self) -> str:
        """Full, as "10.3.0" or "1.7.1.116"."""
        return str(self.module.__version__)

    @property
    def precision_flags(self) -> frozenset[str]:
        """Which of "FP16" and "INT8" it can be asked for by a flag; none from API 11 on."""
        return frozenset({"FP16", "INT8"} & _members(self.module, "BuilderFlag"))

    @property
    def targets(self) -> tuple[str, ...]:
        """Compute capabilities, as "SM89", that it builds for without their device; only TensorRT-RTX does."""
        names = (name for name in _members(self.module, "ComputeCapability") if name.startswith("SM"))
        return tuple(sorted(names, key=lambda name: int(name[2:])))

    @property
    def log(self) -> Any:
        """The one logger of this TensorRT: it keeps to the first that it is given, whoever builds later."""
        return _log(self.module)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def find_tensorrt(name: Name) -> TensorRT:
    """The installed TensorRT of that name.

    Raises:
        BackendMissing: it is not installed, a library of it is absent, or it is older than API 10.
    """
    try:
        found = TensorRT(name, import_module(_MODULES[name]))
    except (ImportError, OSError) as error:  # without its own libraries the bindings fail while they are loaded
        raise BackendMissing(f"{name} cannot be loaded ({error}); {_MEND[name]}") from error
    if "STRONGLY_TYPED" not in _members(found.module, "NetworkDefinitionCreationFlag"):
        raise BackendMissing(
            f"{found} cannot take precisions from an ONNX file's types; TensorRT 10 is the oldest that can"
        )
    return found


def reason(errors: list[str]) -> str:
    """What TensorRT's own error messages come down to: the first one, without places in its source."""
    if not errors:
        return "it gave no reason"
    return _SOURCE_PLACES.sub("", errors[0]).strip()[:400]


def _members(module: ModuleType, enumeration: str) -> set[str]:
    return set(getattr(getattr(module, enumeration, None), "__members__", ()))


@cache
def _log(module: ModuleType) -> Any:
    class Log(module.ILogger):  # type: ignore[name-defined, misc]  # the base is known only when the module is
        """Keeps errors, which TensorRT does not raise, until someone takes them; the rest is for developers."""

        def __init__(self) -> None:
            super().__init__()
            self._errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= module.ILogger.Severity.ERROR:
                self._errors.append(message)
            _logger.debug("%s: %s", severity, message)

        def take_errors(self) -> list[str]:
            errors, self._errors = self._errors, []
            return errors

    return Log()
