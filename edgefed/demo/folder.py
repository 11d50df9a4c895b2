"""The folder of a demo's run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from edgefed.local_federation import end_leftovers
from protos.errors import InvalidInput

MARKER = ".edgefed-demo"


def default_folder(demo: str) -> Path:
    """`edgefed/demo/DEMO` in the user's state folder."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "edgefed" / "demo" / demo


def prepare_folder(folder: Path) -> Path:
    """An empty folder for a run; ends processes and removes files that an earlier run left there.

    Raises:
        InvalidInput: the folder holds something that is not a demo's.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise InvalidInput(f"{folder} is not empty and was not made by the demo; name another with --state")
        end_leftovers(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    return folder
