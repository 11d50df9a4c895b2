"""Checks of the machine: driver, JetPack, threads, disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge_client.engines.device import Device
from edge_client.threads import VARIABLE
from edgefed.doctor.finding import Finding, fault, ok, warning

OLDEST_DRIVER: Final = 525  # of CUDA 12, which every GPU wheel of today needs at least
_JETPACKS: Final = {"32": "4", "35": "5", "36": "6", "38": "7"}
_OLDEST_JETPACK: Final = 6  # before it, a Jetson has no Python 3.11 packages and TensorRT 8
_FULL: Final = 1 << 30
_TIGHT: Final = 5 << 30


@dataclass(frozen=True)
class Cpu:
    """What computes.

    Attributes:
        cores: that this process may run on.
        quota: cores' worth of time that its control group grants; None without a limit.
        blas: the numerical libraries with their threads, as "openblas 2".
        environment: of the variables that bound threads, those that are set.
    """

    cores: int
    quota: float | None = None
    blas: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Disk:
    """Room where a state folder lies. `free` and `total` in bytes."""

    path: Path
    free: int
    total: int


def driver(device: Device) -> Finding:
    """Whether the GPU's driver is new enough for CUDA 12."""
    gpu = device.gpu
    if gpu is None:
        return ok("gpu driver", "no NVIDIA GPU")
    said = f"{gpu.name}, compute capability {gpu.compute_capability or 'unknown'}, driver {gpu.driver or 'unknown'}"
    major = gpu.driver.partition(".")[0]
    if device.jetson is None and not gpu.driver:
        return fault("gpu driver", f"{said}: the driver does not answer", "sudo modprobe nvidia")
    if device.jetson is None and major.isdigit() and int(major) < OLDEST_DRIVER:
        return fault("gpu driver", f"{said}; CUDA 12 needs {OLDEST_DRIVER}", "sudo ubuntu-drivers install")
    return ok("gpu driver", said)


def jetpack(device: Device) -> Finding | None:
    """On a Jetson, whether its JetPack is one that EdgeFed runs on, and whether its clocks are held; else None."""
    if device.jetson is None:
        return None
    l4t, mode = device.jetson.l4t, device.jetson.power_mode
    release = _JETPACKS.get(l4t.partition(".")[0])
    said = f"JetPack {release or 'unknown'} (L4T {l4t}), power mode {mode or 'unknown'}"
    if release is None:
        return warning("jetpack", f"{said}: nothing is known of it here", "cat /etc/nv_tegra_release")
    if int(release) < _OLDEST_JETPACK:
        return fault("jetpack", f"{said}; EdgeFed needs JetPack {_OLDEST_JETPACK}", "sudo sdkmanager")
    if device.jetson.clocks_locked is False:
        return warning("jetpack", f"{said}; the clocks vary, and so will every latency", "sudo jetson_clocks")
    return ok("jetpack", said)


def threads(cpu: Cpu) -> Finding:
    """Whether numerical libraries take as many threads as there are cores for them."""
    asked = cpu.environment.get(VARIABLE)
    if asked is not None and not (asked.isascii() and asked.isdigit() and int(asked) > 0):
        return fault("threads", f"{VARIABLE} is {asked[:20]!r}, which is no number of threads", f"unset {VARIABLE}")
    room = min(cpu.cores, max(1, int(cpu.quota))) if cpu.quota else cpu.cores
    limit = asked or cpu.environment.get("OMP_NUM_THREADS", "")
    taken = int(limit) if limit.isascii() and limit.isdigit() and int(limit) else cpu.cores
    found = "; ".join(
        [f"{cpu.cores} cores", *cpu.blas, *(f"{name}={value}" for name, value in sorted(cpu.environment.items()))]
    )
    if taken > room:
        what = f"{found}: {taken} threads share {room} cores' worth of time, which is slower than {room}"
        return warning("threads", what, f"export {VARIABLE}={room}")
    return ok("threads", found)


def disk(disk: Disk) -> Finding:
    """Whether there is room for models, memories and uploads."""
    said = f"{disk.free / (1 << 30):.1f} of {disk.total / (1 << 30):.0f} GiB free in {disk.path}"
    mend = f"du -xh --max-depth=2 {disk.path} | sort -h | tail"
    if disk.free < _FULL:
        return fault("disk", said, mend)
    return warning("disk", said, mend) if disk.free < _TIGHT else ok("disk", said)
