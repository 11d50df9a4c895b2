"""`edgefed client evaluate` and `edgefed client infer`: what an installed model says of images."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # imported in the commands: `edgefed --help` must not wait for torch
    from edge_client.evaluate import Quality
    from edge_client.heatmap import Scale
    from edge_client.inference import InstalledModel, Judgement
    from models.threshold import Threshold

StateDir = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="State folder; $XDG_STATE_HOME/edgefed/client.")
]
Job = Annotated[str | None, typer.Option(help="Whose model; the current one where left out.")]
Rate = Annotated[
    float | None, typer.Option("--false-reject-rate", help="Set the threshold anew at this rate, as 0.01; it is kept.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Adds the commands to `edgefed client`."""
    app.command()(evaluate)
    app.command()(infer)


def evaluate(
    state: StateDir = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Labelled images in MVTec layout; the site's own where left out.")
    ] = None,
    job: Job = None,
    false_reject_rate: Rate = None,
    as_json: AsJson = False,
) -> None:
    """Measure the installed model on labelled images: AUROC, false rejects and misses, per product and defect."""
    from edge_client.calibration import describe
    from edge_client.datasets import labelled_images
    from edge_client.evaluate import by_defect, by_product, judge_all, quality

    model, cut = _model(state, job, false_reject_rate)
    images = labelled_images(data or _own_images(state))
    with _progress("judging", len(images)) as advance:
        judged = judge_all(model, images, advance)
    value = None if cut is None else cut.value
    whole = quality(judged, value)
    document: dict[str, Any] = {
        "job": model.job,
        **asdict(whole),
        "threshold": None if cut is None else asdict(cut),
        "threshold_note": describe(cut, false_reject_rate or model.job_rate),
        "products": {name: asdict(found) for name, found in by_product(judged, value).items()},
        "defects": {name: asdict(found) for name, found in by_defect(judged, value).items()},
        "scores": [
            {"path": str(one.image.path), "product": one.image.product, "defect": one.image.defect, "score": one.score}
            for one in judged
        ],
    }
    if as_json:
        print(json.dumps(document))
    else:
        _print_quality(document, whole)


def infer(
    source: Annotated[Path, typer.Argument(metavar="IMAGE-OR-FOLDER", help="One image, or a folder of images.")],
    state: StateDir = None,
    heatmaps: Annotated[Path | None, typer.Option(metavar="DIR", help="Write an overlay PNG per image here.")] = None,
    job: Job = None,
    false_reject_rate: Rate = None,
    as_json: AsJson = False,
) -> None:
    """Judge images: one JSON line per image with raw score, threshold, verdict and milliseconds.

    An image that cannot be read gets a line with its error; the others are judged, and the exit code is 2.
    """
    from edge_client.calibration import describe
    from edge_client.evaluate import heatmap_path
    from protos.errors import InvalidInput

    paths = _sources(source)
    model, cut = _model(state, job, false_reject_rate)
    if cut is None:
        typer.echo(f"edgefed: {describe(cut, model.job_rate)}", err=True)
    scale, taken, unreadable = _scale(model, cut), set[Path](), 0
    if heatmaps is not None:
        heatmaps.mkdir(parents=True, exist_ok=True)
    for path in paths:
        try:
            judgement = model.judge(path)
        except InvalidInput as error:
            unreadable += 1
            print(json.dumps({"path": str(path), "error": str(error)}), flush=True)
            continue
        line = _line(path, judgement, cut)
        if heatmaps is not None:
            line["heatmap"] = str(_draw(heatmap_path(heatmaps, path, taken), judgement, scale))
        print(json.dumps(line), flush=True)
    if unreadable:
        typer.echo(f"edgefed: {unreadable} of {len(paths)} images cannot be read", err=True)
        raise typer.Exit(InvalidInput.exit_code)


def _model(state: Path | None, job: str | None, rate: float | None) -> tuple[InstalledModel, Threshold | None]:
    from edge_client.calibration import check_rate
    from edge_client.inference import load_model

    if rate is not None:
        check_rate(rate)
    model = load_model(_root(state), job)
    return model, model.threshold(rate)


def _root(state: Path | None) -> Path:
    from edge_client.state import default_root

    return state or default_root()


def _own_images(state: Path | None) -> Path:
    from edge_client.config import load_site_config
    from protos.errors import InvalidInput

    images = load_site_config(_root(state)).data.images
    if images is None:
        raise InvalidInput("site.toml names no images; say where labelled images lie with --data DIR")
    return images


def _sources(source: Path) -> tuple[Path, ...]:
    from edge_client.image_files import find_images
    from protos.errors import InvalidInput

    if not source.is_dir():
        return (source,)
    found = find_images(source, within=source)
    if not found.images:
        raise InvalidInput(f"no images in {source} ({found}); PNG, JPEG, BMP, TIFF and WebP are read")
    return found.images


def _line(path: Path, judgement: Judgement, cut: Threshold | None) -> dict[str, Any]:
    verdict = None if cut is None else ("defect" if judgement.score > cut.value else "normal")
    return {
        "path": str(path),
        "score": judgement.score,
        "threshold": None if cut is None else cut.value,
        "verdict": verdict,
        "milliseconds": round(judgement.read_ms + judgement.score_ms, 2),
        "read_ms": round(judgement.read_ms, 2),
        "score_ms": round(judgement.score_ms, 2),
    }


def _scale(model: InstalledModel, cut: Threshold | None) -> Scale | None:
    import numpy as np

    from edge_client.heatmap import Scale

    return None if cut is None else Scale(min(float(np.median(model.calibration)), cut.value), cut.value)


def _draw(path: Path, judgement: Judgement, scale: Scale | None) -> Path:
    from edge_client.heatmap import Scale, draw_heatmap

    # Without a threshold the picture's own scores have to do: its highest patch is as hot as it gets.
    known = scale or Scale(float(judgement.map.min()), float(judgement.map.max()))
    draw_heatmap(judgement.image, judgement.map, judgement.score, known).save(path)
    return path


def _progress(what: str, total: int) -> Any:
    from contextlib import contextmanager

    from rich.console import Console
    from rich.progress import Progress

    @contextmanager
    def shown() -> Any:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda step: progress.update(task, completed=step)

    return shown()


def _print_quality(document: dict[str, Any], whole: Quality) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"model of {document['job']}")
    for column in ("", "images", "image AUROC", "pixel AUROC", "false rejects", "misses"):
        table.add_column(column, justify="left" if not column else "right")
    rows = {"all": asdict(whole), **document["products"], **document["defects"]}
    for name, found in rows.items():
        cells = (_decimal(found["image_auroc"]), _decimal(found["pixel_auroc"]))
        shares = (_percent(found["false_reject_rate"]), _percent(found["miss_rate"]))
        table.add_row(name, str(found["images"]), *cells, *shares)
    Console().print(table)
    print(document["threshold_note"])


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
