"""The server: one model, one queue, and every entrance that was asked for, until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_client.latency_budget import ask_to_pause
from edge_client.serve.hot_swap import Source, Stamp, keep_current
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Service
from edge_client.serve.verdict import Serving, Verdict
from edge_client.state import open_state
from protos.errors import InvalidInput

log = logging.getLogger(__name__)
Entrance = Coroutine[Any, Any, None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is to be served, and where.

    Attributes:
        root: the site's state folder.
        bundle: to serve instead of the site's current model.
        http: HOST:PORT.
        zmq: endpoint for frames.
        feed: endpoint on which all verdicts are published.
        watch: folder of images; `results` is where their results go.
        results: see `watch`.
        budget_ms: training pauses while 99 % of images take longer.
    """

    root: Path
    bundle: Path | None = None
    http: str | None = None
    zmq: str | None = None
    feed: str | None = None
    watch: Path | None = None
    results: Path | None = None
    budget_ms: float | None = None

    def check(self) -> None:
        """Raises `InvalidInput` where options are missing or contradict each other, before a model is loaded."""
        if not (self.http or self.zmq or self.watch):
            raise InvalidInput("nothing is served: say --http HOST:PORT, --zmq ENDPOINT or --watch DIR")
        if (self.watch is None) != (self.results is None):
            raise InvalidInput("--watch DIR and --results DIR go together")
        if self.budget_ms is not None:
            if not self.budget_ms > 0:
                raise InvalidInput(f"a latency budget is more than 0 ms and not {self.budget_ms:g}")
            open_state(self.root)  # whose training is to pause


def serve(options: Options) -> None:
    """Serves until SIGTERM (which returns) or SIGINT (`KeyboardInterrupt`); what was taken in is answered first.

    Raises:
        InvalidInput: see `Options.check`.
        EdgeFedError: the model cannot be loaded, or an entrance cannot be opened.
    """
    options.check()
    source = Source(options.root, options.bundle)
    stamp = source.stamp()
    serving = source.load()
    log.info("%s: %s", serving.model.job, serving.model.description)
    if asyncio.run(_serve(options, source, stamp, serving)) == signal.SIGINT:
        raise KeyboardInterrupt


async def _serve(options: Options, source: Source, stamp: Stamp, serving: Serving) -> signal.Signals:
    stop, received = _on_signals()
    metrics = Metrics()
    async with _zmq(options) as zmq, Service(serving, metrics, zmq.tell) as service:
        entrances = [*zmq.entrances(service, metrics, stop), *_others(options, service, metrics, stop)]
        async with asyncio.TaskGroup() as group:
            open_ = [group.create_task(entrance) for entrance in entrances]
            beside = [group.create_task(keep_current(service, source, metrics, stamp))]
            if options.budget_ms is not None:
                beside.append(group.create_task(_hold_budget(options.root, options.budget_ms, metrics)))
            log.info("ready")
            await stop.wait()
            log.info("%s: what was taken in is answered first", received[0].name)
            await asyncio.wait(open_)
            for task in beside:
                task.cancel()
    log.info("stopped")
    return received[0]


def _on_signals() -> tuple[asyncio.Event, list[signal.Signals]]:
    stop, received = asyncio.Event(), list[signal.Signals]()

    def end(number: signal.Signals) -> None:
        received.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    return stop, received


@dataclass(frozen=True)
class _Zmq:
    tell: Callable[[Verdict], None]
    entrances: Callable[[Service, Metrics, asyncio.Event], list[Entrance]]


@asynccontextmanager
async def _zmq(options: Options) -> AsyncIterator[_Zmq]:
    if not (options.zmq or options.feed):
        yield _Zmq(lambda verdict: None, lambda service, metrics, stop: [])
        return
    import zmq.asyncio

    from edge_client.serve.zmq_entrance import ZmqEntrance, bind, feed
    from edge_client.serve.zmq_security import Curve

    context, curve = zmq.asyncio.Context(), Curve(options.root)
    try:
        tell = feed(bind(context, zmq.PUB, options.feed, curve)) if options.feed else lambda verdict: None
        frames = [bind(context, zmq.ROUTER, options.zmq, curve)] if options.zmq else []
        yield _Zmq(
            tell, lambda service, metrics, stop: [ZmqEntrance(one, service, metrics).run(stop) for one in frames]
        )
    finally:
        curve.close()
        await asyncio.to_thread(context.destroy)  # the last verdicts are on their way for as long as LINGER says


def _others(options: Options, service: Service, metrics: Metrics, stop: asyncio.Event) -> list[Entrance]:
    entrances: list[Entrance] = []
    if options.watch and options.results:
        from edge_client.serve.watched_folder import WatchedFolder

        entrances.append(WatchedFolder(options.watch, options.results, service, metrics).run(stop))
    if options.http:
        from edge_client.serve.http_app import HttpEntrance
        from edge_client.serve.http_server import listen, serve_http

        entrances.append(serve_http(HttpEntrance(service, metrics).app, listen(options.http), stop))
    return entrances


async def _hold_budget(root: Path, budget_ms: float, metrics: Metrics) -> None:
    """Asks training to pause while the line is too slow."""
    over = False
    while True:
        p99 = metrics.recent_p99()
        if (p99 is not None and p99 > budget_ms) != over:
            over = not over
            log.warning("99 %% of images within %.0f ms, budget %g ms", p99 or 0, budget_ms)
        metrics.over_budget.set(over)
        if over:
            try:
                await asyncio.to_thread(ask_to_pause, root)
            except OSError as error:
                log.error("training cannot be asked to pause: %s", error)
        await asyncio.sleep(1)
