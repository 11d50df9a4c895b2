"""A machine that asks over HTTP and a camera on ZeroMQ, each with one connection."""

from __future__ import annotations

import http.client
import itertools
import json
import select
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import zmq

PATIENCE_S = 30.0


class NoAnswer(Exception):
    """The server is away, has turned the image away, or says that it failed."""


class HttpClient:
    """Sends image files to `POST /inspect`.

    Args:
        port: of the server, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def judge(self, image: bytes) -> dict[str, Any]:
        """The verdict on an image file. Raises `NoAnswer`."""
        # The server closes a connection that is idle for some seconds; then there is something to read: its end.
        if self._connection.sock and select.select([self._connection.sock], [], [], 0)[0]:
            self._connection.close()
        try:
            self._connection.request("POST", "/inspect", image)
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request opens it again
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        if answer.status != 200:
            raise NoAnswer(f"{answer.status}: {body[:200]!r}")
        return dict(json.loads(body))

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


class Camera:
    """Sends image files over ZeroMQ; several may be on their way.

    Args:
        endpoint: of the server.
        patience_s: for which an answer is waited for.
    """

    def __init__(self, endpoint: str, patience_s: float = PATIENCE_S) -> None:
        self._context, self._patience_s, self._ids = zmq.Context(), patience_s, itertools.count()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.SNDHWM, 4)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(endpoint)

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, image: bytes, shape: Sequence[int] | None = None) -> int:
        """Sends an image on its way; its id.

        Args:
            image: a file's bytes.
            shape: (h, w, 3) where the bytes are raw pixels instead.

        Raises:
            NoAnswer: there is no room for it.
        """
        if not self._socket.poll(int(1000 * self._patience_s), zmq.POLLOUT):
            raise NoAnswer("the server takes no frame")
        number = next(self._ids)
        kind = {"encoding": "file"} if shape is None else {"encoding": "raw", "shape": list(shape)}
        self._socket.send_multipart([json.dumps({"id": number, **kind}).encode(), image])
        return number

    def receive(self) -> dict[str, Any]:
        """The next answer, a verdict or an error, with its `id`. Raises `NoAnswer` where none comes."""
        if not self._socket.poll(int(1000 * self._patience_s)):
            raise NoAnswer("no answer has come")
        return dict(json.loads(self._socket.recv()))

    def judge(self, image: bytes) -> dict[str, Any]:
        """The verdict on an image file, with nothing else on its way. Raises `NoAnswer`."""
        self.send(image)
        return self.receive()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()
        self._context.term()
