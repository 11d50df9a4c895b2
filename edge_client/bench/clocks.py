"""How fast the GPU's clock ran: the same device is half as fast where its power is limited."""

from __future__ import annotations

import re
import subprocess

from edge_client.engines.device import Jetson

_QUERY = ("nvidia-smi", "--query-gpu=clocks.sm,clocks.max.sm,clocks.mem,power.limit", "--format=csv,noheader,nounits")
_ANSWER_S = 10.0


def gpu_clocks(jetson: Jetson | None) -> str | None:
    """The clocks of this machine's first GPU, in words; None where nothing tells them."""
    if jetson is not None:
        return {True: "locked at the highest", False: "not locked", None: None}[jetson.clocks_locked]
    try:
        done = subprocess.run(_QUERY, capture_output=True, text=True, errors="replace", timeout=_ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return clocks_from_nvidia_smi(done.stdout) if done.returncode == 0 else None


def clocks_from_nvidia_smi(text: str) -> str | None:
    """Of the first line of nvidia-smi's table; None where it holds none.

    >>> clocks_from_nvidia_smi("1410, 1980, 1593, 700.00")
    '1410 of 1980 MHz, memory 1593 MHz, at most 700 W'
    >>> clocks_from_nvidia_smi("1410, 1980, 1593, [N/A]")
    '1410 of 1980 MHz, memory 1593 MHz'
    """
    found = re.match(r"(\d+), (\d+), (\d+), (?:(\d+)(?:\.\d+)?)?", text)
    if found is None:
        return None
    now, most, memory, watts = found.groups()
    return f"{now} of {most} MHz, memory {memory} MHz" + (f", at most {watts} W" if watts else "")
