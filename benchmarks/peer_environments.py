"""A virtual environment for each peer whose pins do not go with ours, made once in `build/peers/`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent / "build" / "peers"
FLOWER = ("flwr==1.41.0",)
ANOMALIB = ("torch==2.13.0", "anomalib==2.7.0")


class PeerMissing(Exception):
    """A peer cannot be installed or run here; the message is the reason that the table shows."""


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The folder of the commands of `build/peers/NAME`, which is made on first use.

    Raises:
        PeerMissing: pip did not end well; with its last line.
    """
    folder = PEERS / name
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text().split() != list(requirements):
        print(f"installing {' '.join(requirements)} into {folder} ...", file=sys.stderr)
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _run(str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *requirements)
        stamp.write_text("\n".join(requirements))
    return folder / "bin"


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise PeerMissing(f"{Path(command[0]).name} ended with {done.returncode}: {lines[-1]}")
