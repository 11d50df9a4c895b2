"""`edgefed client bench`: how fast the compiled model judges on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_client.cli_compile import Backend

if TYPE_CHECKING:  # imported in the command: `edgefed --help` must not wait for what judges
    from edge_client.compiled.model import CompiledModel

_MOST_FILES = 64


def bench(
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Images to judge; the site's own where left out.")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, max=64, help="Images at once; may be repeated.")] = None,
    backend: Annotated[Backend | None, typer.Option(help="What is to run it; what it was proven on.")] = None,
    allow_fallback: Annotated[
        bool, typer.Option("--allow-fallback", help="Take the CPU where the backend is not on this machine.")
    ] = False,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="DIR-OR-TAR", help="A bundle instead of the installed one.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="State folder; $XDG_STATE_HOME/edgefed/client.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="Whose model; the current one where left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure the compiled model on real images: milliseconds of each stage, and images per second.

    The figures are kept as bench.json in the bundle's folder, with all that they depend on.
    """
    from rich.console import Console
    from rich.progress import Progress

    from edge_client.state import default_root
    from edge_client.threads import bound_threads

    bound_threads()
    from edge_client.bench.measure import measure
    from edge_client.bench.table import print_bench
    from edge_client.bundle.files import BENCH
    from edge_client.state import write_durably

    root = state or default_root()
    model = _compiled(root, job, bundle, backend.value if backend else None, allow_fallback=allow_fallback)
    paths, sizes = _files(root, images), batch or [1, 8]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=len(sizes))
        asked = backend.value if backend else model.bundle.manifest.backend
        found = measure(model, paths, sizes, asked, lambda done: progress.update(task, completed=done))
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        print_bench(found, Console())
    if model.bundle.path.is_dir():  # after it was told: where nothing can be written it was not measured in vain
        write_durably(model.bundle.path / BENCH, found.model_dump_json(indent=2).encode() + b"\n")


def _compiled(
    root: Path, job: str | None, bundle: Path | None, backend: str | None, *, allow_fallback: bool
) -> CompiledModel:
    from edge_client.compile_order import COMPILED
    from edge_client.compiled.model import load_compiled
    from edge_client.judging import ENGINES
    from edge_client.release_key import required_key
    from edge_client.state import model_folder
    from protos.errors import InvalidInput

    compiled_here = bundle is None
    if bundle is None:
        bundle = model_folder(root, job) / COMPILED
        if not bundle.exists():
            raise InvalidInput(f"the model in {bundle.parent} is not compiled yet; run `edgefed client compile` first")
    key = required_key(root, bundle, compiled_here=compiled_here)
    return load_compiled(bundle, engines=root / ENGINES, backend=backend, allow_fallback=allow_fallback, key=key)


def _files(root: Path, images: Path | None) -> Sequence[Path]:
    from edge_client.config import load_site_config
    from edge_client.datasets import training_images
    from edge_client.image_files import find_images
    from protos.errors import InvalidInput

    if images is None:
        images = load_site_config(root).data.images
        if images is None:
            raise InvalidInput("site.toml names no images; say what to judge with --images DIR")
        return training_images(images).images[:_MOST_FILES]
    found = find_images(images, within=images)
    if not found.images:
        raise InvalidInput(f"no images in {images}: {found}; PNG, JPEG, BMP, TIFF and WebP are read")
    return found.images[:_MOST_FILES]
