"""Reading what is installed; torch is not loaded, which takes seconds."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from edge_client.compiled.tensorrt_api import Name, find_tensorrt
from edgefed.doctor.software import Loaded, Software
from protos.errors import BackendMissing

_MODULES: dict[Name, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}


def read_software() -> Software:
    """What this environment holds."""
    runtime, providers = _onnxruntime()
    python = sys.version_info
    return Software(
        python=(python.major, python.minor, python.micro),
        torch=_version("torch"),
        onnxruntime=runtime,
        providers=providers,
        tensorrt={name: _tensorrt(name) for name, module in _MODULES.items() if find_spec(module)},
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _onnxruntime() -> tuple[Loaded | None, tuple[str, ...]]:
    if find_spec("onnxruntime") is None:
        return None, ()
    try:
        import onnxruntime

        return Loaded(str(onnxruntime.__version__)), tuple(onnxruntime.get_available_providers())
    except (ImportError, OSError, AttributeError) as error:  # the last from a half-removed package
        return Loaded(trouble=str(error)), ()


def _tensorrt(name: Name) -> Loaded:
    try:
        return Loaded(find_tensorrt(name).version)
    except BackendMissing as error:
        return Loaded(trouble=str(error))
