"""`python -m benchmarks [NAME ...]`: runs benchmarks, shows their ratios, and keeps them in `build/bench.json`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.result import Result

BENCHMARKS = (
    "features", "kmeans", "coreset", "footprint", "empty_round", "flower_round", "restart", "idle_sites", "many_sites",
    "compiled", "serving", "hypersigma", "sformer", "wsa_round",
)  # fmt: skip
OUTPUT = Path(__file__).resolve().parent.parent / "build" / "bench.json"


def main() -> None:
    """Runs the named benchmarks, or all; results of others that are in the file stay there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or BENCHMARKS
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there is {', '.join(BENCHMARKS)}")
    entries: list[dict[str, Any]] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        load = os.getloadavg()[0]
        results: Sequence[Result] = import_module(f"benchmarks.{name}").run()
        fresh = [{**result.to_json(), "load_before": round(load, 2)} for result in results]
        _keep(fresh)
        entries += fresh
    # Lines are not broken where there is no terminal, as in a log.
    Console(width=None if sys.stdout.isatty() else 160).print(_table(entries))


def _keep(fresh: Sequence[dict[str, Any]]) -> None:
    """Puts a benchmark's figures in the place of its earlier ones, at once, so that a later failure loses nothing."""
    kept = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else []
    names = {entry["name"] for entry in fresh}
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    merged = [entry for entry in kept if entry["name"] not in names] + list(fresh)
    OUTPUT.write_text(json.dumps(sorted(merged, key=lambda entry: entry["name"]), indent=1) + "\n")


def _table(entries: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="EdgeFed / peer, medians; below 1 EdgeFed needs less", title_justify="left")
    table.add_column("figure", no_wrap=True)
    for column in ("EdgeFed", "peer", "ratio", "target"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("peer")
    for entry in entries:
        ours, theirs = (_number(entry[side], f" {entry['unit']}") for side in ("ours", "peer"))
        bounds = (("target", "ratio <= {:g}"), ("limit", "<= {:g} {unit}"))
        target = ", ".join(text.format(entry[key], unit=entry["unit"]) for key, text in bounds if key in entry)
        peer = f"skipped: {entry['skipped']}" if "skipped" in entry else entry["peer_name"]
        table.add_row(entry["name"], ours, theirs, _number(entry["ratio"]), target, peer)
    return table


def _number(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:.3g}{unit}"


if __name__ == "__main__":
    main()
