"""`edgefed client train`, and what `edgefed client infer` and `evaluate` do with a cube."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edge_client.config import Data
    from edge_client.cubes.holdout import Kind, Measured
    from edge_client.cubes.mapping import ClassMap
    from edge_client.cubes.scene_model import SceneModel
    from models.hsi.accuracy import Accuracy
    from models.method import Report

_SHARED = (
    "their windows overlap windows that this site trains on, so the accuracy measures memory there; hold test pixels"
    " apart by the width of a window"
)


class Held(StrEnum):
    """How labelled pixels are held back to test on."""

    disjoint = "disjoint"
    random = "random"
    none = "none"


def train(
    job: Annotated[Path, typer.Argument(metavar="JOB.toml", help="The job, as for `edgefed job submit`.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the model goes; must not exist.")],
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="Folder with site.toml; it need not have joined.")
    ] = None,
    split: Annotated[
        Held, typer.Option(help="Test pixels of a cube: blocks apart, at random as in papers, or none.")
    ] = Held.disjoint,
    per_class: Annotated[int, typer.Option(min=1, help="Most training pixels of each class of a cube.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train on this site's data alone, without a coordinator: the local baseline.

    Use the model with `edgefed client infer CUBE --bundle DIR`.
    """
    from edge_client.state import default_root
    from edge_client.threads import bound_threads
    from protos.jobs import load_job

    bound_threads()
    from edge_client.alone import train_alone

    spec = load_job(job)
    kinds: dict[Held, Kind | None] = {Held.disjoint: "disjoint", Held.random: "random", Held.none: None}
    with _progress() as report:
        found = train_alone(state or default_root(), spec, out, report, kind=kinds[split], per_class=per_class)
    if as_json:
        typer.echo(json.dumps({"job": spec.name, "model": str(out), **_document(found)}))
        return
    if found is not None:
        title = f"{found.test_pixels} test pixels, {found.kind} from {found.train_pixels} training pixels"
        _print(title, {"model": found.model, "window SVM": found.svm})
    typer.echo(f"the model of {spec.name} is in {out}")


def infer_cube(cube: Path, folder: Path, root: Path, maps: Path | None) -> None:
    """Classifies a cube and prints one JSON line.

    Args:
        cube: its file.
        folder: of the model.
        root: the site's state folder, whose `site.toml` says which bands count, if it has one.
        maps: where the map's files go.
    """
    from edge_client.cubes.mapping import map_cube

    model, data = _model_and_data(folder, root)
    with _progress() as report:
        found = map_cube(cube, model, data.of_cube(cube), report)
    line: dict[str, Any] = {"path": str(cube), "job": model.job, "rows": len(found.classes)}
    line |= {"columns": found.classes.shape[1], "classes": found.counts, "no_data": int((found.classes == 0).sum())}
    line["seconds"] = round(found.seconds, 3)
    typer.echo(json.dumps(line | _written(found, maps)))


def evaluate_cube(cube: Path, labels: Path, folder: Path, root: Path, maps: Path | None, *, as_json: bool) -> None:
    """Measures a model on the labelled pixels of a cube; see `infer_cube`."""
    from edge_client.cubes import evaluation

    model, data = _model_and_data(folder, root)
    with _progress() as report:
        found = evaluation.evaluate_cube(cube, labels, model, data, report)
    count = sum(found.accuracy.pixels.values())
    if found.shared:
        typer.echo(f"edgefed: {found.shared} of {count} test pixels: {_SHARED}", err=True)
    document: dict[str, Any] = {"path": str(cube), "job": model.job, "test_pixels": count}
    document |= {"sharing_windows": found.shared, "accuracy": asdict(found.accuracy)}
    document |= {"seconds": round(found.map.seconds, 3), **_written(found.map, maps)}
    if as_json:
        typer.echo(json.dumps(document))
    else:
        _print(f"{count} test pixels, model of {model.job}", {"model": found.accuracy})


def _model_and_data(folder: Path, root: Path) -> tuple[SceneModel, Data]:
    """A model, and what the site says of its cubes, if it says anything."""
    from edge_client.config import SITE_FILE, Data, load_site_config
    from edge_client.cubes.scene_model import load_scene_model
    from edge_client.site_data import checked_weights
    from edge_client.threads import bound_threads

    bound_threads()
    config = load_site_config(root) if (root / SITE_FILE).exists() else None
    model = load_scene_model(folder, root, checked_weights(config) if config else {})
    typer.echo(f"edgefed: {model.description}, classifies", err=True)
    return model, config.data if config else Data()


def _written(found: ClassMap, maps: Path | None) -> dict[str, Any]:
    from edge_client.cubes.mapping import write_map

    return {} if maps is None else {"maps": {kind: str(path) for kind, path in write_map(found, maps).items()}}


def _document(found: Measured | None) -> dict[str, Any]:
    if found is None:
        return {"split": None}
    pixels = {"train_pixels": found.train_pixels, "test_pixels": found.test_pixels}
    return {"split": found.kind, **pixels, "accuracy": asdict(found.model), "svm": asdict(found.svm)}


def _print(title: str, columns: Mapping[str, Accuracy]) -> None:
    """A table of the figures of one model or several on the same test pixels."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from edge_client.plain import one_line

    sides = tuple(columns.values())
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for column in ("test pixels", *columns):
        table.add_column(column, justify="right")
    for name, count in sides[0].pixels.items():
        # A name is somebody's own: it may hold what is markup elsewhere.
        table.add_row(Text(one_line(name)), str(count), *(_share(side.per_class[name]) for side in sides))
    table.add_section()
    for label, key in (("overall accuracy", "oa"), ("average accuracy", "aa"), ("kappa", "kappa")):
        table.add_row(label, "", *(_share(getattr(side, key)) for side in sides))
    Console().print(table)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


@contextmanager
def _progress() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda stage, step, steps: progress.update(task, description=stage, completed=step, total=steps)
