"""What a machine says of itself, as values made of its tools' texts. A machine without a GPU is a value too."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A Jetson's chip, by its name in the device tree; nvidia-smi does not tell the compute capability there.
_TEGRA = {"tegra194": "7.2", "tegra234": "8.7", "tegra264": "11.0"}


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """The first GPU of a machine.

    Attributes:
        name: as the driver names it, "NVIDIA L4"; on a Jetson the board's name.
        compute_capability: as "8.9"; "" where nothing tells it.
        driver: its version; "" where nothing tells it.
    """

    name: str
    compute_capability: str = ""
    driver: str = ""


@dataclass(frozen=True, kw_only=True)
class Jetson:
    """What only a Jetson has.

    Attributes:
        l4t: version of its Linux, as "36.4.3".
        power_mode: as `nvpmodel` names it, "MAXN"; None where it did not answer.
        clocks_locked: whether `jetson_clocks` holds the GPU at its highest clock; None where root alone may ask.
    """

    l4t: str
    power_mode: str | None = None
    clocks_locked: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Device:
    """A machine, as far as the speed and the validity of an engine depend on it.

    Attributes:
        os: distribution and version, "ubuntu 22.04".
        arch: of the processor, "x86_64" or "aarch64".
        gpu: the first one, None without.
        jetson: None on other machines.
    """

    os: str
    arch: str
    gpu: Gpu | None = None
    jetson: Jetson | None = None


def gpu_from_nvidia_smi(text: str) -> Gpu | None:
    """Of `nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader`; its first line."""
    fields = [field.strip() for field in text.partition("\n")[0].split(",")]
    if len(fields) != 3 or not re.fullmatch(r"\d+\.\d+", fields[1]):
        return None
    return Gpu(name=fields[0], compute_capability=fields[1], driver=fields[2])


def gpu_from_proc(version: str, information: str) -> Gpu | None:
    """Of `/proc/driver/nvidia/version` and `/proc/driver/nvidia/gpus/*/information`, where nvidia-smi is absent."""
    model = re.search(r"^Model:\s*(.+?)\s*$", information, re.MULTILINE)
    return Gpu(name=model[1], driver=driver_from_proc(version)) if model else None


def gpu_from_device_tree(model: str, compatible: str, driver: str = "") -> Gpu | None:
    """Of a Jetson's `/proc/device-tree/model` and `compatible`, both with NULs between their entries."""
    chip = next((name for name in _TEGRA if f"nvidia,{name}" in compatible.split("\0")), None)
    if chip is None:
        return None
    return Gpu(name=model.rstrip("\0"), compute_capability=_TEGRA[chip], driver=driver)


def driver_from_proc(version: str) -> str:
    """Of `/proc/driver/nvidia/version`; "" where it holds none."""
    found = re.search(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", version)
    return found[1] if found else ""


def l4t_from_release(text: str) -> str | None:
    """Of `/etc/nv_tegra_release`."""
    found = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else None


def power_mode_from_nvpmodel(text: str) -> str | None:
    """Of `nvpmodel -q`."""
    found = re.search(r"^NV Power Mode:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else None


def clocks_locked_from_show(text: str) -> bool | None:
    """Of `jetson_clocks --show`, which root alone may ask: locked where the GPU's range of clocks is one point."""
    found = re.search(r"^GPU MinFreq=(\d+) MaxFreq=(\d+)", text, re.MULTILINE)
    return found[1] == found[2] if found else None


def os_from_release(text: str) -> str:
    """Of `/etc/os-release`: its ID and VERSION_ID; "linux" where it holds none."""
    fields = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', text, re.MULTILINE))
    return " ".join(filter(None, (fields.get("ID", "linux"), fields.get("VERSION_ID"))))
