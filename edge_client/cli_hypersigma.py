"""`edgefed model keys hypersigma` and `edgefed model import hypersigma`: the published networks and their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protos.errors import InvalidInput

if TYPE_CHECKING:
    from models.hypersigma.networks import Plan
    from models.hypersigma.transfer import Transfer

keys_app = typer.Typer(no_args_is_help=True, help="Names and shapes of a published network's tensors.")
import_app = typer.Typer(no_args_is_help=True, help="Published weights as a network of this installation.")

Bands = Annotated[int | None, typer.Option(min=1, help="Of the cubes; as in the published network of the task.")]
Image = Annotated[int | None, typer.Option(min=1, help="Rows and columns of the cubes; as published.")]
Patch = Annotated[int | None, typer.Option(min=1, help="Side of a patch in pixels; as published.")]
Number = Annotated[
    int | None, typer.Option(min=1, help="Classes, materials of unmixing, or scale of super-resolution; as published.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@keys_app.command("hypersigma")
def keys(
    branch: Annotated[str, typer.Option(help="spatial or spectral (pre-training), or a task such as classification.")],
    size: Annotated[str, typer.Option(help="base, large, huge, or small.")] = "base",
    bands: Bands = None,
    image: Image = None,
    patch: Patch = None,
    number: Number = None,
    as_json: AsJson = False,
) -> None:
    """Print every tensor of an official network, one line each: name, tab, shape."""
    from models.hypersigma.networks import key_shapes

    shapes = key_shapes(_plan(branch, size, bands, image, patch, number))
    if as_json:
        typer.echo(json.dumps(shapes))
    else:
        typer.echo("\n".join(f"{key}\t{shape}" for key, shape in shapes.items()))


@import_app.command("hypersigma")
def import_(
    spatial: Annotated[Path, typer.Argument(metavar="SPAT.pth", help="Published checkpoint of the spatial branch.")],
    spectral: Annotated[Path, typer.Argument(metavar="SPEC.pth", help="Published checkpoint of the spectral branch.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.safetensors", help="Must not exist; hypersigma-SIZE-TASK.safetensors.")
    ] = None,
    task: Annotated[str, typer.Option(help="Whose network is made.")] = "classification",
    bands: Bands = None,
    image: Image = None,
    patch: Patch = None,
    number: Number = None,
    seed: Annotated[int, typer.Option(help="Of the tensors that no checkpoint holds.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make a task's network from the two published checkpoints; say what was copied, what was drawn, and why."""
    if out is not None and out.exists():
        raise InvalidInput(f"{out} exists already; choose another name, nothing is written over")
    from models.hypersigma.checkpoint import read_checkpoint
    from models.hypersigma.transfer import transfer
    from models.hypersigma.weights import save
    from models.method import Unusable

    try:
        first, second = read_checkpoint(spatial, "spatial"), read_checkpoint(spectral, "spectral")
        plan = _plan(task, first.size, bands, image, patch, number)
        target = out or Path(f"hypersigma-{plan.size}-{plan.task}.safetensors")
        if target.exists():
            raise InvalidInput(f"{target} exists already; name another file with --out")
        network, record = transfer(plan, first, second, seed=seed)
        save(network, plan, target)
    except Unusable as error:
        raise InvalidInput(str(error)) from error
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error}") from error
    document: dict[str, object] = {"file": str(target), "task": plan.task, "size": plan.size, "loaded": record.loaded}
    document |= {"initialised": record.initialised, "left": record.left}
    typer.echo(json.dumps(document) if as_json else "\n".join([*_summary(record), f"written: {target}"]))


def _plan(task: str, size: str, bands: int | None, image: int | None, patch: int | None, number: int | None) -> Plan:
    from models.hypersigma.networks import outline, plan

    try:
        found = plan(task, size, bands=bands, image=image, patch=patch, number=number)
        outline(found)  # the network itself may refuse a window
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    return found


def _summary(record: Transfer) -> list[str]:
    """A line for each branch and reason, with the parts that it holds for."""
    lines = _lines("loaded", dict.fromkeys(record.loaded, "from the checkpoint"))
    return [*lines, *_lines("initialised", record.initialised), *_lines("not taken", record.left)]


def _lines(what: str, reasons: dict[str, str]) -> list[str]:
    parts: dict[tuple[str, str], list[str]] = {}
    for key, reason in reasons.items():
        branch, part = _branch_and_part(key)
        parts.setdefault((branch, reason), []).append(part)
    lines = []
    for (branch, reason), names in sorted(parts.items()):
        lines.append(f"{what}: {branch}: {', '.join(dict.fromkeys(names))} ({len(names)} tensors): {reason}")
    return lines


def _branch_and_part(key: str) -> tuple[str, str]:
    """("spat_encoder", "blocks") of "spat_encoder.blocks.0.norm1.weight"; the branch of a head's tensor is "head"."""
    branch, _, rest = key.partition(".")
    if branch not in ("spat_encoder", "spec_encoder"):
        return "head", branch
    return branch, "sampling_offsets" if ".sampling_offsets." in rest else rest.partition(".")[0]
