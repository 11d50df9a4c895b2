"""Every check over readings of machines that we do not have here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_client.engines.device import Device, Gpu, Jetson
from edgefed.doctor import coordinator, machine, site, software
from edgefed.doctor.coordinator import Coordinator
from edgefed.doctor.machine import Cpu, Disk
from edgefed.doctor.site import Contact, Site
from edgefed.doctor.software import Loaded, Software

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BARE = Device(os="ubuntu 24.04", arch="x86_64")
L4 = replace(BARE, gpu=Gpu(name="NVIDIA L4", compute_capability="8.9", driver="570.86.15"))
ORIN = Device(
    os="ubuntu 22.04", arch="aarch64", gpu=Gpu(name="Orin NX", compute_capability="8.7"), jetson=Jetson(l4t="36.4.3")
)
HERE = Software((3, 11, 7), "2.6.0+cu126", Loaded("1.20.0"), ("CPUExecutionProvider",), {})
SITE = Site(Path("/s"), "plant-a", "c:8443", (NOW - timedelta(days=1), NOW + timedelta(days=13)), 0o600, True)
RUNNING = Coordinator(
    Path("/c"), (NOW - timedelta(days=1), NOW + timedelta(days=3000)), {Path("/c/ca/key.pem"): 0o600}, True, "h:8443"
)


def days(start: int, end: int) -> Site:
    return replace(SITE, validity=(NOW + timedelta(days=start), NOW + timedelta(days=end)))


@pytest.mark.parametrize(
    ("finding", "status", "words", "mend"),
    [
        (software.python(HERE), "ok", "3.11.7", ""),
        (software.python(replace(HERE, python=(3, 10, 4))), "fault", "needs 3.11", "uv venv --python 3.11"),
        (software.torch(replace(HERE, torch=None), BARE), "ok", "only training", ""),
        (software.torch(HERE, L4), "ok", "cu126", ""),
        (software.torch(HERE, BARE), "ok", "trains on the CPU", ""),
        (software.torch(replace(HERE, torch="2.6+cpu"), L4), "warning", "cannot use the NVIDIA L4", "reinstall torch"),
        (software.onnxruntime(HERE), "ok", "1.20.0 on CPU", ""),
        (software.onnxruntime(replace(HERE, onnxruntime=None)), "warning", "no compiled model", "edgefed[runtime]"),
        (software.onnxruntime(replace(HERE, onnxruntime=Loaded(trouble="no libgomp"))), "fault", "no libgomp", "pip"),
        (software.tensorrt(HERE, BARE)[0], "ok", "there is no GPU", ""),
        (software.tensorrt(HERE, L4)[0], "warning", "nothing here runs models on the NVIDIA L4", "edgefed[tensorrt]"),
        (software.tensorrt(replace(HERE, providers=("CUDAExecutionProvider",)), L4)[0], "ok", "not installed", ""),
        (software.tensorrt(replace(HERE, tensorrt={"tensorrt": Loaded("10.3.0")}), ORIN)[0], "ok", "10.3.0", ""),
        (software.tensorrt(replace(HERE, tensorrt={"tensorrt-rtx": Loaded("1.7")}), BARE)[0], "ok", "no GPU to", ""),
        (
            software.tensorrt(replace(HERE, tensorrt={"tensorrt": Loaded(trouble="no libnvinfer.so.10")}), L4)[0],
            "fault", "no libnvinfer.so.10", "edgefed[tensorrt]",
        ),
        (software.tensorrt(HERE, ORIN)[0], "warning", "JetPack's TensorRT for Python 3.11", "cp311-*-linux_aarch64"),
        (machine.driver(BARE), "ok", "no NVIDIA GPU", ""),
        (machine.driver(L4), "ok", "compute capability 8.9, driver 570.86.15", ""),
        (machine.driver(ORIN), "ok", "Orin NX", ""),
        (machine.driver(replace(L4, gpu=Gpu(name="T4", driver="470.1"))), "fault", "needs 525", "ubuntu-drivers"),
        (machine.driver(replace(L4, gpu=Gpu(name="T4"))), "fault", "does not answer", "sudo modprobe nvidia"),
        (machine.threads(Cpu(8, blas=("openblas 8",))), "ok", "8 cores; openblas 8", ""),
        (machine.threads(Cpu(8, quota=2.0)), "warning", "8 threads share 2 cores", "export EDGEFED_THREADS=2"),
        (machine.threads(Cpu(8, quota=2.0, environment={"EDGEFED_THREADS": "2"})), "ok", "EDGEFED_THREADS=2", ""),
        (machine.threads(Cpu(4, environment={"OMP_NUM_THREADS": "64"})), "warning", "64 threads share 4", "=4"),
        (machine.threads(Cpu(4, environment={"EDGEFED_THREADS": "many"})), "fault", "'many'", "unset EDGEFED_THREADS"),
        (machine.disk(Disk(Path("/s"), 90 << 30, 100 << 30)), "ok", "90.0 of 100 GiB", ""),
        (machine.disk(Disk(Path("/s"), 3 << 30, 100 << 30)), "warning", "3.0 of 100 GiB", "du -xh"),
        (machine.disk(Disk(Path("/s"), 1 << 20, 100 << 30)), "fault", "0.0 of 100 GiB", "du -xh"),
        (site.configuration(SITE), "ok", "/s/site.toml", ""),
        (site.configuration(replace(SITE, configuration="1 fault")), "fault", "1 fault", "/s/site.toml"),
        (site.certificate(SITE, NOW), "ok", "of plant-a, valid from", ""),
        (site.certificate(days(-20, -6), NOW), "fault", "expired", "edgefed coordinator invite plant-a"),
        (site.certificate(days(1, 15), NOW), "fault", "clock is behind", "timedatectl"),
        (site.certificate(days(-13, 1), NOW), "warning", "no agent renews it", "edgefed client run --state /s"),
        (site.private_key(SITE), "ok", "0600", ""),
        (site.private_key(replace(SITE, key_mode=0o644)), "fault", "mode 0644", "chmod 600 /s/identity/key.pem"),
        (site.release_key(SITE), "ok", "pinned", ""),
        (site.release_key(replace(SITE, release_key=False)), "warning", "none is pinned", "edgefed client run"),
        (site.reachability(Contact("c:8443", software="edgefed 0.1.0", took_ms=12.3)), "ok", "in 12 ms", ""),
        (site.reachability(Contact("c:8443", trouble="cannot be reached")), "fault", "cannot be", "ssh c sudo"),
        (site.clock(Contact("c:8443", trouble="away"), NOW), "ok", "not compared", ""),
        (site.clock(Contact("c:8443", clock=NOW - timedelta(seconds=2)), NOW), "ok", "2.0 s from", ""),
        (site.clock(Contact("c:8443", clock=NOW + timedelta(hours=2)), NOW), "fault", "the wrong one", "timedatectl"),
        (coordinator.authority(RUNNING, NOW), "ok", "valid from", ""),
        (coordinator.authority(RUNNING, NOW + timedelta(days=2900)), "warning", "ends soon", "coordinator start"),
        (coordinator.authority(RUNNING, NOW + timedelta(days=4000)), "fault", "and it is", "edgefed coordinator start"),
        (coordinator.authority(RUNNING, NOW - timedelta(days=9)), "fault", "and it is", "timedatectl"),
        (coordinator.private_keys(RUNNING), "ok", "1, readable by their owner", ""),
        (
            coordinator.private_keys(replace(RUNNING, modes={Path("/c/ca/key.pem"): 0o640})),
            "fault", "mode 0640", "chmod 600 /c/ca/key.pem",
        ),
        (coordinator.process(RUNNING), "ok", "at h:8443", ""),
        (coordinator.process(replace(RUNNING, running=False)), "warning", "none runs", "start --state /c"),
    ],
)  # fmt: skip
def test_a_reading_gives_its_line(finding: object, status: str, words: str, mend: str) -> None:
    assert (finding.status, words in finding.message, mend in finding.mend) == (status, True, True), finding
    assert bool(finding.mend) == (finding.status != "ok")


def test_a_backbone_that_is_another_file_is_named() -> None:
    found = replace(SITE, weights={"a": (Path("/w/a.pt"), ""), "b": (Path("/w/b.pt"), "b.pt has the SHA-256 1")})
    assert [(line.check, line.status) for line in site.weights(found)] == [("weights a", "ok"), ("weights b", "fault")]


@pytest.mark.parametrize(
    ("jetson", "status", "words"),
    [
        (Jetson(l4t="36.4.3", power_mode="MAXN", clocks_locked=True), "ok", "JetPack 6 (L4T 36.4.3), power mode MAXN"),
        (Jetson(l4t="36.4.3", clocks_locked=False), "warning", "clocks vary"),
        (Jetson(l4t="35.4.1"), "fault", "needs JetPack 6"),
        (Jetson(l4t="99.0"), "warning", "nothing is known"),
    ],
)
def test_a_jetson_says_which_jetpack_and_clocks_it_has(jetson: Jetson, status: str, words: str) -> None:
    finding = machine.jetpack(replace(ORIN, jetson=jetson))
    assert finding is not None
    assert (finding.status, words in finding.message) == (status, True), finding


def test_other_machines_have_no_jetpack_line() -> None:
    assert machine.jetpack(L4) is None
