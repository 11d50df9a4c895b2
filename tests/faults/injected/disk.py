"""What a power cut leaves of a folder: only what was made durable with fsync, as strictly as POSIX reads.

A file has the content of its last fsync, or none. A folder has the entries of its last fsync, so that a rename, a link
or a new file counts when its folder was synced, and a folder that was never synced is empty. Real file systems keep
more than that, each in its own way; code that stands this stands them.

`install` records every fsync of the processes under test beside the state folder; `lose_power` then makes the folder
what a power cut would have left. SQLite syncs in C, unseen here: its files stay as a kill -9 leaves them, and
`synchronous=FULL` is its own promise. The rows of the database are thus always there, which is the hard case for the
files that they speak of.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

_DATABASE = "coordinator.sqlite"


class Disk:
    """The durable image of one state folder.

    Args:
        root: the state folder.
        image: a folder on the same file system for what is known to be durable.
    """

    def __init__(self, root: Path, image: Path) -> None:
        self.root = root
        self._image = image
        # A hard link for every synced file: its inode cannot be given to another file while the image speaks of it.
        self._contents, self._pins, self._folders = (image / name for name in ("contents", "pins", "folders"))
        for folder in (self._contents, self._pins, self._folders):
            folder.mkdir(parents=True, exist_ok=True)

    def synced(self, path: Path) -> None:
        """A file or folder was synced."""
        inode = str(path.stat().st_ino)
        if path.is_dir():
            self._write(self._folders / inode, json.dumps(_entries(path)).encode())
        elif not path.name.startswith(_DATABASE):
            self._write(self._contents / inode, path.read_bytes())
            if not (self._pins / inode).exists():
                os.link(path, self._pins / inode)

    def made(self, folder: Path) -> None:
        """A folder was made; what is recorded under its inode was another one."""
        (self._folders / str(folder.stat().st_ino)).unlink(missing_ok=True)

    def sync_all(self) -> None:
        """All that is in the folder now is durable."""
        shutil.rmtree(self._image)
        self.__init__(self.root, self._image)  # type: ignore[misc]
        for folder, _, files in os.walk(self.root):
            for name in files:
                self.synced(Path(folder) / name)
            self.synced(Path(folder))

    def lose_power(self) -> None:
        """Makes the folder what a power cut leaves of it."""
        survivor = self.root.with_name(f"{self.root.name}.survivor")
        self._restore(self.root.stat().st_ino, survivor)
        for path in self.root.glob(f"{_DATABASE}*"):
            shutil.copy2(path, survivor)
        lost = self.root.with_name(f"{self.root.name}.lost")
        self.root.rename(lost)  # and not removed in its place: somebody may be reading the database there
        survivor.rename(self.root)
        shutil.rmtree(lost)
        self.sync_all()

    def _restore(self, inode: int, to: Path) -> None:
        to.mkdir(mode=0o700)
        listed = self._folders / str(inode)
        entries: dict[str, Any] = json.loads(listed.read_text()) if listed.exists() else {}
        for name, (is_folder, number) in entries.items():
            content = self._contents / str(number)
            if is_folder:
                self._restore(number, to / name)
            elif not name.startswith(_DATABASE):
                (to / name).write_bytes(content.read_bytes() if content.exists() else b"")

    def _write(self, path: Path, data: bytes) -> None:
        partial = self._image / f"{path.name}.{os.getpid()}"
        partial.write_bytes(data)
        partial.replace(path)


def install() -> None:
    """Records what this process makes durable under EDGEFED_TEST_DISK (ROOT:IMAGE)."""
    root, _, image = os.environ["EDGEFED_TEST_DISK"].partition(":")
    disk = Disk(Path(root), Path(image))
    fsync, mkdir = os.fsync, os.mkdir

    def recorded_fsync(file: Any) -> None:
        fsync(file)
        descriptor = file if isinstance(file, int) else file.fileno()
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_relative_to(root):
            disk.synced(path)

    def recorded_mkdir(path: Any, *args: Any, **kwargs: Any) -> None:
        mkdir(path, *args, **kwargs)
        if not kwargs.get("dir_fd") and Path(path).is_relative_to(root):
            disk.made(Path(path))

    os.fsync, os.mkdir = recorded_fsync, recorded_mkdir  # type: ignore[assignment]


def _entries(folder: Path) -> dict[str, tuple[bool, int]]:
    return {entry.name: (entry.is_dir(follow_symlinks=False), entry.inode()) for entry in os.scandir(folder)}
