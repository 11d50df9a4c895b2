"""`edgefed client evaluate` and `edgefed client infer`: what a model says of images."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # imported in the commands: `edgefed --help` must not wait for what judges
    from edge_client.calibration import Calibration
    from edge_client.heatmap_folder import HeatmapFolder
    from edge_client.judge import Judge, Judgement

StateDir = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="State folder; $XDG_STATE_HOME/edgefed/client.")
]
Job = Annotated[str | None, typer.Option(help="Whose model; the current one where left out.")]
Rate = Annotated[
    float | None,
    typer.Option(
        "--false-reject-rate",
        help="Share of normal images that may be rejected, as 0.01; it is kept for an installed model.",
    ),
]
BundlePath = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        metavar="DIR-OR-TAR",
        help="A model to run instead of an installed one: compiled, or that `train` wrote.",
    ),
]
Maps = Annotated[Path | None, typer.Option(metavar="DIR", help="Write a cube's classes here: PNG, GeoTIFF, ENVI.")]
NO_THRESHOLD = "no normal image was held out, so there is no threshold and no verdict"


def register(app: typer.Typer) -> None:
    """Adds the commands to `edgefed client`."""
    app.command()(evaluate)
    app.command()(infer)


def evaluate(
    cube: Annotated[
        Path | None, typer.Argument(metavar="[CUBE]", help="A hyperspectral cube, where the model is for cubes.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The cube's test pixels: a raster, points or polygons.")
    ] = None,
    maps: Maps = None,
    state: StateDir = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Labelled images in MVTec layout; the site's own where left out.")
    ] = None,
    job: Job = None,
    bundle: BundlePath = None,
    false_reject_rate: Rate = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure a model on labelled images: AUROC, false rejects and misses, per product and defect.

    With a CUBE and its --labels: overall and average accuracy, kappa, and the accuracy of each class.
    """
    from edge_client.datasets import labelled_images

    if _evaluated(cube, labels, state, job, bundle, maps, as_json=as_json):
        return
    images = labelled_images(data or _own_images(state))
    model, calibration = _model(state, job, bundle, false_reject_rate)
    from edge_client.evaluate import by_defect, by_product, judge_all, quality
    from edge_client.quality_table import print_quality

    with _progress("judging", len(images)) as advance:
        judged = judge_all(model, images, advance)
    cut = calibration.threshold.value if calibration else None
    whole, products, defects = quality(judged, cut), by_product(judged, cut), by_defect(judged, cut)
    note = str(calibration) if calibration else NO_THRESHOLD
    if not as_json:
        print_quality(f"model of {model.job}", {"all": whole, **products, **defects})
        typer.echo(note)
        return
    document = {
        "job": model.job,
        "judge": model.description,
        **asdict(whole),
        "threshold": asdict(calibration.threshold) if calibration else None,
        "threshold_note": note,
        "false_reject_interval": calibration.interval if calibration else None,
        "products": {name: asdict(found) for name, found in products.items()},
        "defects": {name: asdict(found) for name, found in defects.items()},
        "scores": [
            {"path": str(one.image.path), "product": one.image.product, "defect": one.image.defect, "score": one.score}
            for one in judged
        ],
    }
    typer.echo(json.dumps(document))


def infer(
    source: Annotated[
        Path, typer.Argument(metavar="IMAGE-OR-FOLDER-OR-CUBE", help="One image, a folder of images, or a cube.")
    ],
    state: StateDir = None,
    heatmaps: Annotated[Path | None, typer.Option(metavar="DIR", help="Write an overlay PNG per image here.")] = None,
    maps: Maps = None,
    job: Job = None,
    bundle: BundlePath = None,
    false_reject_rate: Rate = None,
    as_json: Annotated[bool, typer.Option("--json", help="The lines are JSON with or without it.")] = False,
) -> None:
    """Judge images: one JSON line per image with score, threshold, verdict and milliseconds.

    An image that cannot be read gets a line with its error; the others are judged, and the exit code is 2. Of a
    hyperspectral cube every pixel is classified, and the line says how many pixels each class has.
    """
    if _classified(source, state, job, bundle, maps):
        return
    from edge_client.heatmap_folder import HeatmapFolder
    from protos.errors import InvalidInput

    paths = _sources(source)
    pictures = None if heatmaps is None else HeatmapFolder(heatmaps, source)
    model, calibration = _model(state, job, bundle, false_reject_rate)
    typer.echo(f"edgefed: {calibration or NO_THRESHOLD}", err=True)
    unreadable = 0
    for path in paths:
        try:
            judgement = model.judge(path)
        except InvalidInput as error:
            unreadable += 1
            typer.echo(json.dumps({"path": str(path), "error": str(error)}))
            continue
        line = _line(path, judgement, calibration)
        if pictures and calibration:
            line["heatmap"] = str(_draw(pictures, path, judgement, calibration))
        typer.echo(json.dumps(line))
    if unreadable:
        typer.echo(f"edgefed: {unreadable} of {len(paths)} images cannot be read", err=True)
        raise typer.Exit(InvalidInput.exit_code)


