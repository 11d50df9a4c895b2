"""The demo's table on the terminal and its page."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
from markupsafe import Markup
from rich.console import Console
from rich.table import Table

from edgefed.demo.anomaly.figures import Figures
from edgefed.demo.anomaly.plants import Cell
from edgefed.demo.charts import bars, score_histogram
from edgefed.demo.page import write_page
from edgefed.labelled_set import Measured

METHOD_LABEL = (
    "FedDyMem, reconstructed after the abstract of arXiv 2502.21012 (Chen et al.). The reconstruction is ours; "
    "no figure on this page is the paper's."
)


def rows_of(figures: Figures) -> list[tuple[str, Measured, int, str]]:
    """What was compared: name, figures, rows of the bank, and kind for the colour."""
    compared = figures.comparison
    pooled = {
        "pooled, equal rows": compared.centralised,
        "pooled, larger bank": compared.centralised_larger,
        "pooled, sites balanced": compared.centralised_balanced,
    }
    return [
        *((f"{site} alone", other.measured, other.rows, "local") for site, other in compared.local.items()),
        ("federated", figures.federated, figures.rows, "federated"),
        *((name, other.measured, other.rows, "centralised") for name, other in pooled.items()),
    ]


def print_table(figures: Figures, console: Console) -> None:
    """The figures for people."""
    table = Table(title="image AUROC on the common test set")
    products = list(figures.federated.products)
    table.add_column("")
    for column in (*products, "union", "bank rows"):
        table.add_column(column, justify="right")
    for name, measured, bank_rows, kind in rows_of(figures):
        cells = (*(f"{measured.products[product]:.3f}" for product in products), f"{measured.union:.3f}")
        table.add_row(name, *cells, str(bank_rows), style="bold cyan" if kind == "federated" else "")
    console.print(table)
    console.print(
        f"each site sent {figures.bytes_up:,} bytes a round and received {figures.bytes_down:,}; the backbone has "
        f"{figures.sizes.backbone:,}, a site's generator {figures.sizes.generator:,}"
    )
    console.print(f"{figures.seconds:.0f} s, {figures.outcome.peak_memory / 1e9:.2f} GB at most in all processes")
    console.print(f"report: {figures.report}")


def write_report(figures: Figures) -> None:
    """Writes the page to `figures.report`."""
    write_page("anomaly/report.html.j2", _page(figures), figures.report)


def _page(figures: Figures) -> dict[str, Any]:
    compared = rows_of(figures)
    lowest = min(measured.union for _, measured, _, _ in compared)
    chart = [(name, measured.union, kind) for name, measured, _, kind in compared]
    return {
        "job": figures.spec.name,
        "method_note": "FedDyMem, reconstructed",
        "method_label": METHOD_LABEL,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seed": figures.split.seed,
        "auroc": figures.as_json()["auroc"],
        "bytes_up_per_site": figures.bytes_up,
        "bytes_down_per_site": figures.bytes_down,
        "bytes_generator": figures.sizes.generator,
        "bytes_backbone": figures.sizes.backbone,
        "bar_chart": Markup(bars(chart, low=max(0.0, np.floor(lowest * 10) / 10 - 0.1))),
        "products": list(figures.federated.products),
        "table": [
            {
                "name": name,
                "per_product": m.products,
                "union": m.union,
                "rows": rows,
                "federated": kind == "federated",
            }
            for name, m, rows, kind in compared
        ],
        "sites": [_site(figures, site) for site in figures.split.train],
        "false_reject_rate": figures.spec.the_settings.score.false_reject_rate,
        "pictures": figures.outcome.pictures,
        "rounds": figures.rounds,
        "test_note": _counted(figures.split.test),
        "split_digest": figures.split.digest(),
        "seconds": figures.seconds,
        "memory": figures.outcome.peak_memory,
    }


def _site(figures: Figures, site: str) -> dict[str, Any]:
    found = figures.outcome.evaluations[site]
    scores = np.array([one["score"] for one in found["scores"]])
    defective = np.array([one["defect"] != "good" for one in found["scores"]])
    cut = found["threshold"]["value"] if found["threshold"] else None
    return {
        "name": site,
        "holds": _counted(figures.split.train[site]),
        "auroc": figures.at_site(site).union,
        "histogram": Markup(score_histogram(scores[~defective], scores[defective], cut)),
        "rejected_normal": found["false_reject_rate"],
        "missed_defect": found["miss_rate"],
        "threshold_note": found["threshold_note"],
    }


def _counted(cells: Any) -> str:
    counts = Counter(_kind(cell) for cell in cells)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _kind(cell: Cell) -> str:
    return f"{'defective' if cell.probability else 'functional'} {cell.type}"
