from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from edge_client.engines import device
from edge_client.engines.device import Device, Gpu, Jetson
from edge_client.engines.this_device import read_device

PROC = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024
GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)
"""
PROC_OPEN = """NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build
"""
INFORMATION = "Model: \t\t NVIDIA A10\nIRQ:   \t\t 64\nGPU UUID: \t GPU-0\n"
L4T = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
CLOCKS = """SOC family:tegra234  Machine:NVIDIA Jetson AGX Orin Developer Kit
cpu0: Online=1 Governor=schedutil MinFreq=729600 MaxFreq=2201600 CurrentFreq=729600 IdleStates: WFI=1 c7=1
GPU MinFreq={low} MaxFreq=1300500000 CurrentFreq=306000000
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=204000000 FreqOverride=0
"""
ORIN = "NVIDIA Jetson AGX Orin Developer Kit\0", "nvidia,p3737-0000+p3701-0000\0nvidia,p3701-0000\0nvidia,tegra234\0"


def test_nvidia_smi_tells_the_first_gpu() -> None:
    text = "NVIDIA L4, 8.9, 560.35.03\nNVIDIA A2, 8.6, 560.35.03\n"
    assert device.gpu_from_nvidia_smi(text) == Gpu(name="NVIDIA L4", compute_capability="8.9", driver="560.35.03")


@pytest.mark.parametrize(
    "text",
    ["", "No devices were found\n", "Orin (nvgpu), [N/A], 540.4.0\n", "NVIDIA-SMI has failed, because, of 3\n", "a,b"],
)
def test_an_nvidia_smi_without_an_answer_is_no_gpu(text: str) -> None:
    assert device.gpu_from_nvidia_smi(text) is None


@pytest.mark.parametrize(("text", "driver"), [(PROC, "535.183.01"), (PROC_OPEN, "560.35.03"), ("", ""), ("NVRM", "")])
def test_the_kernel_module_tells_its_version(text: str, driver: str) -> None:
    assert device.driver_from_proc(text) == driver


def test_a_gpu_is_known_without_nvidia_smi_by_name_and_driver() -> None:
    assert device.gpu_from_proc(PROC, INFORMATION) == Gpu(name="NVIDIA A10", driver="535.183.01")
    assert device.gpu_from_proc(PROC, "") is None


def test_a_jetson_is_known_by_its_device_tree() -> None:
    found = device.gpu_from_device_tree(*ORIN, "540.4.0")
    assert found == Gpu(name="NVIDIA Jetson AGX Orin Developer Kit", compute_capability="8.7", driver="540.4.0")
    assert device.gpu_from_device_tree("Raspberry Pi 5\0", "raspberrypi,5\0brcm,bcm2712\0") is None


def test_a_jetsons_state_is_read_from_its_tools() -> None:
    assert device.l4t_from_release(L4T) == "36.4.3"
    assert device.l4t_from_release("something else") is None
    assert device.power_mode_from_nvpmodel("NV Power Mode: MAXN_SUPER\n2\n") == "MAXN_SUPER"
    assert device.power_mode_from_nvpmodel("") is None
    assert device.clocks_locked_from_show(CLOCKS.format(low=1300500000)) is True
    assert device.clocks_locked_from_show(CLOCKS.format(low=306000000)) is False
    assert device.clocks_locked_from_show("Error: the script requires root") is None


@pytest.mark.parametrize(
    ("text", "name"),
    [('ID=ubuntu\nVERSION_ID="22.04"\nID_LIKE=debian\n', "ubuntu 22.04"), ("ID=arch\n", "arch"), ("", "linux")],
)
def test_the_distribution_is_named_with_its_version(text: str, name: str) -> None:
    assert device.os_from_release(text) == name


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def tools(folder: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]) -> None:
    """Puts programs on the path that print these answers, and nothing else of NVIDIA's."""
    folder.mkdir()
    for name, body in answers.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")


def test_a_machine_without_a_gpu_is_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools(tmp_path / "bin", monkeypatch, {"nvidia-smi": "echo 'NVIDIA-SMI has failed' ; exit 9"})
    write(tmp_path, {"etc/os-release": "ID=debian\nVERSION_ID=12\n"})
    assert read_device(tmp_path) == Device(os="debian 12", arch=platform.machine())


def test_a_workstation_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools(tmp_path / "bin", monkeypatch, {"nvidia-smi": "echo NVIDIA L4, 8.9, 560.35.03"})
    assert read_device(tmp_path).gpu == Gpu(name="NVIDIA L4", compute_capability="8.9", driver="560.35.03")


def test_a_gpu_is_read_from_proc_where_nvidia_smi_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools(tmp_path / "bin", monkeypatch, {"nvidia-smi": "exit 12"})
    folder = "proc/driver/nvidia"
    write(tmp_path, {f"{folder}/version": PROC, f"{folder}/gpus/0000:00:1e.0/information": INFORMATION})
    assert read_device(tmp_path).gpu == Gpu(name="NVIDIA A10", driver="535.183.01")


def test_a_jetson_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"nvpmodel": "echo NV Power Mode: MAXN", "jetson_clocks": "echo requires root; exit 1"}
    tools(tmp_path / "bin", monkeypatch, answers)
    model, compatible = ORIN
    tree = "proc/device-tree"
    write(tmp_path, {f"{tree}/model": model, f"{tree}/compatible": compatible, "etc/nv_tegra_release": L4T})
    found = read_device(tmp_path)
    assert found.gpu == Gpu(name="NVIDIA Jetson AGX Orin Developer Kit", compute_capability="8.7")
    assert found.jetson == Jetson(l4t="36.4.3", power_mode="MAXN", clocks_locked=None)
