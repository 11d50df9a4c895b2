"""A folder that a camera writes images into: every complete one is judged once, and its result lies in another folder.

A file is complete when two looks find it unchanged. Its result is written whole or not at all, and then the journal;
a result that a power cut left without its line in the journal is recognised by the size and time it names.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

from edge_client.image_files import find_images
from edge_client.images import read_image
from edge_client.serve.journal import Journal, Seen
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Service
from edge_client.state import disk_errors
from protos.durable import write_durably
from protos.errors import EdgeFedError, EngineError, InvalidInput, StateError

LOOK_EVERY_S = 0.5

log = logging.getLogger(__name__)


class WatchedFolder:
    """Judges what comes into a folder, and into the folders in it.

    Args:
        watched: the folder.
        results: `NAME.json` for every image, and `NAME.heatmap.png` where there is a threshold; made where missing.
        service: judges.
        metrics: count the files.

    Raises:
        InvalidInput: there is no such folder, the results would lie in it, or cannot be made.
        StateError: see `Journal`.
    """

    def __init__(self, watched: Path, results: Path, service: Service, metrics: Metrics) -> None:
        if not watched.is_dir():
            raise InvalidInput(f"{watched} is not a folder; make it, or name another one with --watch")
        if results.resolve().is_relative_to(watched.resolve()):
            raise InvalidInput(f"results in {results} would be judged again; name a folder outside of {watched}")
        try:
            results.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"the folder {results} cannot be made: {error.strerror}") from error
        self._watched, self._results, self._service, self._metrics = watched, results, service, metrics
        self._journal = Journal(results)
        self._before: dict[Path, Seen] = {}
        self._done: dict[Path, Seen] = {}  # of what is in the folder now; the journal knows the rest

    async def run(self, stop: asyncio.Event) -> None:
        """Judges what comes until `stop` is set; an image that was begun is finished."""
        try:
            while not stop.is_set():
                try:
                    await self._look(stop)
                except EdgeFedError as error:  # a share that is away, a full disk: it is tried again
                    log.error("watched folder: %s", error)
                try:
                    await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
                except TimeoutError:
                    continue
        finally:
            self._journal.close()

    async def _look(self, stop: asyncio.Event) -> None:
        now = await asyncio.to_thread(self._files)
        complete = {path: seen for path, seen in now.items() if self._before.get(path) == seen}
        self._before = now
        self._done = {path: seen for path, seen in self._done.items() if now.get(path) == seen}
        for path, seen in complete.items():
            if stop.is_set():
                return
            if path in self._done:
                continue
            if await asyncio.to_thread(self._is_judged, path, seen) or await self._judge(path, seen):
                self._done[path] = seen

    def _files(self) -> dict[Path, Seen]:
        found = {}
        for path in find_images(self._watched, within=self._watched).images:
            try:
                status = path.stat()
            except OSError:
                continue  # taken away since it was listed
            found[path] = Seen(status.st_size, status.st_mtime_ns)
        return found

    def _is_judged(self, path: Path, seen: Seen) -> bool:
        name = str(path.relative_to(self._watched))
        if self._journal.holds(name, seen):
            return True
        try:
            result = json.loads(self._result(path).read_bytes())
            judged = Seen(result["size"], result["modified_ns"]) == seen
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if judged:
            self._journal.note(name, seen)
        return judged

    async def _judge(self, path: Path, seen: Seen) -> bool:
        """Whether there is a result; without one the image is tried again at the next look."""
        picture: bytes | None = None
        try:
            image = await self._service.read(lambda: read_image(path))
        except InvalidInput as error:
            if not os.path.lexists(path):
                return False  # taken away since it was listed
            document: dict[str, Any] = {"error": str(error)}
        else:
            try:
                verdict = await self._service.judge(image, patient=True)
            except (EngineError, StateError) as error:  # not the image's fault, and not the next one's
                log.error("%s: %s", path, error)
                return False
            document = verdict.document()
            if verdict.calibration:
                picture = await self._service.draw(verdict)
        self._metrics.requests.labels("folder", "error" if "error" in document else "judged").inc()
        await asyncio.to_thread(self._keep, path, seen, document, picture)
        return True

    def _keep(self, path: Path, seen: Seen, document: dict[str, Any], picture: bytes | None) -> None:
        target = self._result(path)
        about = {"path": str(path), "size": seen.size, "modified_ns": seen.modified}
        with disk_errors(self._results):
            target.parent.mkdir(parents=True, exist_ok=True)
            if picture is not None:
                write_durably(target.with_name(f"{path.name}.heatmap.png"), picture)
            write_durably(target, json.dumps({**about, **document}).encode() + b"\n")
        self._journal.note(str(path.relative_to(self._watched)), seen)

    def _result(self, path: Path) -> Path:
        relative = path.relative_to(self._watched)
        return self._results / relative.with_name(f"{relative.name}.json")
