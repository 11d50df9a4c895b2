"""The demo's table on the terminal and its page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edgefed.demo.charts import NARROW, WIDTH, bars, lines
from edgefed.demo.hyperspectral.alternatives import Measured
from edgefed.demo.hyperspectral.fields import CLASSES, FIELDS, indian_pines
from edgefed.demo.hyperspectral.figures import Figures
from edgefed.demo.hyperspectral.pictures import class_picture, css_colours, false_colour
from edgefed.demo.page import write_page

METHOD_LABEL: Final = (
    "SFormer after arXiv 2410.03171 and its authors' code; Weight Scope Alignment reconstructed after the abstract and "
    "the opening of arXiv 2408.12237. The reconstruction is ours; no figure on this page is a paper's."
)
MEASURES: Final = ("oa", "aa", "kappa")


def rows_of(figures: Figures) -> list[tuple[str, Measured, str]]:
    """What was compared: name, figures, and kind for the colour."""
    compared = figures.comparison
    return [
        *((f"{site} alone", measured, "local") for site, measured in compared.local.items()),
        ("federated, no alignment", compared.mean_only, "local"),
        ("federated", figures.federated, "federated"),
        ("pooled pixels", compared.centralised, "centralised"),
        ("window SVM, pooled", compared.svm, "centralised"),
    ]


def print_table(figures: Figures, console: Console) -> None:
    """The figures for people."""
    split = figures.drawn.split
    table = Table(title=f"accuracy on {len(split.test):,} test pixels of all fields, {split.kind} split")
    table.add_column("")
    for column in MEASURES:
        table.add_column(column.upper() if column != "kappa" else column, justify="right")
    for name, measured, kind in rows_of(figures):
        cells = [f"{getattr(measured.accuracy, measure):.3f}" for measure in MEASURES]
        table.add_row(name, *cells, style="bold cyan" if kind == "federated" else "")
    console.print(table)
    console.print(
        f"disjoint draws: federated {_range(figures.draws)}, window SVM {_range(_svm_draws(figures))}; random split, "
        f"which measures memory of neighbours: {figures.random.accuracy.oa:.3f} and "
        f"{figures.comparison.random_svm.accuracy.oa:.3f}"
    )
    console.print(f"each field sent {figures.bytes_up:,} bytes a round and received {figures.bytes_down:,}")
    console.print(f"{figures.seconds:.0f} s, {figures.outcome.peak_memory / 1e9:.2f} GB at most in all processes")
    console.print(f"report: {figures.report}")


def write_report(figures: Figures) -> None:
    """Writes the page to `figures.report`."""
    compared, split = rows_of(figures), figures.drawn.split
    chart = [(name, measured.accuracy.oa, kind) for name, measured, kind in compared]
    values = {
        "job": figures.spec.name,
        "network": figures.spec.the_settings.network,
        "method_label": METHOD_LABEL,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seed": figures.spec.seed,
        "oa": figures.as_json()["oa"],
        "split": split,
        "train_pixels": {site: int((field.labels > 0).sum()) for site, field in figures.drawn.fields.items()},
        "held_classes": {site: len(np.unique(field.labels)) - 1 for site, field in figures.drawn.fields.items()},
        "bar_chart": Markup(bars(chart, low=0.0)),
        "table": [(name, measured.accuracy, kind == "federated") for name, measured, kind in compared],
        "largest": _largest(figures),
        "draws": list(zip(figures.draws, _svm_draws(figures), strict=True)),
        "draws_range": f"{min(figures.draws):.2f} to {max(figures.draws):.2f}",
        "random": figures.random.accuracy.oa,
        "random_svm": figures.comparison.random_svm.accuracy.oa,
        "pictures": _pictures(figures),
        "legend": list(zip(CLASSES, css_colours(len(CLASSES)), strict=True)),
        "classes": [_class(figures, name) for name in CLASSES],
        "fields": FIELDS,
        "scope_spread": figures.scope_spread,
        "spread_chart": Markup(lines([(figures.scope_spread, "site-0")], width=WIDTH, height=90, title="spread")),
        "scope_charts": [(layer, _scope_chart(layer, found)) for layer, found in figures.outcome.scopes.items()],
        "rounds": figures.rounds,
        "bytes_up": figures.bytes_up,
        "bytes_down": figures.bytes_down,
        "split_digest": figures.drawn.digest(),
        "seconds": figures.seconds,
        "memory": figures.outcome.peak_memory,
    }
    write_page("hyperspectral/report.html.j2", values, figures.report)


def _pictures(figures: Figures) -> list[tuple[str, str]]:
    """(caption, PNG in base64) from the scene to the maps."""
    scene, count = indian_pines(), len(CLASSES)
    maps = {"federated": figures.federated, "pooled pixels": figures.comparison.centralised}
    maps |= {f"{site} alone": measured for site, measured in figures.comparison.local.items()}
    return [
        ("the scene: near infrared, red, green", false_colour(scene)),
        ("ground truth", class_picture(scene.labels, count)),
        ("what the fields train on", class_picture(figures.drawn.whole.labels, count)),
        *(
            (f"{name}: {measured.accuracy.oa:.3f}", class_picture(measured.map, count))
            for name, measured in maps.items()
            if measured.map is not None
        ),
    ]


def _largest(figures: Figures) -> dict[str, Any]:
    """The class of most test pixels."""
    pixels = figures.federated.accuracy.pixels
    name = max(pixels, key=lambda one: pixels[one])
    return {"name": name, "share": pixels[name] / sum(pixels.values())}


def _scope_chart(layer: str, found: NDArray[np.float64]) -> Markup:
    series = [(found[:, index].tolist(), f"site-{index}") for index in range(found.shape[1])]
    return Markup(lines(series, width=NARROW, height=80, title=f"deviations of {layer}"))


def _class(figures: Figures, name: str) -> dict[str, Any]:
    number = CLASSES.index(name) + 1
    shown = (figures.comparison.mean_only, figures.federated, figures.comparison.centralised, figures.comparison.svm)
    return {
        "name": name,
        "train": [int((field.labels == number).sum()) for field in figures.drawn.fields.values()],
        "test": figures.federated.accuracy.pixels[name],
        "shares": [measured.accuracy.per_class[name] for measured in shown],
    }


def _svm_draws(figures: Figures) -> list[float]:
    return [svm.accuracy.oa for svm in figures.comparison.draws_svm]


def _range(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
