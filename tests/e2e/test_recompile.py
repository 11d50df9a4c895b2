"""A model that was compiled stays compiled: the next job's takes its place on the line, and no request is dropped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_client.bundle.bundle import open_bundle
from edge_client.release_key import pinned_key
from edgefed.demo.anomaly.plants import load_cells
from edgefed.local_federation import LocalFederation
from protos.artifacts import digest_of_file

JOB = """
name = "{name}"
method = "feddymem"
seed = {seed}
[rounds]
count = 1
[feddymem.features]
image_size = 96
[feddymem.memory]
rows = 48
upload_rows = 32
[feddymem.aggregation]
rows = 40
[feddymem.score]
holdout = 0.4
"""
PATIENCE_S = 180.0


@dataclass
class Line:
    """Judges one image again and again; keeps the digest that each answer names."""

    address: str
    image: bytes
    digests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.ended.wait(0.02):
            request = urllib.request.Request(f"http://{self.address}/inspect", data=self.image, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=30) as reply:
                    self.digests.append(json.load(reply)["model_digest"])
            except OSError as error:
                self.faults.append(str(error))


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[LocalFederation]:
    cells = [cell.path for cell in load_cells() if (cell.type, cell.probability) == ("mono", 0.0)][:20]
    good = tmp_path / "images" / "train" / "good"
    good.mkdir(parents=True)
    for cell in cells:
        shutil.copy(cell, good)
    with LocalFederation(tmp_path / "run", environment={"EDGEFED_THREADS": "1"}) as federation:
        federation.start_coordinator()
        federation.join("plant", tmp_path / "images")
        federation.run_site("plant")
        yield federation


@pytest.fixture
def serve(federation: LocalFederation) -> Iterator[Callable[[], Line]]:
    """Starts the server of the site, and a line that asks it."""
    processes: list[subprocess.Popen[str]] = []
    lines: list[tuple[threading.Thread, Line]] = []
    image = next((federation.folder.parent / "images").rglob("*.png")).read_bytes()

    def begin() -> Line:
        log = federation.folder / "logs" / "serve.log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgefed", "client", "serve", "--http", "127.0.0.1:0",
                 "--state", str(federation.site_state("plant"))],
                stderr=stderr, text=True, env={**os.environ, "EDGEFED_THREADS": "1"},
            )  # fmt: skip
        processes.append(process)
        until(lambda: "http on " in log.read_text(), log)
        line = Line(log.read_text().partition("http on ")[2].split()[0], image)
        thread = threading.Thread(target=line.run)
        lines.append((thread, line))
        thread.start()
        return line

    yield begin
    for thread, line in lines:
        line.ended.set()
        thread.join(60)
    for process in processes:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def until(condition: Callable[[], object], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def finish(federation: LocalFederation, name: str, seed: int) -> Path:
    """Runs a job to its end; the folder of the site's model of it."""
    job_file = federation.folder / f"{name}.toml"
    job_file.write_text(JOB.format(name=name, seed=seed))
    status = federation.job("watch", federation.submit(job_file))
    assert status["phase"] == "finished"
    model = federation.site_state("plant") / "models" / name
    until(model.exists, federation.folder / "logs" / "plant.log")
    return model


def test_the_line_gets_the_next_jobs_model_by_itself_and_keeps_the_last_good_one(
    federation: LocalFederation, serve: Callable[[], Line]
) -> None:
    site, log = federation.site_state("plant"), federation.folder / "logs" / "plant.log"
    finish(federation, "first", 1)
    assert federation.client("plant", "status")["compiled"]["state"] == "not asked for"
    federation.client("plant", "compile")
    line = serve()
    until(lambda: line.digests, log)
    (old,) = set(line.digests)

    second = finish(federation, "second", 2)
    until(lambda: line.digests[-1] != old, log)
    bundle = open_bundle(second / "compiled", pinned_key(site / "identity"))  # signed, as by hand
    new = line.digests[-1]
    assert bundle.digest.startswith(new) or new == bundle.digest
    assert (bundle.manifest.job, bundle.manifest.round) == ("second", 1)
    assert bundle.manifest.global_digest == digest_of_file(second / "global.safetensors")
    assert federation.client("plant", "status")["compiled"] == {"job": "second", "state": "compiled", "reason": ""}

    with (site / "site.toml").open("a") as file:
        file.write('[compile]\nbackend = "onnxruntime-cuda"\n')
    finish(federation, "third", 3)
    until(lambda: "job third: not compiled" in log.read_text(), log)
    status = federation.client("plant", "status")
    assert status["current_model"] == "third" and status["jobs"][-1]["state"] == "installed"
    assert (status["compiled"]["job"], status["compiled"]["state"]) == ("second", "refused")
    assert "put onnxruntime-gpu in the place of onnxruntime" in status["compiled"]["reason"]
    answered = len(line.digests)
    until(lambda: len(line.digests) > answered + 5, log)
    assert set(line.digests) == {old, new} and line.digests[-1] == new
    assert line.faults == []
    again = serve()  # a server that starts now has the last good model too
    until(lambda: again.digests, log)
    assert set(again.digests) == {new} and again.faults == []
