"""Which model judges at a site: a bundle that is named, the compiled model where there is one, or the trained one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge_client.calibration import check_rate, keep_rate, kept_rate
from edge_client.compile_order import COMPILED
from edge_client.judge import Judge
from edge_client.state import model_folder
from protos.errors import InvalidInput, StateError

ENGINES = "engines"


def load_judge(root: Path, job: str | None, bundle: Path | None = None, rate: float | None = None) -> Judge:
    """The model that judges.

    Args:
        root: the site's state folder.
        job: whose model; None is the site's current one.
        bundle: a folder or tar file to run instead, also where no site has joined; where the site has its
            coordinator's release key, it must be signed with that.
        rate: a false-reject rate, which is kept beside an installed model and holds for this bundle only.

    Raises:
        InvalidInput: there is no such model or bundle, or it cannot be used.
        IntegrityError: a file is not what was promised.
        BackendMissing, EngineError: the compiled model cannot run here.
        StateError: the model's files are damaged, or the compiled model is of an earlier memory.
    """
    if rate is not None:
        check_rate(rate)  # before a model is loaded, which takes seconds
    if bundle is not None:
        if job is not None:
            raise InvalidInput("--job names an installed model and --bundle another one; leave one of them out")
        from edge_client.compiled.model import load_compiled
        from edge_client.release_key import required_key

        key = required_key(root, bundle, compiled_here=False)
        return load_compiled(bundle, engines=root / ENGINES, rate=rate, key=key)
    folder = model_folder(root, job)
    judge = _compiled(root, folder, rate) if (folder / COMPILED).exists() else _trained(root, folder.name)
    if rate is not None:
        keep_rate(folder, rate)
    return judge


def _compiled(root: Path, folder: Path, rate: float | None) -> Judge:
    from edge_client.compiled.model import load_compiled
    from edge_client.release_key import required_key

    kept = kept_rate(folder) if rate is None else rate
    key = required_key(root, folder / COMPILED, compiled_here=True)
    compiled = load_compiled(folder / COMPILED, engines=root / ENGINES, rate=kept, key=key)
    with (folder / "global.safetensors").open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != compiled.bundle.global_sha256:
            raise StateError(f"{folder / COMPILED} holds another memory than {folder}; run `edgefed client compile`")
    return compiled


def _trained(root: Path, job: str) -> Judge:
    try:
        from edge_client.inference import load_model
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"the model of {job!r} is not compiled and {error.name} is not installed: compile it where it was trained, "
            "or pip install 'edgefed[train]'"
        ) from error
    return load_model(root, job)