def _model(
    state: Path | None, job: str | None, bundle: Path | None, rate: float | None
) -> tuple[Judge, Calibration | None]:
    from edge_client.judging import load_judge
    from edge_client.threads import bound_threads

    bound_threads()
    model = load_judge(_root(state), job, bundle, rate)
    typer.echo(f"edgefed: {model.description}, judges", err=True)
    return model, model.calibration()


def _classified(source: Path, state: Path | None, job: str | None, bundle: Path | None, maps: Path | None) -> bool:
    """Classifies a source that is a cube; a TIFF is one where the model is for cubes."""
    from edge_client.cubes.opening import TIFF_SUFFIXES, is_cube
    from protos.errors import InvalidInput

    named = is_cube(source)
    if not named and (source.suffix.lower() not in TIFF_SUFFIXES or not source.is_file()):
        if maps is not None:
            raise InvalidInput(f"--maps is for cubes, and {source} is none by its name")
        return False
    from edge_client.cubes.scene_model import scene_model_folder

    if folder := scene_model_folder(_root(state), job, bundle):
        from edge_client.cli_cube import infer_cube

        infer_cube(source, folder, _root(state), maps)
    elif named:
        raise InvalidInput(f"{source} is a cube by its name, and the model judges images")
    return folder is not None


def _evaluated(
    cube: Path | None,
    labels: Path | None,
    state: Path | None,
    job: str | None,
    bundle: Path | None,
    maps: Path | None,
    *,
    as_json: bool,
) -> bool:
    """Measures a model on a cube, where one is named."""
    from protos.errors import InvalidInput

    if cube is None:
        if labels or maps:
            raise InvalidInput("--labels and --maps are for a cube: edgefed client evaluate CUBE --labels FILE")
        return False
    if labels is None:
        raise InvalidInput(f"say which pixels of {cube} to test on, with --labels FILE")
    from edge_client.cubes.scene_model import scene_model_folder

    folder = scene_model_folder(_root(state), job, bundle)
    if folder is None:
        raise InvalidInput(f"the model judges images, and {cube} is to be classified; name a job of cubes with --job")
    from edge_client.cli_cube import evaluate_cube

    evaluate_cube(cube, labels, folder, _root(state), maps, as_json=as_json)
    return True


def _root(state: Path | None) -> Path:
    from edge_client.state import default_root

    return state or default_root()


def _own_images(state: Path | None) -> Path:
    from edge_client.config import load_site_config
    from protos.errors import InvalidInput

    images = load_site_config(_root(state)).data.images
    if images is None:
        raise InvalidInput("site.toml names no images; say where labelled ones lie with --data DIR, or name a cube")
    return images


def _sources(source: Path) -> tuple[Path, ...]:
    from edge_client.image_files import find_images
    from protos.errors import InvalidInput

    if not source.is_dir():
        return (source,)
    found = find_images(source, within=source)
    if not found.images:
        raise InvalidInput(f"no images in {source}: {found}; PNG, JPEG, BMP, TIFF and WebP are read")
    return found.images


def _line(path: Path, judgement: Judgement, calibration: Calibration | None) -> dict[str, Any]:
    cut = calibration.threshold.value if calibration else None
    return {
        "path": str(path),
        "score": judgement.score,
        "threshold": cut,
        "verdict": None if cut is None else "defect" if judgement.score > cut else "normal",
        "milliseconds": round(judgement.read_ms + judgement.score_ms, 2),
        "read_ms": round(judgement.read_ms, 2),
        "score_ms": round(judgement.score_ms, 2),
    }


def _draw(pictures: HeatmapFolder, path: Path, judgement: Judgement, calibration: Calibration) -> Path:
    from edge_client.heatmap import Scale, draw_heatmap

    scale = Scale(calibration.calm, calibration.threshold.value)
    return pictures.save(draw_heatmap(judgement.image, judgement.score_map, judgement.score, scale), path)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda step: progress.update(task, completed=step)
