"""The doctor as it is typed, on this machine, at a real site with a real coordinator."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefed.doctor.read_machine import read_cpu, read_disk
from edgefed.local_federation import LocalFederation


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFederation]:
    with LocalFederation(tmp_path_factory.mktemp("federation")) as federation:
        federation.start_coordinator()
        federation.join("plant-a", None)
        yield federation


def doctor(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "edgefed", "doctor", *map(str, arguments)]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def lines(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}


def test_a_machine_where_nothing_is_set_up_is_told_in_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    done = doctor(tmp_path, "--json")
    took_s = time.monotonic() - started
    found = lines(done)
    assert done.returncode == 0, done.stdout
    assert found["python"]["message"] == "{}.{}.{}".format(*sys.version_info)
    assert "CPU" in found["onnxruntime"]["message"]
    assert "none has joined" in found["site"]["message"]
    assert took_s < 10  # 1.4 s where nothing else runs


def test_a_sound_site_and_coordinator_have_no_fault(federation: LocalFederation, tmp_path: Path) -> None:
    site, state = federation.site_state("plant-a"), federation.coordinator_state
    done = doctor(tmp_path, "--state", site, "--coordinator-state", state, "--json")
    found = lines(done)
    assert done.returncode == 0, done.stdout
    assert "answered in" in found["coordinator"]["message"]
    assert "s from the coordinator's" in found["clock"]["message"]
    assert "runs on" in found["coordinator process"]["message"]
    assert found["release key"]["status"] == found["certificate"]["status"] == found["CA"]["status"] == "ok"


def test_each_fault_of_a_site_is_told_with_what_mends_it(federation: LocalFederation, tmp_path: Path) -> None:
    federation.join("plant-b", None)
    site = federation.site_state("plant-b")
    weights = tmp_path / "net.pt"
    weights.write_bytes(b"other weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    with (site / "site.toml").open("a") as file:
        file.write(f'[backbones.net]\nweights = "{weights}"\nsha256 = "{digest}"\n')
    (site / "identity" / "key.pem").chmod(0o644)
    (site / "identity" / "coordinator.json").write_text(json.dumps({"address": "127.0.0.1:1", "site": "plant-b"}))
    done = doctor(tmp_path, "--state", site, "--json")
    faults = {name: line["mend"] for name, line in lines(done).items() if line["status"] == "fault"}
    assert done.returncode == 4
    assert faults.keys() == {"weights net", "private key", "coordinator"}
    assert faults["private key"] == f"chmod 600 {site / 'identity' / 'key.pem'}"
    table = doctor(tmp_path, "--state", site)
    assert (table.returncode, "chmod 600" in table.stdout, table.stderr) == (4, True, "")
    (site / "site.toml").write_text("no toml")
    (site / "identity" / "release.pem").write_text("no key")
    found = lines(doctor(tmp_path, "--state", site, "--json"))
    assert found["site.toml"]["status"] == found["release key"]["status"] == "fault"


@pytest.mark.parametrize("option", ["--state", "--coordinator-state"])
def test_a_folder_that_is_no_state_is_a_fault(option: str, tmp_path: Path) -> None:
    done = doctor(tmp_path, option, tmp_path, "--json")
    faults = [line for line in lines(done).values() if line["status"] == "fault"]
    assert (done.returncode, len(faults)) == (4, 1)
    assert str(tmp_path) in faults[0]["mend"]


def test_the_quota_of_a_control_group_is_read(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert read_cpu(tmp_path).quota == 1.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert read_cpu(tmp_path).quota is None
    assert read_cpu(tmp_path / "none").quota is None
    assert read_cpu(tmp_path).cores == len(os.sched_getaffinity(0))


def test_the_disk_of_a_folder_that_is_not_there_yet_is_its_parents(tmp_path: Path) -> None:
    disk = read_disk(tmp_path / "to" / "come")
    assert (disk.path, disk.total >= disk.free > 0) == (tmp_path, True)
