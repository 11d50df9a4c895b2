"""Reads from this machine what its speed depends on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edge_client.bench.clocks import gpu_clocks
from edge_client.bench.processor import processor_from_cpuinfo
from edge_client.bench.record import Machine
from edge_client.engines.this_device import read_device
from edge_client.threads import asked_threads

_PACKAGES = (
    "edgefed",
    "numpy",
    "pillow",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-rtx",
    "cuda-bindings",
)
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def read_machine(load_before: float) -> Machine:
    """This machine, after a measurement.

    Args:
        load_before: `os.getloadavg()[0]` from before it.
    """
    device = read_device()
    return Machine(
        processor=processor_from_cpuinfo(_text(Path("/proc/cpuinfo"))),
        cores=len(os.sched_getaffinity(0)),
        threads=asked_threads(),
        os=device.os,
        arch=device.arch,
        gpu=device.gpu.name if device.gpu else None,
        compute_capability=(device.gpu.compute_capability if device.gpu else None) or None,
        clocks=gpu_clocks(device.jetson) if device.gpu else None,
        driver=device.gpu.driver if device.gpu else None,
        power_mode=(device.jetson.power_mode if device.jetson else None) or _text(_GOVERNOR).strip() or None,
        load_before=round(load_before, 2),
        load_after=round(os.getloadavg()[0], 2),
        versions={"python": platform.python_version(), **_versions()},
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
