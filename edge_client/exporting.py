"""A compiled model as one tar file, for another machine or for an installation without a network."""

from __future__ import annotations

from pathlib import Path

from edge_client.bundle.bundle import Bundle, open_bundle
from edge_client.bundle.files import SIGNATURE
from edge_client.bundle.writing import write_tar
from edge_client.compile_order import COMPILED
from edge_client.release_key import pinned_key
from edge_client.signing import try_to_sign
from edge_client.state import model_folder
from protos.errors import InvalidInput


def export_bundle(root: Path, source: str, out: Path) -> tuple[Bundle, str | None]:
    """Writes a verified bundle as a tar file; one of this site that has no signature yet is signed first.

    Args:
        root: the site's state folder.
        source: a job's name, or a folder or tar file that holds a bundle.
        out: of the tar file.

    Returns:
        The bundle, and why it has no signature, or None where it has one.

    Raises:
        InvalidInput: the file exists, or there is no such job or bundle.
        IntegrityError: a file of the bundle, or its signature, is not what was promised.
        StateError: the file cannot be written.
    """
    if out.exists():
        raise InvalidInput(f"{out} exists; choose another name for the bundle")
    folder = Path(source)
    unsigned = None
    if not folder.exists():
        folder = model_folder(root, source) / COMPILED
        if not folder.exists():
            raise InvalidInput(f"the model of {source!r} is not compiled; run `edgefed client compile --job {source}`")
        if not (folder / SIGNATURE).exists():
            unsigned = try_to_sign(root, folder)
    bundle = open_bundle(folder)
    if SIGNATURE in bundle.files:
        bundle = open_bundle(folder, pinned_key(root / "identity"))
    elif unsigned is None:
        unsigned = "it came without a signature, and only the site that compiled it can ask for one"
    write_tar(out, bundle.files)
    return bundle, unsigned
