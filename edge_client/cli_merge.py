"""`edgefed model merge`: one model of several."""

from __future__ import annotations

import json
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge_client.cubes.settings import CubeSettings
    from edge_client.merging import Curve, Source


class Way(StrEnum):
    """How models are merged."""

    mean = "mean"
    wsa = "wsa"


def merge(
    models: Annotated[list[str], typer.Argument(metavar="A B...", help="Jobs of this site, model folders, or files.")],
    out: Annotated[Path, typer.Option(metavar="FILE.safetensors", help="Must not exist.")],
    method: Annotated[
        Way, typer.Option(help="The mean of the weights, or the mean brought back to the models' fused weight scope.")
    ] = Way.wsa,
    curve: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw the loss on the way from A to B; needs --cube.")
    ] = None,
    cube: Annotated[Path | None, typer.Option(metavar="CUBE", help="A scene to measure on.")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Its labels.")] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="A site's state folder; $XDG_STATE_HOME/edgefed/client."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Merge finished models of one network; with a cube, draw whether a barrier lies between two of them."""
    from edge_client.config import site_data
    from edge_client.merging import merged, read_source
    from edge_client.state import default_root
    from protos.errors import InvalidInput

    if len(models) < 2:
        raise InvalidInput("one model cannot be merged; name two or more")
    if curve is not None and (cube is None or labels is None or len(models) > 2):
        raise InvalidInput("a curve lies between two models and is measured on a scene; name both, --cube and --labels")
    sources = [read_source(state or default_root(), name) for name in models]
    found = None
    if curve is not None and cube is not None and labels is not None:
        found = _measured(sources, site_data(state or default_root()).of_scene(cube, labels), curve)
    apart = merged(sources, method.value, out)
    document: dict[str, object] = {"out": str(out), "method": method.value, "models": models, "scope_spread": apart}
    if found is not None:
        document["curve"] = {
            "picture": str(curve), "shares": found.shares, "losses": found.losses, "accuracies": found.accuracies,
            "barrier": {how: found.barrier(how) for how in found.losses},
        }  # fmt: skip
    typer.echo(json.dumps(document) if as_json else _told(out, method, apart, found))


def _measured(sources: list[Source], cube: CubeSettings, picture: Path) -> Curve:
    from edge_client.barrier_picture import barrier_svg
    from edge_client.merging import measured
    from edge_client.state import write_durably

    with tempfile.TemporaryDirectory() as scratch:
        found = measured(sources[0], sources[1], cube, Path(scratch))
    drawn = barrier_svg((sources[0].name, sources[1].name), found.shares, dict(found.losses.items()))
    write_durably(picture, drawn.encode())
    return found


def _told(out: Path, method: Way, apart: float, found: Curve | None) -> str:
    lines = [f"{out}: merged by {method.value}; the models' weight scopes lie {apart:.1%} apart"]
    if found is not None:
        for how, accuracies in found.accuracies.items():
            middle = accuracies[len(accuracies) // 2]
            lines.append(f"{how}: barrier {found.barrier(how):.3f}, accuracy in the middle {middle:.3f}")
    return "\n".join(lines)
