"""A real model behind a service in this process, and the whole server as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from edge_client.bundle.files import read_files
from edge_client.compiled.model import load_compiled
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Service
from edge_client.serve.verdict import Serving, Verdict
from protos.tensors import read_tensors, write_tensors


@pytest.fixture
def serving(compiled_bundle: Path, tmp_path: Path) -> Serving:
    model = load_compiled(compiled_bundle, engines=tmp_path / "engines")
    return Serving(model, model.calibration())


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def told() -> list[Verdict]:
    """What the service has told."""
    return []


@pytest.fixture
async def service(serving: Serving, metrics: Metrics, told: list[Verdict]) -> AsyncIterator[Service]:
    async with Service(serving, metrics, told.append) as service:
        yield service


@pytest.fixture(scope="session")
def cell(cells: Path) -> Path:
    """A defective cell."""
    return min((cells / "test" / "dark").iterdir())


@pytest.fixture
def other_memory(compiled_bundle: Path, tmp_path: Path) -> dict[str, bytes]:
    """The bundle's files with half of its memory, as another round might leave it."""
    files = read_files(compiled_bundle)
    for name in ("SHA256SUMS", "model.sig"):
        files.pop(name, None)
    rows = read_tensors(compiled_bundle / "memory_bank.safetensors")
    write_tensors(tmp_path / "bank", {name: array[: len(array) // 2] for name, array in rows.items()})
    count = len(next(iter(rows.values())))
    files["memory_bank.safetensors"] = (tmp_path / "bank").read_bytes()
    manifest = files["manifest.json"].replace(f'"rows": {count}'.encode(), f'"rows": {count // 2}'.encode())
    described = json.loads(manifest) | {"global_digest": blake3(files["memory_bank.safetensors"]).hexdigest()}
    return {**files, "manifest.json": json.dumps(described).encode()}


# As on a machine where nothing is installed that only training needs.
NO_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxscript"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from edgefed.cli import main
main()
"""


class Server:
    """`edgefed client serve` as a process; its log is read line by line."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-W", "error", "-c", NO_TORCH, "client", "serve", "--json", *map(str, arguments)]
        environment = {**os.environ, "EDGEFED_THREADS": "1"}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines: list[str] = []

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first message, from here on, that a pattern is found in."""
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(json.loads(line)["message"] if line.startswith("{") else line)
            if found := re.search(pattern, self.lines[-1]):
                return found
        raise AssertionError(f"the server ended without {pattern!r}: {self.lines}")

    def stop(self) -> int:
        """Ends it as an init system does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr
        self.lines.extend(self.process.stderr)
        return self.process.wait(30)


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def begin(*arguments: object) -> Server:
        started.append(Server(*arguments))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()
        assert server.process.stderr
        server.process.stderr.close()
