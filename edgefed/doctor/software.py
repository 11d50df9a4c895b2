"""Checks of what is installed in this environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge_client.engines.device import Device
from edgefed.doctor.finding import Finding, fault, ok, warning

OLDEST_PYTHON: Final = (3, 11)
_GPU_PROVIDERS = frozenset({"CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"})


@dataclass(frozen=True)
class Loaded:
    """A library that was loaded to see whether that works.

    Attributes:
        version: of it, "" where it could not be loaded.
        trouble: why it could not be loaded, "" where it was.
    """

    version: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Software:
    """What is installed.

    Attributes:
        python: version of the interpreter.
        torch: its version, as "2.13.0+cpu"; None where it is not installed. It is not loaded, which takes seconds.
        onnxruntime: None where it is not installed.
        providers: what ONNX Runtime can run on here.
        tensorrt: "tensorrt" and "tensorrt-rtx", those that are installed.
    """

    python: tuple[int, int, int]
    torch: str | None
    onnxruntime: Loaded | None
    providers: tuple[str, ...]
    tensorrt: Mapping[str, Loaded]


def python(software: Software) -> Finding:
    """Whether the interpreter is new enough."""
    version = ".".join(map(str, software.python))
    if software.python[:2] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return fault("python", f"{version}; EdgeFed needs {oldest}", f"uv venv --python {oldest} /opt/edgefed")
    return ok("python", version)


def torch(software: Software, device: Device) -> Finding:
    """Whether a site can train here, and on what."""
    if software.torch is None:
        return ok("torch", "not installed; only training and compiling need it")
    build = re.search(r"\+cu(\d{2})\d", software.torch)
    if device.gpu and "+cpu" in software.torch:
        return warning(
            "torch", f"{software.torch} cannot use the {device.gpu.name}; install a build for CUDA",
            "pip install --force-reinstall torch",
        )  # fmt: skip
    if build and device.gpu is None:
        return ok("torch", f"{software.torch}, built for CUDA {build[1]}; it trains on the CPU here")
    return ok("torch", software.torch)


def onnxruntime(software: Software) -> Finding:
    """Whether compiled models run here."""
    if software.onnxruntime is None:
        return warning("onnxruntime", "not installed; no compiled model runs here", "pip install 'edgefed[runtime]'")
    if software.onnxruntime.trouble:
        return fault(
            "onnxruntime", f"cannot be loaded: {software.onnxruntime.trouble}",
            "pip install --force-reinstall 'edgefed[runtime]'",
        )  # fmt: skip
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in software.providers)
    return ok("onnxruntime", f"{software.onnxruntime.version} on {providers}")


def tensorrt(software: Software, device: Device) -> list[Finding]:
    """One line for each TensorRT that is installed, or one that says that none is."""
    findings = []
    for name, loaded in sorted(software.tensorrt.items()):
        if loaded.trouble:
            mend = f"pip install --force-reinstall 'edgefed[{name}]'"
            findings.append(fault(name, f"cannot be loaded: {loaded.trouble}", mend))
        elif device.gpu is None:
            findings.append(ok(name, f"{loaded.version}; there is no GPU to run an engine on"))
        else:
            findings.append(ok(name, loaded.version))
    if findings:
        return findings
    if device.jetson:
        python = "".join(map(str, software.python[:2]))
        what = f"no bindings of JetPack's TensorRT for Python {'.'.join(map(str, software.python[:2]))}"
        return [warning("tensorrt", what, f"pip install ./tensorrt-*-cp{python}-*-linux_aarch64.whl")]
    if device.gpu and not _GPU_PROVIDERS & set(software.providers):
        return [
            warning("tensorrt", f"nothing here runs models on the {device.gpu.name}", "pip install 'edgefed[tensorrt]'")
        ]
    return [ok("tensorrt", "not installed" if device.gpu else "not installed; there is no GPU")]
