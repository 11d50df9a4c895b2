"""Puts a bundle on the disk whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from edge_client.bundle.exchange import replace_folder
from edge_client.bundle.files import SUMS
from edge_client.bundle.sums import sums_of
from edge_client.state import disk_errors
from protos.durable import sync_folder, write_durably


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes a folder of files and their SHA256SUMS; a bundle that is there already is replaced as a whole.

    Raises:
        StateError: the folder cannot be written.
    """
    staged = folder.with_name(f".{folder.name}.new")
    with disk_errors(folder.parent):
        shutil.rmtree(staged, ignore_errors=True)  # left by an interrupted run
        staged.mkdir()  # not its parents: a model that was replaced meanwhile must not come back in parts
        try:
            _fill(staged, {**files, SUMS: sums_of(files)})
            replace_folder(staged, folder)
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(staged, ignore_errors=True)  # the bundle that was there before, or what did not fit


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(folder)


def write_tar(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files of a bundle, as they were read, into one tar file.

    Raises:
        StateError: it cannot be written.
    """
    with disk_errors(path.parent):
        write_durably(path, tar_of(files))


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """One tar file of files; the same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(files[name]), 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()
