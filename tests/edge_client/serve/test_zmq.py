"""Frames and verdicts over real ZeroMQ sockets, with and without keys."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
import zmq.asyncio
import zmq.auth

from edge_client.images import read_image
from edge_client.serve import service as service_module
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Service
from edge_client.serve.verdict import Serving
from edge_client.serve.zmq_entrance import ZmqEntrance, bind, feed
from edge_client.serve.zmq_security import Curve, is_local
from protos.errors import InvalidInput, Refused, StateError, Unavailable

LOCAL = "tcp://127.0.0.1:*"


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[zmq.asyncio.Context]:
    """Its sockets live as long as it does, and are closed with it."""
    made: list[zmq.asyncio.Socket] = []
    make = zmq.asyncio.Context.socket

    def keep(self: zmq.asyncio.Context, kind: int, **more: Any) -> zmq.asyncio.Socket:
        made.append(make(self, kind, **more))
        return made[-1]

    monkeypatch.setattr(zmq.asyncio.Context, "socket", keep)
    context = zmq.asyncio.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
async def endpoint(
    context: zmq.asyncio.Context, service: Service, metrics: Metrics, tmp_path: Path
) -> AsyncIterator[str]:
    stop = asyncio.Event()
    socket = bind(context, zmq.ROUTER, f"ipc://{tmp_path}/frames", Curve(tmp_path))
    running = asyncio.create_task(ZmqEntrance(socket, service, metrics).run(stop))
    yield f"ipc://{tmp_path}/frames"
    stop.set()
    await running


def camera(context: zmq.asyncio.Context, endpoint: str, kind: int = zmq.DEALER) -> zmq.asyncio.Socket:
    socket = context.socket(kind)
    socket.setsockopt(zmq.SNDHWM, 1)
    socket.connect(endpoint)
    return socket


async def exchange(socket: zmq.asyncio.Socket, *parts: bytes) -> Any:
    await socket.send_multipart(parts)
    return json.loads((await asyncio.wait_for(socket.recv_multipart(), 20))[-1])


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER])
async def test_a_file_and_raw_pixels_get_the_same_verdict(
    context: zmq.asyncio.Context, endpoint: str, cell: Path, kind: int
) -> None:
    socket, image = camera(context, endpoint, kind), read_image(cell)
    as_file = await exchange(socket, b'{"id": "a", "encoding": "file"}', cell.read_bytes())
    header = {"id": 2, "encoding": "raw", "shape": image.shape}
    as_raw = await exchange(socket, json.dumps(header).encode(), image.tobytes())
    assert (as_file["id"], as_raw["id"]) == ("a", 2)
    assert as_file["verdict"] == as_raw["verdict"] == "defect"
    assert as_file["score"] == pytest.approx(as_raw["score"], rel=1e-6)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([b"{}", b"x"], "the header cannot be read"),
        ([b"\xff", b"x"], "the header cannot be read"),
        ([b'{"encoding": "file"}'], "two parts"),
        ([b'{"encoding": "file"}', b"x", b"y"], "two parts"),
        ([b"x"] * 1000, "two parts"),
        ([b"[" * 100_000, b"x"], "the header cannot be read"),
        ([b'{"id": %s, "encoding": "file"}' % (b"9" * 5000), b"x"], "the header cannot be read"),
        ([b'{"encoding": "file"}', b"no image"], "the frame is not a PNG"),
        ([b'{"encoding": "raw", "shape": [2, 2, 3]}', b"x"], "are 12 bytes; 1 came"),
        ([b'{"encoding": "raw", "shape": [2, 2, 4]}', bytes(16)], "(height, width, 3)"),
        ([b'{"encoding": "raw", "shape": [-2, -2, 3]}', bytes(12)], "greater than or equal to 1"),
        ([b'{"encoding": "raw", "shape": [1, 1, 3], "size": 3}', bytes(3)], "Extra inputs"),
    ],
)
async def test_a_frame_that_cannot_be_judged_gets_its_error_and_the_next_one_a_verdict(
    context: zmq.asyncio.Context, endpoint: str, cell: Path, parts: list[bytes], words: str
) -> None:
    socket = camera(context, endpoint)
    assert words in (await exchange(socket, *parts))["error"]
    assert (await exchange(socket, b'{"encoding": "file"}', cell.read_bytes()))["verdict"] == "defect"


async def test_a_flood_is_held_up_and_no_frame_is_lost(
    context: zmq.asyncio.Context, endpoint: str, cell: Path, monkeypatch: pytest.MonkeyPatch, metrics: Metrics
) -> None:
    monkeypatch.setattr(service_module, "MOST_WAITING", 1)
    socket, image = camera(context, endpoint), cell.read_bytes()
    most = 0

    async def flood() -> None:
        for number in range(60):
            await socket.send_multipart([json.dumps({"id": number, "encoding": "file"}).encode(), image])

    sending = asyncio.create_task(flood())
    seen = set()
    while len(seen) < 60:
        seen.add(json.loads(await asyncio.wait_for(socket.recv(), 20))["id"])
        most = max(most, int(metrics.waiting._value.get()))
    await sending
    assert seen == set(range(60)) and most <= 1


async def test_a_camera_gets_its_answers_in_the_order_of_its_frames(
    context: zmq.asyncio.Context, endpoint: str, cell: Path
) -> None:
    """Found by reading: raw pixels overtook a file, which has to be decoded first, and an error overtook both."""
    socket, image = camera(context, endpoint), cell.read_bytes()
    pixels = read_image(cell)
    raw = {"encoding": "raw", "shape": pixels.shape}
    kinds = [({"encoding": "file"}, image), (raw, pixels.tobytes()), ({"encoding": "file"}, b"no image"), ({}, b"")]
    for number in range(24):
        header, data = kinds[number % 4]
        await socket.send_multipart([json.dumps({"id": number, **header}).encode(), data])
    answers = [json.loads(await asyncio.wait_for(socket.recv(), 20)) for _ in range(24)]
    assert ["error" in answer for answer in answers] == [False, False, True, True] * 6
    # A header that cannot be read has no id to give back.
    assert [answer["id"] for answer in answers] == [None if number % 4 == 3 else number for number in range(24)]


async def test_the_feed_tells_every_verdict_under_its_topic(
    context: zmq.asyncio.Context, serving: Serving, metrics: Metrics, cell: Path, tmp_path: Path
) -> None:
    where = f"ipc://{tmp_path}/feed"
    tell = feed(bind(context, zmq.PUB, where, Curve(tmp_path)))
    reader = context.socket(zmq.SUB)
    reader.setsockopt(zmq.SUBSCRIBE, b"defect")
    reader.connect(where)
    async with Service(serving, metrics, tell) as service:
        for _ in range(100):  # a subscription takes a moment to arrive
            verdict = await service.judge(read_image(cell))
            if await reader.poll(100):
                break
        topic, document = await reader.recv_multipart()
    assert (topic, json.loads(document)["score"]) == (b"defect", pytest.approx(verdict.judgement.score))


def give_key(root: Path, camera_keys: Path, name: str) -> None:
    clients = root / "curve" / "clients"
    clients.mkdir(parents=True, exist_ok=True)
    public, _ = zmq.auth.create_certificates(camera_keys, name)
    shutil.copy(public, clients)


@pytest.mark.parametrize(("known", "answered"), [(True, True), (False, False), (None, False)])
async def test_from_another_machine_only_known_keys_are_answered(
    context: zmq.asyncio.Context, service: Service, metrics: Metrics, tmp_path: Path, cell: Path,
    known: bool | None, answered: bool,
) -> None:  # fmt: skip
    keys, site, curve = tmp_path / "keys", tmp_path / "site", Curve(tmp_path / "site")
    keys.mkdir()
    give_key(site, keys, "camera-1")
    zmq.auth.create_certificates(keys, "stranger")
    router = bind(context, zmq.ROUTER, "tcp://0.0.0.0:*", curve)
    port = router.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2]
    stop = asyncio.Event()
    running = asyncio.create_task(ZmqEntrance(router, service, metrics).run(stop))
    socket = context.socket(zmq.DEALER)
    if known is not None:
        secret = keys / f"{'camera-1' if known else 'stranger'}.key_secret"
        socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(secret)
        socket.curve_serverkey, _ = zmq.auth.load_certificate(site / "curve" / "server.key")
    socket.connect(f"tcp://127.0.0.1:{port}")
    await socket.send_multipart([b'{"encoding": "file"}', cell.read_bytes()])
    assert bool(await socket.poll(20_000 if answered else 700)) is answered
    stop.set()
    await running
    curve.close()
    assert stat.S_IMODE((site / "curve" / "server.key_secret").stat().st_mode) == 0o600


async def test_without_any_known_key_others_are_not_listened_to(context: zmq.asyncio.Context, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="put the public key of every camera there"):
        bind(context, zmq.ROUTER, "tcp://0.0.0.0:*", Curve(tmp_path))


async def test_a_damaged_key_is_told(context: zmq.asyncio.Context, tmp_path: Path) -> None:
    give_key(tmp_path, tmp_path, "camera-1")
    (tmp_path / "curve" / "server.key_secret").write_text("nothing")
    with pytest.raises(StateError, match=r"server\.key_secret"):
        bind(context, zmq.ROUTER, "tcp://0.0.0.0:*", Curve(tmp_path))


async def test_an_endpoint_in_use_is_unavailable(context: zmq.asyncio.Context, tmp_path: Path) -> None:
    first = bind(context, zmq.ROUTER, LOCAL, Curve(tmp_path))
    with pytest.raises(Unavailable, match="cannot listen on"):
        bind(context, zmq.ROUTER, first.getsockopt_string(zmq.LAST_ENDPOINT), Curve(tmp_path))


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("ipc:///run/cells", True),
        ("tcp://127.0.0.1:5555", True),
        ("tcp://[::1]:5555", True),
        ("tcp://0.0.0.0:5555", False),
        ("tcp://*:5555", False),
        ("tcp://eth0:5555", False),
    ],
)
def test_only_loopback_and_ipc_are_of_this_machine(endpoint: str, local: bool) -> None:
    assert is_local(endpoint) is local


@pytest.mark.parametrize("endpoint", ["", "ipc://", "udp://127.0.0.1:1", "tcp://127.0.0.1", "tcp://127.0.0.1:99999"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(InvalidInput, match="is not an endpoint"):
        is_local(endpoint)


def test_raw_pixels_keep_their_order() -> None:
    from edge_client.serve.zmq_frames import RawHeader, raw_image

    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert (raw_image(RawHeader(encoding="raw", shape=[2, 2, 3]), image.tobytes()) == image).all()
