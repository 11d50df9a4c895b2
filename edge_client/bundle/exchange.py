"""One folder in the place of another, with no moment in between at which there is none."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of renameat2(2)
_UNKNOWN_HERE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}  # NFS among others


def replace_folder(new: Path, folder: Path) -> None:
    """Puts a folder where another one may be; what was there is then at `new`, or nothing.

    Raises:
        OSError: it cannot be; both are where they were.
    """
    if not folder.exists():
        new.rename(folder)
        return
    fault = _exchange(new, folder)
    if fault in _UNKNOWN_HERE:
        _rename_twice(new, folder)
    elif fault:
        raise OSError(fault, os.strerror(fault), str(folder))


def _exchange(first: Path, second: Path) -> int:
    """The error number, 0 where it is done."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return errno.ENOSYS
    done = libc.renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return 0 if done == 0 else ctypes.get_errno()


def _rename_twice(new: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    folder.rename(old)
    new.rename(folder)
    old.rename(new)
