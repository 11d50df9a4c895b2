"""`edgefed client serve` as a process, as a person and an init system meet it."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq

from edge_client.latency_budget import FILE, asked_to_pause

CAMERA = Path(__file__).parents[3] / "docs" / "camera_client.py"
Start = Callable[..., Any]


def inspect(port: str, image: Path) -> dict[str, object]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/inspect", image.read_bytes())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


def eventually(condition: Callable[[], bool]) -> None:
    due = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < due, "it never came to hold"
        time.sleep(0.05)


def test_all_entrances_at_once_and_a_camera(
    start: Start, compiled_bundle: Path, cells: Path, cell: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    feed, watched = f"ipc://{tmp_path}/feed", tmp_path / "in"
    server = start(
        "--bundle", compiled_bundle, "--state", tmp_path / "state", "--http", "127.0.0.1:0", "--zmq",
        f"ipc://{tmp_path}/frames", "--feed", feed, "--watch", watched, "--results", tmp_path / "out",
    )  # fmt: skip
    port = server.wait_for(r"http on 127.0.0.1:(\d+)")[1]
    server.wait_for("^ready$")
    with zmq.Context() as context, context.socket(zmq.SUB) as reader:
        reader.setsockopt(zmq.SUBSCRIBE, b"")
        reader.connect(feed)
        assert inspect(port, cell)["verdict"] == "defect"
        shutil.copy(cell, watched)
        good = min((cells / "test" / "good").iterdir())
        command = [sys.executable, "-W", "error::DeprecationWarning", CAMERA, f"ipc://{tmp_path}/frames", cell, good]
        sent = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        verdicts = dict(line.split("\t")[:2] for line in sent.stdout.splitlines())
        assert verdicts[str(cell)] == "defect"
        assert set(verdicts) == {str(cell), str(good)}
        eventually((tmp_path / "out" / f"{cell.name}.json").exists)
        assert reader.poll(5000)
    assert server.stop() == 0


def test_a_signal_lets_those_inside_be_answered(start: Start, compiled_site: Path, cells: Path, tmp_path: Path) -> None:
    server = start("--state", compiled_site, "--http", "127.0.0.1:0")
    port = server.wait_for(r"http on 127.0.0.1:(\d+)")[1]
    server.wait_for("^ready$")
    inside = []
    for image in sorted((cells / "test").rglob("*.png")):
        inside.append(http.client.HTTPConnection("127.0.0.1", int(port), timeout=30))
        inside[-1].request("POST", "/inspect", image.read_bytes())
    assert inside[0].getresponse().status == 200  # now the others are inside
    server.process.send_signal(signal.SIGTERM)
    for connection in inside[1:]:
        assert json.load(connection.getresponse())["verdict"] in ("normal", "defect")
    for connection in inside:
        connection.close()
    assert server.stop() == 0
    assert any('"message": "stopped"' in line for line in server.lines)


def test_a_slow_line_asks_training_to_pause_and_a_quick_one_does_not(
    start: Start, compiled_site: Path, cell: Path, tmp_path: Path
) -> None:
    site = Path(shutil.copytree(compiled_site, tmp_path / "site"))
    for budget, pauses in (("60000", False), ("0.001", True)):
        server = start("--state", site, "--http", "127.0.0.1:0", "--latency-budget-ms", budget)
        port = server.wait_for(r"http on 127.0.0.1:(\d+)")[1]
        server.wait_for("^ready$")
        inspect(port, cell)
        if pauses:
            server.wait_for("budget 0.001 ms")
            eventually(lambda: asked_to_pause(site))
        else:
            time.sleep(1.5)
            assert not (site / FILE).exists()
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "nothing is served: say --http"),
        (("--watch", "."), 2, "go together"),
        (("--http", "127.0.0.1:0", "--latency-budget-ms", "-1"), 2, "more than 0 ms"),
        (("--http", "127.0.0.1:0", "--latency-budget-ms", "9", "--state", "EMPTY"), 2, "not the state folder"),
        (("--http", "nowhere", "--bundle", "BUNDLE"), 2, "write HOST:PORT"),
        (("--http", "192.0.2.1:80", "--bundle", "BUNDLE"), 3, "cannot listen on 192.0.2.1:80"),
        (("--zmq", "tcp://*:0", "--bundle", "BUNDLE", "--state", "EMPTY"), 9, "put the public key of every camera"),
        (("--watch", "EMPTY/nowhere", "--results", "EMPTY/out", "--bundle", "BUNDLE"), 2, "is not a folder"),
        (("--http", "127.0.0.1:0", "--bundle", "EMPTY"), 7, "lacks MODEL_CARD.md"),
    ],
)
def test_misuse_is_one_line_and_an_exit_code(
    edgefed: Callable[..., subprocess.CompletedProcess[str]],
    arguments: tuple[str, ...], code: int, words: str, compiled_bundle: Path, tmp_path: Path,
) -> None:  # fmt: skip
    places = {"BUNDLE": str(compiled_bundle), "EMPTY": str(tmp_path)}
    typed = [places.get(word, word.replace("EMPTY", str(tmp_path))) for word in arguments]
    done = edgefed("serve", *typed)
    assert done.returncode == code, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("missing", "module", "arguments"),
    [
        ("starlette", "http_app", ("--http", "127.0.0.1:0")),
        ("zmq", "zmq_entrance", ("--zmq", "tcp://127.0.0.1:*")),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(
    edgefed: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch,
    missing: str, module: str, arguments: tuple[str, ...], compiled_bundle: Path,
) -> None:  # fmt: skip
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"edge_client.serve.{module}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    done = edgefed("serve", *arguments, "--bundle", compiled_bundle)
    assert done.returncode == 2, done.stderr
    assert f"serving needs {missing}" in done.stderr and "pip install 'edgefed[serve]'" in done.stderr
