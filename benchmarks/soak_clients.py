"""Clients that hold every answer against what the model says of the same image in this process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving_clients import Camera, HttpClient, NoAnswer

_AHEAD = 4  # frames of one camera on their way
_AGAIN_S = 0.1
_TOLERANCE = 1e-5  # of a score, relative: sums of another batch size are rounded otherwise


@dataclass(frozen=True)
class Picture:
    """An image as both kinds of clients send it, and what is to be said of it.

    Attributes:
        file: of the image.
        pixels: (h, w, 3) uint8, decoded.
        expected: digest of a model -> its score and verdict.
    """

    file: bytes
    pixels: NDArray[np.uint8]
    expected: dict[str, tuple[float, str | None]]

    def is_right(self, answer: Mapping[str, Any]) -> bool:
        """Whether an answer is what the model that it names says of this image."""
        score, verdict = self.expected[answer["model_digest"]]
        return answer["verdict"] == verdict and abs(answer["score"] - score) <= _TOLERANCE * abs(score)


COUNTS = ("judged", "wrong", "refused", "unanswered", "reordered", "late", "changes")


@dataclass
class Tally:
    """What became of one client's images.

    Attributes:
        name: of the client.
        judged: got a verdict, right or wrong.
        wrong: another verdict or score than this process's.
        refused: the server answered with an error.
        unanswered: were sent and got no answer in time; they are sent again.
        reordered: answered before one that was sent earlier.
        late: answered after they were given up.
        changes: how often the next verdict was another model's.
    """

    name: str
    judged: int = 0
    wrong: int = 0
    refused: int = 0
    unanswered: int = 0
    reordered: int = 0
    late: int = 0
    changes: int = 0
    _model: str = ""

    def take(self, picture: Picture, answer: Mapping[str, Any]) -> None:
        """Counts one answer."""
        if "error" in answer:
            self.refused += 1
            return
        self.judged += 1
        self.wrong += not picture.is_right(answer)
        self.changes += self._model not in ("", answer["model_digest"])
        self._model = answer["model_digest"]


def ask_over_http(port: int, pictures: Sequence[Picture], tally: Tally, on: Callable[[], bool]) -> None:
    """Sends one image after the other for as long as `on` says so."""
    client, number = HttpClient(port), 0
    while on():
        picture = pictures[number % len(pictures)]
        try:
            tally.take(picture, client.judge(picture.file))
            number += 1
        except NoAnswer:
            tally.unanswered += 1
            time.sleep(_AGAIN_S)
    client.close()


def film(
    endpoint: str, patience_s: float, raw: bool, pictures: Sequence[Picture], tally: Tally, on: Callable[[], bool]
) -> None:
    """Keeps a few frames on their way for as long as `on` says so, and then waits for their answers."""
    sent: list[Picture] = []  # by id
    waiting: deque[int] = deque()
    with Camera(endpoint, patience_s) as camera:
        while waiting or on():
            try:
                while len(waiting) < _AHEAD and on():
                    picture = pictures[len(sent) % len(pictures)]
                    data, shape = (picture.pixels.tobytes(), picture.pixels.shape) if raw else (picture.file, None)
                    waiting.append(camera.send(data, shape))
                    sent.append(picture)
                answer = camera.receive()
            except NoAnswer:
                tally.unanswered += len(waiting)
                waiting.clear()
                continue
            tally.take(sent[answer["id"]], answer)
            if answer["id"] not in waiting:
                tally.late += 1
                continue
            tally.reordered += answer["id"] != waiting[0]
            waiting.remove(answer["id"])
