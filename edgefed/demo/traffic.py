"""What a site sends and receives in a round of a demo, in bytes: the most that any round needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def bytes_up(ledgers: Mapping[str, Mapping[str, Any]]) -> int:
    """Of one site's update; from site -> what `edgefed client ledger --json` prints."""
    return int(max(entry["bytes"] for ledger in ledgers.values() for entry in ledger["entries"]))


def bytes_down(rounds: Sequence[Mapping[str, Any]], sites: int) -> int:
    """Of the global model to one of the sites; from the record of each round, as the coordinator keeps it."""
    return int(max(past["bytes_down"] for past in rounds)) // sites
