"""The C heap of a process that moves artifacts."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # from glibc's malloc.h


def keep_chunks_on_heap() -> None:
    """Has glibc reuse the memory of chunks; call it first thing in a process. Does nothing on another C library.

    Each chunk passes through several buffers of 1 MiB. By default glibc maps every one of them from the kernel and
    gives it back, and the page faults cost as much time as TLS, hashing and copying together.
    """
    if (mallopt := _of_libc("mallopt")) is not None:
        mallopt(_MMAP_THRESHOLD, 4 << 20)
        mallopt(_TRIM_THRESHOLD, 16 << 20)
        mallopt(_ARENA_MAX, 2)  # freed memory is kept per arena, and there is one per thread by default


def give_back_heap() -> None:
    """Returns what is free on the heap to the system; for when no chunks are expected for a while."""
    if (malloc_trim := _of_libc("malloc_trim")) is not None:
        malloc_trim(0)


def _of_libc(name: str) -> Callable[..., int] | None:
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return function
