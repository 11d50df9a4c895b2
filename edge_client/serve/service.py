"""The one place where images are judged: a bounded queue, and a thread each that decodes, that judges and that draws.

An image waits for those that were there before it, at most `MOST_WAITING` in batches of at most `MOST_IMAGES`. A batch
is what has come while the one before it was judged: no image waits for others. Who comes when there is no room is told
so at once (`Busy`), or, where the sender can be held up, waits outside.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_client.compiled.backends import MOST_IMAGES
from edge_client.images import MAX_PIXELS, decode_image
from edge_client.judge import Judgement
from edge_client.serve.metrics import Metrics
from edge_client.serve.verdict import Serving, Verdict
from protos.errors import EdgeFedError, EngineError, InvalidInput

MOST_WAITING = 32
MOST_BYTES = 1 << 29  # of decoded images that wait or are judged; a single one is always taken

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Busy(Exception):
    """More images are waiting than the service takes; the caller should come again in a second."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    image: NDArray[np.uint8]
    verdict: asyncio.Future[Verdict]
    arrived: float


class Service:
    """Judges images for every entrance. Use it in `async with`: leaving it judges what waits, and then ends.

    Args:
        serving: the first model.
        metrics: what it is counted in.
        tell: is called with every verdict.
    """

    def __init__(self, serving: Serving, metrics: Metrics, tell: Callable[[Verdict], None]) -> None:
        self._serving, self._metrics, self._tell = serving, metrics, tell
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue()  # bounded by `_fits`
        self._room, self._count, self._bytes = asyncio.Condition(), 0, 0
        # One thread each: a runner may be called by one at a time, decoding takes up to 600 MB, and no image waits for
        # a heat map to be drawn, which takes longer than judging.
        self._judging, self._reading, self._drawing = (
            ThreadPoolExecutor(1, name) for name in ("judging", "reading", "drawing")
        )
        metrics.serve(serving)

    async def __aenter__(self) -> Service:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._queue.put_nowait(None)
        await self._running
        self._judging.submit(self._serving.model.runner.close)
        for executor in (self._judging, self._reading, self._drawing):
            await asyncio.to_thread(executor.shutdown)

    @property
    def serving(self) -> Serving:
        """The model that judges the next batch."""
        return self._serving

    async def swap(self, serving: Serving) -> None:
        """Lets another model judge from the next batch on; comes back when the old one is closed, after its last."""
        old, self._serving = self._serving, serving
        self._metrics.serve(serving)
        await asyncio.get_running_loop().run_in_executor(self._judging, old.model.runner.close)

    async def decode(self, data: bytes, name: str) -> NDArray[np.uint8]:
        """See `decode_image`. It raises the same."""
        return await self.read(lambda: decode_image(data, name))

    async def read(self, work: Callable[[], Result]) -> Result:
        """Gets at an image in the thread that reads; see `decode`."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    async def draw(self, verdict: Verdict) -> bytes:
        """See `Verdict.heatmap`. It raises the same."""
        return await asyncio.get_running_loop().run_in_executor(self._drawing, verdict.heatmap)

    async def judge(self, image: NDArray[np.uint8], *, patient: bool = False) -> Verdict:
        """The verdict on an image (h, w, 3) uint8.

        Args:
            image: in red, green, blue.
            patient: waits for room.

        Raises:
            InvalidInput: it is no such image, or too large.
            Busy: there is no room.
            StateError, EngineError: the model gives no number, or its backend failed.
        """
        check_image(image)
        if not patient and not self._fits(image):
            self._metrics.turned_away.inc()
            raise Busy
        arrived = time.perf_counter()
        async with self._room:
            await self._room.wait_for(lambda: self._fits(image))
            self._take(1, image.nbytes)
        try:
            waiting = _Waiting(image, asyncio.get_running_loop().create_future(), arrived)
            self._queue.put_nowait(waiting)
            return await waiting.verdict
        finally:
            self._take(-1, -image.nbytes)
            async with self._room:
                self._room.notify_all()

    def _fits(self, image: NDArray[np.uint8]) -> bool:
        return self._count == 0 or (self._count < MOST_WAITING and self._bytes + image.nbytes <= MOST_BYTES)

    def _take(self, count: int, size: int) -> None:
        self._count, self._bytes = self._count + count, self._bytes + size
        self._metrics.waiting.set(self._count)

    async def _run(self) -> None:
        while batch := await self._next_batch():
            serving = self._serving  # a swap while the thread is at work is for the next batch
            images = [waiting.image for waiting in batch]
            work = asyncio.get_running_loop().run_in_executor(self._judging, serving.model.judge_images, images)
            try:
                found = await work
            except EdgeFedError as error:
                self._fail(batch, error)
            except Exception as error:  # of a backend; it must not end the service, and who waits is told
                log.exception("the model failed")
                self._fail(batch, EngineError(f"the model failed: {type(error).__name__}: {error}"))
            else:
                self._answer(batch, found, serving)

    async def _next_batch(self) -> list[_Waiting]:
        """What is there, at least one image; none after the end was put into the queue."""
        batch: list[_Waiting] = []
        while len(batch) < MOST_IMAGES and not (batch and self._queue.empty()):
            waiting = await self._queue.get()
            if waiting is None:
                if batch:
                    self._queue.put_nowait(None)
                break
            if not waiting.verdict.cancelled():  # or who asked has given up
                batch.append(waiting)
        return batch

    def _fail(self, batch: list[_Waiting], error: EdgeFedError) -> None:
        self._metrics.failures.inc(len(batch))
        for waiting in batch:
            if not waiting.verdict.done():
                waiting.verdict.set_exception(error)

    def _answer(self, batch: list[_Waiting], found: list[Judgement], serving: Serving) -> None:
        self._metrics.judged(np.array([judgement.score for judgement in found]))
        for waiting, judgement in zip(batch, found, strict=True):
            took = 1000 * (time.perf_counter() - waiting.arrived)
            verdict = Verdict(judgement, serving.model.job, serving.digest, serving.calibration, took)
            self._metrics.answered(verdict)
            self._tell(verdict)
            if not waiting.verdict.done():
                waiting.verdict.set_result(verdict)


def check_image(image: NDArray[np.uint8]) -> None:
    """Raises `InvalidInput` where an array is not an image (h, w, 3) uint8 of a size that is judged."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InvalidInput(f"an image is uint8 of shape (height, width, 3), not {image.dtype} of {image.shape}")
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise InvalidInput(f"an image has at most {MAX_PIXELS // 1_000_000} million pixels, not {image.shape}")
