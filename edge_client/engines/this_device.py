"""Reading what this machine says of itself."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from edge_client.engines import device
from edge_client.engines.device import Device, Gpu, Jetson

_ANSWER_S = 10.0  # nvidia-smi takes seconds while a driver starts, and hangs beside a broken one


def read_device(root: Path = Path("/")) -> Device:
    """This machine's description; what does not answer is left out, never an error.

    Args:
        root: where its files lie.
    """
    return Device(
        os=device.os_from_release(_text(root / "etc/os-release")),
        arch=platform.machine(),
        gpu=_gpu(root),
        jetson=_jetson(root),
    )


def _gpu(root: Path) -> Gpu | None:
    version = _text(root / "proc/driver/nvidia/version")
    tree = root / "proc/device-tree"
    board = device.gpu_from_device_tree(
        _text(tree / "model"), _text(tree / "compatible"), device.driver_from_proc(version)
    )
    if board:
        return board
    query = ("nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")
    found = device.gpu_from_nvidia_smi(_answer(*query))
    if found:
        return found
    cards = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    return device.gpu_from_proc(version, _text(cards[0])) if cards else None


def _jetson(root: Path) -> Jetson | None:
    l4t = device.l4t_from_release(_text(root / "etc/nv_tegra_release"))
    if l4t is None:
        return None
    power_mode = device.power_mode_from_nvpmodel(_answer("nvpmodel", "-q"))
    clocks = device.clocks_locked_from_show(_answer("jetson_clocks", "--show"))
    return Jetson(l4t=l4t, power_mode=power_mode, clocks_locked=clocks)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _answer(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
