"""`edgefed chaos` between a real coordinator and real agents."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgefed.chaos.profiles import POWER_CUTS, PROFILES
from edgefed.cli import app
from edgefed.local_federation import LocalFederation

PLUGIN = Path(__file__).parents[2] / "edge_client" / "plugin"
SITES = ("plant-a", "plant-b")
JOB = """
name = "short"
method = "rehearsal"
[rounds]
count = 3
[rehearsal]
steps = 6
step_s = 0.2
"""


@dataclass(frozen=True)
class Deployment:
    """A coordinator that has moved from `front` to `back`, so that a proxy can take its place; agents dial `front`."""

    federation: LocalFederation
    front: str
    back: str
    environment: dict[str, str]

    def arguments(self, profile: str, *more: str) -> list[str]:
        return ["chaos", "--profile", profile, "--coordinator", self.back, "--listen", self.front, "--json", *more]

    def start(self, profile: str, *more: str) -> subprocess.Popen[str]:
        state = str(self.federation.coordinator_state)
        return subprocess.Popen(
            [sys.executable, "-m", "edgefed", *self.arguments(profile, "--state", state, *more)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **self.environment},
        )  # fmt: skip


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    package = folder / "installed" / "rehearsal-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: rehearsal\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[edgefed.methods]\nrehearsal = rehearsal:METHOD\n")
    paths = (str(package.parent), str(PLUGIN), os.environ.get("PYTHONPATH", ""))
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with socket.create_server(("127.0.0.1", 0)) as free:
        front = _address(free)
    with LocalFederation(folder / "federation", environment=environment) as federation:
        federation.start_coordinator(front)
        for site in SITES:
            federation.join(site, None)
        federation.kill("coordinator")
        federation.start_coordinator()
        for site in SITES:
            federation.run_site(site)
        back = (federation.coordinator_state / "operator" / "address").read_text().strip()
        yield Deployment(federation, front, back, environment)


def _finish(command: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    printed, said = command.communicate(timeout=90)
    assert "Traceback" not in said
    return command.returncode, json.loads(printed), said


def test_job_finishes_and_all_objectives_pass_over_factory_wifi(deployment: Deployment, tmp_path: Path) -> None:
    command = deployment.start("factory-wifi", "--seconds", "8", "--speed", "10")
    job = tmp_path / "job.toml"
    job.write_text(JOB)
    deployment.federation.submit(job)
    code, document, said = _finish(command)
    assert (code, document["passed"]) == (0, True), f"{said}\n{document['objectives']}\n{document['faults']}"
    assert [judged["passed"] for judged in document["objectives"]] == [True] * 4
    assert len(document["faults"]) >= 2 and all(fault["recovery_s"] < 30 for fault in document["faults"])
    assert document["connections"] >= 2 and document["bytes_up"] > 0
    assert f"client join --coordinator {deployment.front}" in said and "job short: round 3 of 3" in said
    assert deployment.federation.job("show", "short")["phase"] == "finished"


def test_it_fails_with_the_figure_when_sites_stay_away_for_longer_than_promised(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half-open connections are noticed after many seconds; this profile promises that it takes one.
    cut = replace(POWER_CUTS.mishaps[0], lasts_s=(0.5, 0.5))
    strict = replace(POWER_CUTS, calm_s=(5, 5), mishaps=(cut,), back_within_s=1.0, speed=1)
    monkeypatch.setitem(PROFILES, strict.name, strict)
    done = CliRunner().invoke(app, deployment.arguments(strict.name, "--seconds", "4"))
    assert done.exit_code == 6, done.output
    document = json.loads(done.stdout)
    assert document["passed"] is False
    assert [judged["passed"] for judged in document["objectives"]] == [False, None, None, None]
    assert document["objectives"][0]["figure"] == "1 of 1 late; never from power cut at 0:02"
    assert document["faults"][0]["recovery_s"] is None


def test_interrupted_run_reports_what_there_was(deployment: Deployment) -> None:
    command = deployment.start("hospital-vpn", "--seconds", "600")
    assert command.stderr is not None
    while "Waiting for the first site" not in command.stderr.readline():
        assert command.poll() is None
    command.send_signal(signal.SIGINT)
    code, document, _ = _finish(command)
    assert (code, document["interrupted"], document["faults"]) == (130, True, [])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{nobody}", "--listen", "127.0.0.1:0"], 3, "is that --coordinator?"),
        (["{taken}", "--listen", "{taken}"], 3, "choose another --listen"),
        (["{taken}", "--listen", "7443"], 2, "is not HOST:PORT"),
        (["{taken}", "--listen", "127.0.0.1:0", "--state", "{folder}"], 10, "is not a coordinator's state"),
        (["{taken}", "--listen", "127.0.0.1:0", "--seconds", "1"], 2, "a higher --speed"),
    ],
    ids=["nobody-there", "port-taken", "no-address", "no-state", "too-short"],
)
def test_users_fault_is_one_line_and_an_exit_code(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        places = {"taken": _address(taken), "nobody": _address(bound), "folder": str(tmp_path)}
        filled = [argument.format(**places) for argument in arguments]
        done = subprocess.run(
            [sys.executable, "-m", "edgefed", "chaos", "--profile", "factory-wifi", "--coordinator", *filled],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert words in done.stderr and "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr


def _address(bound: socket.socket) -> str:
    return f"127.0.0.1:{bound.getsockname()[1]}"
