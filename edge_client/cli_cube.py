"""`edgefed client train`, and what `edgefed client infer` does with a cube."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edge_client.cubes.holdout import Kind, Measured
    from models.method import Report


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
        _print(found)
    typer.echo(f"the model of {spec.name} is in {out}")


def infer_cube(cube: Path, folder: Path, root: Path, maps: Path | None) -> None:
    """Classifies a cube and prints one JSON line.

    Args:
        cube: its file.
        folder: of the model.
        root: the site's state folder, whose `site.toml` says which bands count, if it has one.
        maps: where the map's files go.
    """
    from edge_client.config import SITE_FILE, load_site_config
    from edge_client.cubes.mapping import map_cube, write_map
    from edge_client.cubes.scene_model import load_scene_model
    from edge_client.cubes.settings import CubeSettings
    from edge_client.site_data import checked_weights
    from edge_client.threads import bound_threads

    bound_threads()
    config = load_site_config(root) if (root / SITE_FILE).exists() else None
    model = load_scene_model(folder, checked_weights(config) if config else {})
    with _progress() as report:
        found = map_cube(cube, model, config.data if config else CubeSettings(), report)
    line: dict[str, Any] = {"path": str(cube), "job": model.job, "rows": len(found.classes)}
    line |= {"columns": found.classes.shape[1], "classes": found.counts, "no_data": int((found.classes == 0).sum())}
    line["seconds"] = round(found.seconds, 3)
    if maps is not None:
        line["maps"] = {kind: str(path) for kind, path in write_map(found, maps).items()}
    typer.echo(json.dumps(line))


def _document(found: Measured | None) -> dict[str, Any]:
    if found is None:
        return {"split": None}
    pixels = {"train_pixels": len(found.split.train), "test_pixels": len(found.split.test)}
    return {"split": found.split.kind, **pixels, "accuracy": asdict(found.model), "svm": asdict(found.svm)}


def _print(found: Measured) -> None:
    from rich.console import Console
    from rich.table import Table

    sides = (found.model, found.svm)
    title = f"{len(found.split.test)} test pixels, {found.split.kind} from {len(found.split.train)} training pixels"
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for column in ("test pixels", "model", "window SVM"):
        table.add_column(column, justify="right")
    for name, count in found.model.pixels.items():
        table.add_row(name, str(count), *(_share(side.per_class[name]) for side in sides))
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
