"""Requests to a real coordinator process over real TLS: bent messages and no messages, from callers of every kind."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from random import Random

import grpc
from grpc import aio

from protos.artifacts import CHUNK_BYTES
from protos.errors import ERROR_KEY
from tests.fuzz.messages import bend_message, messages
from tests.fuzz.mutations import bend_bytes
from tests.fuzz.target import KINDS, Target, target
from tests.fuzz.trials import Tally

AT_ONCE = 12
SLOW_S = 1.0
CALL_S = 8.0  # after which a call is stuck; long polls are cut short below
GROWTH_BYTES = 96 << 20
STREAMING = frozenset({"WatchJob"})


def case(number: int) -> tuple[str, str, bytes]:
    """Caller, method and request of one case."""
    random = Random(f"requests {number}")
    sound = messages(random)
    name = random.choice(sorted(sound))
    message = sound[name]
    for _ in range(random.choice((0, 1, 1, 2))):
        bend_message(random, message)
    data = message.SerializeToString()
    if random.random() < 0.25:
        data = bend_bytes(random, data)
    if random.random() < 0.01:
        data = bytes(2 * CHUNK_BYTES)
    natural = {"Jobs": "operator", "Enrolment": "enrolment"}.get(name.partition("/")[0], "site")
    caller = natural if random.random() < 0.8 else random.choice(KINDS)
    return caller, f"/edgefed.v1.{name if random.random() < 0.98 else 'Work/Nothing'}", data


async def _answer(channel: aio.Channel, method: str, data: bytes) -> tuple[str, str]:
    try:
        if method.rpartition("/")[2] in STREAMING:
            async for _ in channel.unary_stream(method)(data, timeout=CALL_S):
                break
        else:
            await channel.unary_unary(method)(data, timeout=CALL_S)
    except aio.AioRpcError as error:
        code, ours = error.code(), dict(error.trailing_metadata() or ()).get(ERROR_KEY)
        words = f"{code.name}: {error.details()}"[:300]
        if ours or code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED):
            return "refused", words
        return ("stuck" if code is grpc.StatusCode.DEADLINE_EXCEEDED else "crashed"), words
    return "accepted", ""


async def _run(attacked: Target, count: int, tally: Tally) -> None:
    options = [("grpc.ssl_target_name_override", "edgefed-coordinator"), ("grpc.use_local_subchannel_pool", 1)]
    channels = {
        kind: aio.secure_channel(attacked.address, grpc.ssl_channel_credentials(attacked.ca, *pair), options=options)
        for kind, pair in attacked.credentials.items()
    }
    numbers = iter(range(count))

    async def attack() -> None:
        for number in numbers:
            caller, method, data = case(number)
            began = time.monotonic()
            outcome, words = await _answer(channels[caller], method, data)
            spent = time.monotonic() - began
            if caller == "stranger":  # gets no connection, which gRPC tells as an absent server
                outcome = "refused" if words.startswith("UNAVAILABLE") else "crashed"
            waits = method.endswith("/NextWork")  # as long as it was asked to, up to 25 s
            if outcome == "stuck" and waits:
                outcome = "accepted"
            elif outcome == "accepted" and spent > SLOW_S * AT_ONCE and not waits:
                outcome, words = "slow", f"took {spent:.1f} s"
            tally.note(number, outcome, 0.0 if waits else spent, f"{caller} {method}: {words}")

    await asyncio.gather(*(attack() for _ in range(AT_ONCE)))
    await asyncio.gather(*(channel.close() for channel in channels.values()))


def run_requests(count: int) -> Tally:
    """Sends the first `count` cases; a traceback in the coordinator's log is a crash, and growth a fault of memory."""
    tally, began = Tally("requests"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, target(Path(folder)) as attacked:
        asyncio.run(_run(attacked, min(300, count), Tally("the first ones, which load what is needed")))
        before = attacked.resident_bytes
        asyncio.run(_run(attacked, count, tally))
        grown = attacked.resident_bytes - before
        if grown > GROWTH_BYTES:
            tally.note(count, "greedy", 0.0, f"the coordinator grew by {grown >> 20} MiB")
        for block in attacked.tracebacks:
            tally.note(count, "crashed", 0.0, f"in the log: {block}")
    tally.seconds = time.monotonic() - began
    return tally
