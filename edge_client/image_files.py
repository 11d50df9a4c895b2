"""Image files of a folder: found by name, read one at a time, told apart from what cannot be read."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from edge_client.images import SUFFIXES, read_image
from models.method import Report
from protos.errors import InvalidInput

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """What a search came upon.

    Attributes:
        images: files whose name is an image's, sorted.
        skipped: why a file was passed over ("hidden", "not an image", "a link out of the folder") -> how many.
    """

    images: tuple[Path, ...]
    skipped: Mapping[str, int]

    def __str__(self) -> str:
        skipped = ", ".join(f"{count} {why}" for why, count in sorted(self.skipped.items()))
        return f"{len(self.images)} images" + (f" (skipped: {skipped})" if skipped else "")


class ImageFiles(Sequence[NDArray[np.uint8]]):
    """Images as uint8 arrays (H, W, 3), each read from its file when it is asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFiles: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.uint8] | ImageFiles:
        return ImageFiles(self.paths[index]) if isinstance(index, slice) else read_image(self.paths[index])


def find_images(folder: Path, *, within: Path, deep: bool = True) -> Found:
    """All files of a folder, and of the folders in it if `deep`, that are images by their name.

    Links to files are followed as long as they lead to somewhere `within`; links to folders are not followed.

    Raises:
        InvalidInput: the folder is missing, is not a folder or may not be listed.
    """
    root = within.resolve()
    images: list[Path] = []
    skipped = Counter[str]()
    for path in _files(folder, deep):
        why = _why_not(path, root)
        if why:
            skipped[why] += 1
        else:
            images.append(path)
    return Found(tuple(sorted(images)), skipped)


def readable_images(paths: Sequence[Path], report: Report) -> tuple[Path, ...]:
    """Reads each file once and leaves out, with a warning that names it, what cannot be read.

    Raises:
        InvalidInput: none can be read.
    """
    good: list[Path] = []
    fault: InvalidInput | None = None
    for step, path in enumerate(paths, start=1):
        try:
            read_image(path)
            good.append(path)
        except InvalidInput as error:
            log.warning("image skipped: %s", error)
            fault = error
        report("reading", step, len(paths))
    if fault and not good:
        raise InvalidInput(f"none of the {len(paths)} images can be read; the last one: {fault}")
    if fault:
        log.warning("%d of %d images cannot be read and are left out", len(paths) - len(good), len(paths))
    return tuple(good)


def fingerprint(paths: Sequence[Path]) -> str:
    """BLAKE3 over names, sizes and times of change; made of file names, so it never leaves the site."""
    digest = blake3()
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
        digest.update(os.fsencode(path) + f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return str(digest.hexdigest())


def _files(folder: Path, deep: bool) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise InvalidInput(f"the folder {error.filename} cannot be listed: {error.strerror}") from error

    # Folders behind links are not entered, so a link to a parent cannot lead in circles.
    for parent, folders, files in os.walk(folder, onerror=fail, followlinks=False):
        folders[:] = [name for name in folders if deep and not name.startswith(".")]
        yield from (Path(parent, name) for name in files)


def _why_not(path: Path, root: Path) -> str:
    if path.name.startswith("."):
        return "hidden"
    if path.suffix.lower() not in SUFFIXES:
        return "not an image"
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
        return "a link out of the folder"
    return "" if path.is_file() else "not an image"
