"""An engine at work: the kept one where it still proves itself, a new one where not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_client.compiled.runner import Bank, Runner
from edge_client.engines.cache import Engine, EngineCache
from edge_client.engines.golden import agrees, golden_answer, golden_bank
from edge_client.engines.key import EngineKey
from protos.errors import EdgeFedError, EngineError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An engine that is asked for.

    Attributes:
        model: its name, for the file and the log.
        key: what it depends on.
        size: s of its images (b, 3, s, s).
        rows: of the bank that it is tuned for.
        build: makes it.
        load: puts it on the device with a bank.
    """

    model: str
    key: EngineKey
    size: int
    rows: int
    build: Callable[[], bytes]
    load: Callable[[bytes, Bank], Runner]


def provide(cache: EngineCache, wanted: Wanted, bank: Bank) -> Runner:
    """A runner that has answered the golden input and holds a bank.

    Raises:
        BackendMissing: there is no device.
        EngineError: the engine cannot be built, or a fresh one does not run.
        InvalidInput: the bank does not fit it.
        StateError: the disk has no room.
    """
    golden = golden_bank(wanted.rows, bank.rows.shape[1])
    with cache.lock(wanted.model, wanted.key):
        found = cache.find(wanted.model, wanted.key)
        runner = _proven(found, wanted, golden) if isinstance(found, Engine) else None
        if runner is None:
            reason = "the kept engine has failed" if isinstance(found, Engine) else found.reason
            runner = _build(cache, wanted, golden, reason)
    try:
        runner.swap(bank)
    except EdgeFedError:
        runner.close()
        raise
    return runner


def _proven(engine: Engine, wanted: Wanted, golden: Bank) -> Runner | None:
    runner = None
    try:
        runner = wanted.load(engine.plan, golden)
        answer = golden_answer(runner, wanted.size)
        if agrees(answer, engine.sidecar.golden):
            return runner
        fault = f"it answers the golden input with {answer}"
    except EngineError as error:
        fault = str(error)
    _logger.warning("the engine of %s is given up: %s", wanted.model, fault)
    if runner:
        runner.close()
    return None


def _build(cache: EngineCache, wanted: Wanted, golden: Bank, reason: str) -> Runner:
    _logger.info("building an engine of %s for %s: %s", wanted.model, wanted.key.runtime, reason)
    started = time.perf_counter()
    plan = wanted.build()
    seconds = time.perf_counter() - started
    runner = wanted.load(plan, golden)
    answer = golden_answer(runner, wanted.size)
    cache.keep(wanted.model, wanted.key, plan, build_seconds=seconds, golden=answer)
    _logger.info("built in %.1f s, %.1f MiB", seconds, len(plan) / 2**20)
    return runner
