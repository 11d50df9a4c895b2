"""Frames in and verdicts out over ZeroMQ, and a feed of all verdicts.

A frame is taken from the socket only when there is a place for it. Without one the queues of ZeroMQ fill up, this
machine's first and then the camera's, whose `send` waits: no frame is lost and no memory grows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import zmq
import zmq.asyncio

from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Service
from edge_client.serve.verdict import Verdict
from edge_client.serve.zmq_frames import FileHeader, encoded, raw_image, read_header, split
from edge_client.serve.zmq_security import Curve, is_local
from protos.errors import EdgeFedError, InvalidInput, Unavailable

PLACES = 8
FRAME_BYTES = 64 << 20  # ZeroMQ drops the connection over a larger one
_FRAMES_AHEAD = 4  # that ZeroMQ itself holds for one camera
_VERDICTS_AHEAD = 1000

log = logging.getLogger(__name__)
Socket = zmq.asyncio.Socket


def bind(context: zmq.asyncio.Context, kind: int, endpoint: str, curve: Curve) -> Socket:
    """A socket that listens; where others than this machine reach it, only for known keys.

    Raises:
        InvalidInput: it is no endpoint.
        Refused, StateError: see `Curve.protect`.
        Unavailable: it is in use, or not of this machine.
    """
    local = is_local(endpoint)
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 2000)
    socket.setsockopt(zmq.MAXMSGSIZE, FRAME_BYTES)
    socket.setsockopt(zmq.RCVHWM, _FRAMES_AHEAD)
    socket.setsockopt(zmq.SNDHWM, _VERDICTS_AHEAD)
    try:
        if not local:
            curve.protect(socket, context)
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise Unavailable(f"cannot listen on {endpoint}: {error.strerror}") from error
    except EdgeFedError:
        socket.close()
        raise
    where = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    log.info("zmq %s on %s%s", "feed" if kind == zmq.PUB else "frames", where, "" if local else ", with CURVE keys")
    return socket


def feed(socket: Socket) -> Callable[[Verdict], None]:
    """What publishes verdicts, under the topic "defect", "normal" or "none"; who reads too slowly misses some."""
    plain: zmq.Socket[bytes] = zmq.Socket.shadow(socket)  # it never waits, so there is nothing to await

    def tell(verdict: Verdict) -> None:
        plain.send_multipart([(verdict.decision or "none").encode(), encoded(verdict.document())])

    return tell


class ZmqEntrance:
    """Takes frames from a ROUTER socket.

    Args:
        socket: bound.
        service: judges.
        metrics: count the frames.
    """

    def __init__(self, socket: Socket, service: Service, metrics: Metrics) -> None:
        self._socket, self._service, self._metrics = socket, service, metrics
        self._places = asyncio.Semaphore(PLACES)
        self._latest: dict[bytes, asyncio.Task[None]] = {}  # of each camera, while it is answered

    async def run(self, stop: asyncio.Event) -> None:
        """Answers frames until `stop` is set, and then those that were taken; each camera's in the order they came."""
        async with asyncio.TaskGroup() as answering:
            while message := await self._next(stop):
                camera = message[0]
                task = answering.create_task(self._answer(message, self._latest.get(camera)))
                self._latest[camera] = task
                task.add_done_callback(partial(self._answered, camera))

    def _answered(self, camera: bytes, task: asyncio.Task[None]) -> None:
        self._places.release()
        if self._latest[camera] is task:
            del self._latest[camera]

    async def _next(self, stop: asyncio.Event) -> list[bytes] | None:
        """The next frame, when there is a place for it; None when it is time to stop."""
        await self._places.acquire()
        while not stop.is_set():
            if await self._socket.poll(200):
                return await self._socket.recv_multipart()
        return None

    async def _answer(self, message: list[bytes], earlier: asyncio.Task[None] | None) -> None:
        envelope, parts = split(message)
        document = await self._document(parts)
        if earlier is not None:  # raw pixels and errors are ready sooner than a file that came before them
            await asyncio.wait([earlier])
        await self._socket.send_multipart([*envelope, encoded(document)])

    async def _document(self, parts: list[bytes]) -> dict[str, Any]:
        """A verdict or an error, with the frame's id."""
        name = None
        try:
            if len(parts) != 2:
                raise InvalidInput(f"a frame has two parts, header and image; {len(parts)} came")
            header = read_header(parts[0])
            name = header.id
            if isinstance(header, FileHeader):
                image = await self._service.decode(parts[1], "the frame")
            else:
                image = raw_image(header, parts[1])
            document = (await self._service.judge(image, patient=True)).document()
            outcome = "judged"
        except EdgeFedError as error:
            document, outcome = {"error": str(error)}, type(error).__name__
        self._metrics.requests.labels("zmq", outcome).inc()
        return {"id": name, **document}
