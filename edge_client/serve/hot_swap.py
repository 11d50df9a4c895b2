"""Another model without a dropped image: loaded and checked beside the running one, swapped between two batches."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from edge_client.calibration import FILE as KEPT_RATE
from edge_client.compile_order import COMPILED, line_model
from edge_client.compiled.model import CompiledModel
from edge_client.judging import load_judge
from edge_client.plain import one_line
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Service
from edge_client.serve.verdict import Serving
from edge_client.state import model_folder
from protos.errors import EdgeFedError, InvalidInput
from protos.heap import give_back_heap

LOOK_EVERY_S = 1.0

log = logging.getLogger(__name__)
Stamp = tuple[tuple[str, int, int, int], ...]


class Source:
    """Where the model that is to be served comes from: a bundle that is named, or the site's current model.

    Args:
        root: the site's state folder.
        bundle: a folder or tar file; None is the site's current compiled model.
    """

    def __init__(self, root: Path, bundle: Path | None) -> None:
        self._root, self._bundle = root, bundle

    def load(self) -> Serving:
        """Verifies and loads it; it has judged an image when it comes back.

        Raises:
            EdgeFedError: see `load_judge`.
            InvalidInput: the site's current model is not compiled, and no earlier one was.
        """
        job = None if self._bundle is not None else self._job()
        judge = load_judge(self._root, job, self._bundle)
        assert isinstance(judge, CompiledModel), "a bundle or a compiled model was asked for"
        return Serving(judge, judge.calibration())

    def stamp(self) -> Stamp:
        """Changes when the files do; two equal ones a look apart are of files that nobody is writing."""
        if self._bundle is not None:
            return _stamps([self._bundle, *_files(self._bundle)])
        try:
            folder = line_model(self._root)
        except EdgeFedError:
            return ()
        if folder is None:
            return ()
        watched = [folder / "global.safetensors", folder / KEPT_RATE]
        return _stamps([*watched, *_files(folder / COMPILED)])

    def _job(self) -> str:
        current, line = model_folder(self._root, None), line_model(self._root)
        if line is None:
            raise InvalidInput(f"the model of {current.name!r} is not compiled; run `edgefed client compile`")
        if line != current:
            log.warning("the model of %s is not compiled; that of %s stays on the line", current.name, line.name)
        return line.name


async def keep_current(service: Service, source: Source, metrics: Metrics, served: Stamp) -> None:
    """Swaps whenever the source has changed, until it is cancelled; the last good model stays where a new one fails.

    Args:
        service: in which the model is swapped.
        source: of the model.
        metrics: in which swaps are counted.
        served: the stamp from before the model that is served was loaded.
    """
    before = served
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = await asyncio.to_thread(source.stamp)
        if now == before and now != served:
            served = now
            await _swap(service, source, metrics)
        before = now


async def _swap(service: Service, source: Source, metrics: Metrics) -> None:
    try:
        serving = await asyncio.to_thread(source.load)
    except Exception as error:  # whatever is wrong with the new one, the old one goes on
        metrics.swaps.labels("refused").inc()
        log.error("the model has changed and cannot be used: %s; the last good one stays", one_line(str(error)))
        return
    old = service.serving.digest
    if (serving.digest, serving.calibration) == (old, service.serving.calibration):
        serving.model.runner.close()  # its files have changed and it has not: a signature came
        return
    await service.swap(serving)
    metrics.swaps.labels("swapped").inc()
    log.info("model of %s: %s in place of %s", serving.model.job, serving.digest[:12], old[:12])
    await asyncio.to_thread(give_back_heap)  # of what the old model held: 35 MB after some swaps of a small one


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # a tar file, or a bundle that is being replaced
        return []


def _stamps(paths: list[Path]) -> Stamp:
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)
