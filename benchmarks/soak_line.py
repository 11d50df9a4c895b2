"""A server under load: clients that never stop, and what is done to it meanwhile."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import memory_mb
from benchmarks.serving_process import ServeProcess
from benchmarks.soak_clients import Picture, Tally, ask_over_http, film
from edge_client.compiled.model import load_compiled
from edge_client.images import decode_image
from edge_client.serve.verdict import Serving, Verdict

_LOOK_EVERY_S = 0.5
_FIRST = 0.05
_PATIENCE_S, _SHORT_PATIENCE_S = 60.0, 2.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done to a server.

    Attributes:
        frames: to be judged in all.
        cameras: over ZeroMQ; every other one sends raw pixels instead of files.
        clients: over HTTP.
        swaps: how often another model takes the place of the one that is served.
        kills: how often the server is killed and started again.
    """

    frames: int
    cameras: int = 4
    clients: int = 2
    swaps: int = 3
    kills: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        tallies: of every client.
        memory: frames judged so far, and the server's resident memory in MB.
        seconds: that it took.
        exit_code: of the server, which was asked to end when all was done.
    """

    tallies: Sequence[Tally]
    memory: Sequence[tuple[int, float]]
    seconds: float
    exit_code: int


def run_line(plan: Plan, folder: Path, bundles: Sequence[Path], images: Sequence[bytes]) -> Outcome:
    """Does what the plan says to a server of its own.

    Args:
        plan: see `Plan`.
        folder: an empty one, for the server's files.
        bundles: two tar files that are served in turns.
        images: files.
    """
    served = folder / "served.tar"
    shutil.copy(bundles[0], served)
    pictures = _pictures(bundles, images, folder / "engines")
    server = ServeProcess(folder / "serve.log", "--bundle", served, "--state", folder / "state")
    began, running = time.monotonic(), True
    tallies = [Tally(f"camera-{n}") for n in range(plan.cameras)] + [Tally(f"http-{n}") for n in range(plan.clients)]
    with ThreadPoolExecutor(len(tallies)) as pool:
        clients = [
            pool.submit(_client(plan, number, server), pictures, tally, lambda: running)
            for number, tally in enumerate(tallies)
        ]
        try:
            memory = _disturb(plan, server, served, bundles, tallies, clients)
        finally:
            running = False
    for client in clients:
        client.result()
    return Outcome(tallies, memory, time.monotonic() - began, server.stop())


def _client(
    plan: Plan, number: int, server: ServeProcess
) -> Callable[[Sequence[Picture], Tally, Callable[[], bool]], None]:
    if number >= plan.cameras:
        return lambda *rest: ask_over_http(server.port, *rest)
    patience_s = _SHORT_PATIENCE_S if plan.kills else _PATIENCE_S
    return lambda *rest: film(server.endpoint, patience_s, number % 2 == 1, *rest)


def _disturb(
    plan: Plan, server: ServeProcess, served: Path, bundles: Sequence[Path], tallies: Sequence[Tally],
    clients: Sequence[Future[None]],
) -> list[tuple[int, float]]:  # fmt: skip
    """Watches the server's memory until all frames are judged; swaps and kills come evenly in between."""
    memory: list[tuple[int, float]] = []
    swaps = kills = 0
    goal = plan.frames
    while not any(client.done() for client in clients):
        frames = sum(tally.judged for tally in tallies)
        seen = all(tally.changes >= swaps for tally in tallies)
        if frames >= goal and (swaps, kills) == (plan.swaps, plan.kills) and seen:
            break
        memory.append((frames, memory_mb([server.pid])))
        if swaps < plan.swaps and seen and frames >= _due(swaps, plan.swaps, plan.frames):
            swaps += 1
            _exchange(served, bundles[swaps % 2])
        if kills < plan.kills and frames >= _due(kills, plan.kills, plan.frames):
            kills += 1
            server.kill()
            server.start()
            goal = max(goal, frames + plan.frames // (plan.kills + 1))  # after the last one it works as well
        time.sleep(_LOOK_EVERY_S)
    return memory


def _due(done: int, count: int, frames: int) -> float:
    """After how many frames the next of `count` disturbances comes; the first one while memory still warms up."""
    return max(_FIRST, done / count) * frames


def _exchange(served: Path, bundle: Path) -> None:
    fresh = served.with_suffix(".new")
    shutil.copy(bundle, fresh)
    fresh.replace(served)


def _pictures(bundles: Sequence[Path], images: Sequence[bytes], engines: Path) -> list[Picture]:
    """The images with what each model says of them in this process, one by one."""
    pictures = [Picture(image, decode_image(image, "the file"), {}) for image in images]
    for bundle in bundles:
        model = load_compiled(bundle, engines=engines)
        serving = Serving(model, model.calibration())
        for picture in pictures:
            (judgement,) = model.judge_images([picture.pixels])
            verdict = Verdict(judgement, model.job, serving.digest, serving.calibration, 0.0)
            picture.expected[serving.digest] = (judgement.score, verdict.decision)
        model.runner.close()
    return pictures
