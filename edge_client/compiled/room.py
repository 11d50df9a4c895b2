"""Whether a machine's memory holds the distances of images against a bank, told before anything is allocated."""

from __future__ import annotations

import re
from pathlib import Path

from protos.errors import EngineError

_FLOAT = 4


def images_that_fit(patches: int, rows: int, free: int) -> int:
    """How many images can be scored together in half of what is free; at least one, where all of it holds one.

    Args:
        patches: of an image.
        rows: of the memory bank.
        free: bytes.

    Raises:
        EngineError: not even one image fits.
    """
    needed = _FLOAT * patches * rows
    if needed > free:
        raise EngineError(
            f"the distances of one image, {patches} patches against {rows} rows, take {needed} bytes and this machine "
            f"has {free} free: lower rows in [feddymem.aggregation] or image_size, or name a coarser first stage in "
            "[feddymem.features], in a new job"
        )
    return max(1, free // (2 * needed))


def free_bytes(root: Path = Path("/")) -> int:
    """Memory that this process may still take: of the machine, and of the control group that it runs in.

    Args:
        root: where the system's files lie.
    """
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    free = int(found[1]) << 10 if found else 1 << 62
    group = re.search(r"^0::/?(.*)$", _text(root / "proc/self/cgroup"), re.MULTILINE)
    folder = root / "sys/fs/cgroup"
    for part in ("", *(group[1].split("/") if group else ())):
        folder /= part
        limit, used = (_text(folder / name).strip() for name in ("memory.max", "memory.current"))
        if limit.isdigit() and used.isdigit():
            free = min(free, max(0, int(limit) - int(used) + _reclaimable(_text(folder / "memory.stat"))))
    return free


def _reclaimable(stat: str) -> int:
    """Of a control group's memory, what the kernel takes back by itself: files that nobody has used lately."""
    found = re.search(r"^inactive_file (\d+)$", stat, re.MULTILINE)
    return int(found[1]) if found else 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
