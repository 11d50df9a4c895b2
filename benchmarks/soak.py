"""Hours of a line in minutes: cameras and HTTP clients at once on a real server, and every verdict is checked.

    python -m benchmarks.soak --frames 50000                         # memory, order, losses, with three swaps
    python -m benchmarks.soak --frames 5000 --kills 10 --swaps 0     # SIGKILL and restart under load

Prints a summary, keeps it in build/soak.json, and ends with exit code 1 where something was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving_site import FULL, SMALL, compile_round, make_site
from benchmarks.soak_clients import COUNTS
from benchmarks.soak_line import Outcome, Plan, run_line
from edge_client.threads import VARIABLE
from edgefed.demo.anomaly.plants import deal, load_cells

OUTPUT = Path(__file__).resolve().parent.parent / "build" / "soak.json"
_PARTS = 10  # of the frames; memory is compared between all but the first one, which warms up
_FLAT = 1.05


def soak(plan: Plan, folder: Path, bundles: Sequence[Path], images: Sequence[bytes]) -> dict[str, Any]:
    """See `run_line`; what came of it, `faults` being what is wrong."""
    load = os.getloadavg()[0]
    outcome = run_line(plan, folder, bundles, images)
    counts = {name: sum(getattr(tally, name) for tally in outcome.tallies) for name in COUNTS}
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"), "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "plan": asdict(plan), "images": len(images), "seconds": round(outcome.seconds, 1),
        "images_per_s": round(counts["judged"] / outcome.seconds, 1), **counts,
        "memory_spread": memory_spread(outcome.memory),
        "faults": faults(plan, outcome, counts), "exit_code": outcome.exit_code,
        "clients": [{"name": tally.name, **{name: getattr(tally, name) for name in COUNTS}}
                    for tally in outcome.tallies],
        "memory_mb": [[frames, round(mb, 1)] for frames, mb in outcome.memory],
    }  # fmt: skip


def memory_spread(memory: Sequence[tuple[int, float]]) -> float | None:
    """Greatest by least median of the parts of a series (frames, MB) but the first one; None where it is too short."""
    last = memory[-1][0] if memory else 0
    parts = [
        [mb for frames, mb in memory if last * part <= frames * _PARTS < last * (part + 1)]
        for part in range(1, _PARTS)
    ]  # fmt: skip
    medians = [median(part) for part in parts if part]
    return max(medians) / min(medians) if len(medians) > 1 else None


def faults(plan: Plan, outcome: Outcome, counts: dict[str, int]) -> list[str]:
    """What is wrong; a server that was killed may leave frames unanswered, and starts with its memory anew."""
    spread = memory_spread(outcome.memory)
    found = {
        "wrong verdicts": counts["wrong"] > 0,
        "answers out of order": counts["reordered"] > 0,
        "the server refused images": counts["refused"] > 0,
        "frames without an answer": counts["unanswered"] > 0 and not plan.kills,
        "memory is not flat": spread is not None and spread > _FLAT and not plan.kills,
        "a client has not seen each swap": not plan.kills
        and any(tally.changes != plan.swaps for tally in outcome.tallies),
        "the server did not end well": outcome.exit_code != 0,
    }
    return [name for name, wrong in found.items() if wrong]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(Plan(frames=50_000)).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--pixels", type=int, choices=[96, 224], default=96, help="at which the model looks")
    asked = vars(parser.parse_args())
    settings = {96: SMALL, 224: FULL}[asked.pop("pixels")]
    plan = Plan(**asked)
    os.environ[VARIABLE] = "1"
    with tempfile.TemporaryDirectory(prefix="edgefed-") as found:
        folder = Path(found)
        site, bundles = make_site(folder, settings), [folder / "1.tar", folder / "2.tar"]
        for number, tar in enumerate(bundles, 1):
            compile_round(site, number, tar)
        summary = soak(plan, folder, bundles, [cell.path.read_bytes() for cell in deal(load_cells(), 0).test])
    kept = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps({**kept, "killed" if plan.kills else "steady": summary}, indent=1) + "\n")
    print(json.dumps(summary))
    sys.exit(1 if summary["faults"] else 0)


if __name__ == "__main__":
    main()
