"""What HTTP and ZeroMQ add to the same compiled model in the process that asks, and how much of its throughput is left.

Both sides judge the same image files (PNG, 300 x 300), in turns: decoding, resizing, inference and the judgement, with
one thread. The server is a process of its own, reached over loopback; its clients' work counts as the server's.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.peer_environments import PEERS
from benchmarks.processes import cpu_s
from benchmarks.result import Result
from benchmarks.serving_clients import Camera, HttpClient
from benchmarks.serving_process import ServeProcess
from benchmarks.serving_site import FULL, SMALL, compile_round, make_site
from edge_client.compiled.backends import MOST_IMAGES
from edge_client.compiled.model import CompiledModel, load_compiled
from edge_client.images import decode_image
from edge_client.threads import VARIABLE
from edgefed.demo.anomaly.plants import deal, load_cells

_REPEATS, _BLOCK = 15, 20
_CLIENTS, _CROWD_REPEATS, _CROWD_IMAGES = 8, 5, 200
_LIMITS_S = {"http": 0.003, "zmq": 0.001}

Judge = Callable[[bytes], object]


@dataclass(frozen=True)
class _Case:
    """A model that is served and is here too, and image files to ask both about."""

    name: str
    model: CompiledModel
    server: ServeProcess
    images: Sequence[bytes]

    def here(self, image: bytes) -> object:
        return self.model.judge_images([decode_image(image, "the file")])

    def client(self, entrance: str) -> HttpClient | Camera:
        return HttpClient(self.server.port) if entrance == "http" else Camera(self.server.endpoint)


def run() -> list[Result]:
    """Wall seconds, and CPU seconds of server and client together, which other work on the machine does not change."""
    os.environ[VARIABLE] = "1"
    results: list[Result] = []
    for name, settings in (("96px", SMALL), ("224px", FULL)):
        with threadpool_limits(1), _case(name, settings) as case:
            results += _overhead(case)
            results += [_throughput(case, entrance) for entrance in _LIMITS_S]
    return results


@contextmanager
def _case(name: str, settings: Mapping[str, Any]) -> Iterator[_Case]:
    PEERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PEERS) as found:
        folder = Path(found)
        site, tar = make_site(folder, settings), folder / "cells.tar"
        compile_round(site, 1, tar)
        model = load_compiled(tar, engines=folder / "engines")
        server = ServeProcess(folder / "serve.log", "--bundle", tar, "--state", site)
        cells = [cell.path.read_bytes() for cell in deal(load_cells(), 0).test if cell.type == "mono"]
        try:
            yield _Case(name, model, server, cells)
        finally:
            server.stop()


def _overhead(case: _Case) -> list[Result]:
    """Batch 1, one request at a time, in blocks that take turns."""
    clients = {entrance: case.client(entrance) for entrance in _LIMITS_S}
    ways: dict[str, Judge] = {"here": case.here, **{name: client.judge for name, client in clients.items()}}
    waited: dict[str, list[float]] = {name: [] for name in ways}
    worked = dict.fromkeys(ways, 0.0)
    for repeat in range(-1, _REPEATS):  # the first one warms up
        images = [case.images[(repeat * _BLOCK + index) % len(case.images)] for index in range(_BLOCK)]
        for name, judge in ways.items():
            before = _cpu_s(case)
            seconds = median(_seconds(judge, image) for image in images)
            if repeat >= 0:
                waited[name].append(seconds)
                worked[name] += (_cpu_s(case) - before) / (_REPEATS * _BLOCK)
    for client in clients.values():
        client.close()
    return [result for entrance in clients for result in _added(case.name, entrance, waited, worked)]


def _added(
    case: str, entrance: str, waited: Mapping[str, Sequence[float]], worked: Mapping[str, float]
) -> list[Result]:
    limit = _LIMITS_S[entrance]
    added = [ours - here for ours, here in zip(waited[entrance], waited["here"], strict=True)]
    return [
        Result(name=f"serving.{case}_{entrance}_adds_p50", unit="s", ours=added, peer=waited["here"], limit=limit,
               peer_name="the same images and model in the asking process, batch 1: its own p50"),
        Result(name=f"serving.{case}_{entrance}_adds_cpu", unit="s", ours=[worked[entrance] - worked["here"]],
               peer=[worked["here"]], peer_name="CPU seconds of the same"),
    ]  # fmt: skip


def _throughput(case: _Case, entrance: str) -> Result:
    """Eight clients, each with its next image as soon as it has an answer, against a loop over batches."""
    clients = [case.client(entrance) for _ in range(_CLIENTS)]
    images = case.images[:_CROWD_IMAGES]
    ours, peer = [], []
    with ThreadPoolExecutor(_CLIENTS) as pool:
        for repeat in range(-1, _CROWD_REPEATS):
            served, looped = _seconds(lambda _: _crowd(pool, clients, images)), _seconds(lambda _: _loop(case, images))
            if repeat >= 0:
                ours.append(served / len(images))
                peer.append(looped / len(images))
    for client in clients:
        client.close()
    return Result(
        name=f"serving.{case.name}_{entrance}_8_clients", unit="s", ours=ours, peer=peer, target=1 / 0.95,
        peer_name="seconds an image, the same images and model in a loop, decoded and judged 8 at a time",
    )  # fmt: skip


def _crowd(pool: ThreadPoolExecutor, clients: Sequence[HttpClient | Camera], images: Sequence[bytes]) -> None:
    def ask(number: int) -> None:
        for image in images[number::_CLIENTS]:
            clients[number].judge(image)

    list(pool.map(ask, range(_CLIENTS)))


def _loop(case: _Case, images: Sequence[bytes]) -> None:
    for start in range(0, len(images), MOST_IMAGES):
        case.model.judge_images([decode_image(image, "the file") for image in images[start : start + MOST_IMAGES]])


def _cpu_s(case: _Case) -> float:
    return time.process_time() + cpu_s(case.server.pid)


def _seconds(work: Judge, image: bytes = b"") -> float:
    start = time.perf_counter()
    work(image)
    return time.perf_counter() - start
