"""Image folders with whatever a file system allows: loops, pipes, names that are no text, trees without end."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from random import Random

from edge_client.datasets import labelled_images, training_images
from edge_client.image_files import find_images, fingerprint
from protos.errors import InvalidInput
from tests.fuzz.family import Family
from tests.fuzz.mutations import bend_bytes

_NAMES = (
    b"train", b"good", b"test", b"ground_truth", b"defect", b"a.png", b"b.PNG", b"new\nline.png", b"\xff\xfe.png",
    b".hidden.png", b"-rf.png", b"a_mask.png", b"x" * 250 + b".png", b" .png", b"..png", b"\x1b[31m.jpg", b"notes.txt",
)  # fmt: skip


def _trees() -> list[bytes]:
    """A tree is a run of steps, two bytes each: what to make, and which name."""
    sound = bytes([0, 0, 0, 1, 3, 5, 3, 6, 9, 0, 9, 0, 0, 2, 0, 1, 3, 5])
    loop = bytes([0, 0, 0, 1, 4, 6, 5, 6, 3, 5])
    deep = bytes([0, 0]) * 60 + bytes([0, 1, 3, 5])
    return [sound, loop, deep, bytes([0, 0, 0, 1, 6, 5, 7, 6, 8, 7])]


def _bend(random: Random, data: bytes) -> bytes:
    return bend_bytes(random, data)[:400] + random.randbytes(random.randrange(6))


def build(data: bytes, root: Path) -> None:
    """Makes the tree, one step after the other; a step that the file system refuses is left out."""
    here = root
    for what, which in zip(data[::2], data[1::2], strict=False):
        path = here / os.fsdecode(_NAMES[which % len(_NAMES)])
        with suppress(OSError):
            match what % 10:
                case 0:
                    path.mkdir(exist_ok=True)
                    here = path
                case 1 | 2 | 3:
                    path.open("xb").close()  # "x": what is there already may be a pipe, and would be waited for
                case 4:
                    path.symlink_to(here)  # a loop
                case 5:
                    path.symlink_to(root.parent)
                case 6:
                    os.mkfifo(path)
                case 7:
                    with socket.socket(socket.AF_UNIX) as bound:
                        bound.bind(str(path))
                case 8:
                    path.symlink_to("/etc/passwd")
                case 9:
                    here = here.parent if here != root else root


def _take(data: bytes, folder: Path) -> None:
    root = folder / "images"
    root.mkdir()
    build(data, root)
    found = list(find_images(root, within=root).images)
    answers = 0
    with suppress(InvalidInput):
        found += training_images(root).images
        answers += 1
    with suppress(InvalidInput):
        found += [image.path for image in labelled_images(root)]
        answers += 1
    assert all(path.resolve().is_relative_to(root.resolve()) and path.is_file() for path in found)
    fingerprint(found)
    if not answers:
        raise InvalidInput("neither training nor test images")


FOLDERS = (Family("image folders", _trees, _bend, _take, quick=60, full=1500),)
