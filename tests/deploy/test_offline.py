"""An installation from `make offline` in a network namespace that has no way out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OFFLINE = Path(__file__).parents[2] / "build" / "offline"
CUT_OFF = ("unshare", "--user", "--map-root-user", "--net")
CLEAN = ("env", "-i", "PATH=/usr/bin:/bin", f"PYTHON={sys.executable}")
REACH_OUT = "import socket; socket.create_connection(('192.0.2.1', 443), 2)"


def cut_off(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CUT_OFF, *map(str, command)], capture_output=True, text=True, check=False)


@pytest.fixture
def gathered(tmp_path: Path) -> Path:
    """A copy of what `make offline` gathered, as if it had been carried to another machine."""
    if not (OFFLINE / "SHA256SUMS").exists():
        pytest.skip("build/offline is not there; `make offline` makes it, which needs a package index")
    if shutil.which("unshare") is None or cut_off("true").returncode:
        pytest.skip("network namespaces cannot be made here")
    return Path(shutil.copytree(OFFLINE, tmp_path / "carried"))


@pytest.mark.slow
def test_it_installs_and_runs_without_a_network(gathered: Path, tmp_path: Path) -> None:
    assert "Network is unreachable" in cut_off(sys.executable, "-c", REACH_OUT).stderr
    target = tmp_path / "edgefed"
    installed = cut_off(*CLEAN, f"HOME={tmp_path}", "sh", gathered / "install.sh", target)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    program = target / "bin" / "edgefed"
    asked = cut_off(*CLEAN, f"HOME={tmp_path}", program, "doctor", "--json")
    found = {line["check"]: line for line in json.loads(asked.stdout)["findings"]}
    assert "CPU" in found["onnxruntime"]["message"]
    assert "not installed" in found["torch"]["message"]


def test_a_file_that_changed_on_the_way_is_not_installed(gathered: Path, tmp_path: Path) -> None:
    wheel = next((gathered / "wheels").glob("rich-*.whl"))
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    refused = cut_off(*CLEAN, f"HOME={tmp_path}", "sh", gathered / "install.sh", tmp_path / "edgefed")
    assert (refused.returncode != 0, wheel.name in refused.stdout + refused.stderr) == (True, True)
    assert not (tmp_path / "edgefed").exists()
