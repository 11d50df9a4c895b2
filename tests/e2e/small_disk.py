"""A disk that really is full: a small file system in memory, seen by this process and its children alone."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

_CLONE_NEWNS = 0x20000


class SmallDisk:
    """A folder on a file system of `size` bytes.

    Attributes:
        folder: it is made.
    """

    def __init__(self, folder: Path, size: int) -> None:
        _own_mounts()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
        if made.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {made.stderr.decode().strip()}")

    def leave(self, size: int = 0) -> None:
        """Fills the disk up to `size` bytes, in whole pages."""
        self.clear()
        stat = os.statvfs(self.folder)
        blocks = stat.f_bavail - size // stat.f_frsize
        with (self.folder / ".ballast").open("wb", buffering=0) as file, suppress(OSError):
            for _ in range(blocks):  # others may write at the same time, and then it is full sooner
                file.write(bytes(stat.f_frsize))

    def clear(self) -> None:
        """Makes room again."""
        (self.folder / ".ballast").unlink(missing_ok=True)

    def is_full(self) -> bool:
        """Whether not one more byte can be written."""
        probe = self.folder / ".probe"
        try:
            probe.write_bytes(b"x")
        except OSError as error:
            return error.errno == errno.ENOSPC
        finally:
            probe.unlink(missing_ok=True)
        return False

    def close(self) -> None:
        """Unmounts it."""
        subprocess.run(["umount", "-l", self.folder], check=True)


@functools.cache
def _own_mounts() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        pytest.skip(f"a mount namespace cannot be had here: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
