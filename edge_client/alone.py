"""A job at one site without a coordinator: what the site can learn from its own data, as a baseline and as a model."""

from __future__ import annotations

import shutil
from pathlib import Path

from edge_client.cubes.holdout import Kind, Measured, measure, split_scenes, with_labels_at
from edge_client.site_data import SiteReader
from edge_client.state import disk_errors
from models.method import Arrays, Report, SiteData, Unusable, Update, derive_seed
from models.wsa.settings import Settings
from protos.durable import write_durably
from protos.errors import InvalidInput
from protos.jobs import JobSpec, job_to_json
from protos.tensors import write_tensors


def train_alone(
    root: Path, spec: JobSpec, out: Path, report: Report, *, kind: Kind | None, per_class: int
) -> Measured | None:
    """Runs all rounds of a job at this site alone and writes its model to `out`.

    Args:
        root: a folder with the site's `site.toml`; nobody need have joined there.
        spec: the job; who is invited to it plays no part.
        out: a folder that does not exist yet; gets spec.json, global.safetensors and local.safetensors.
        report: told as the work goes on.
        kind: how a scene's labelled pixels are split; None trains on all of them, and nothing is measured.
        per_class: most training pixels of each class of a split.

    Returns:
        The accuracy on the test pixels; None without a split, and for jobs of images, which `evaluate` measures.

    Raises:
        InvalidInput: the site's data or the job cannot be used, or `out` exists.
        StateError: the disk has no room.
    """
    if out.exists():
        raise InvalidInput(f"{out} exists already; name a new folder")
    with disk_errors(out.parent):
        out.mkdir(parents=True)
    try:
        measured = _train(root, spec, out, report, kind, per_class)
    except BaseException as error:
        shutil.rmtree(out, ignore_errors=True)  # half a model is none, and the same command can be given again
        if isinstance(error, Unusable) and isinstance(error.__cause__, InvalidInput):  # its files are the reader's own
            raise error.__cause__ from error
        if isinstance(error, ValueError):
            raise InvalidInput(f"the job {spec.name!r} cannot be done at this site alone: {error}") from error
        raise
    shutil.rmtree(out / "scratch", ignore_errors=True)
    return measured


def _train(root: Path, spec: JobSpec, out: Path, report: Report, kind: Kind | None, per_class: int) -> Measured | None:
    data, settings = SiteReader().read(root, out, spec, report), spec.the_settings
    if kind is None or not isinstance(settings, Settings):
        _rounds(spec, data, out, report)
        return None
    splits = split_scenes(data.scenes, settings, kind, per_class, spec.seed)
    training = with_labels_at(data, [split.train for split in splits])
    final = _rounds(spec, training, out, report)
    from models.wsa.classifier import Classifier

    return measure(Classifier(settings, final, data.weights), settings, data, splits, report)


def _rounds(spec: JobSpec, data: SiteData, out: Path, report: Report) -> Arrays:
    """Every round with this site's update as the only one, and the model that is installed in the end."""
    method, settings = spec.the_method, spec.the_settings
    declaration = method.declare(settings, data)
    final: Arrays | None = None
    state: Arrays = {}
    for number in range(1, spec.rounds.count + 1):
        result = method.local_update(settings, data, final, state, derive_seed(spec.seed, number, data.site), report)
        method.check(settings, declaration, final, result.update)
        update = Update(data.site, result.weight, result.update)
        seed = derive_seed(spec.seed, number, "coordinator")
        final, state = method.aggregate(settings, final, [update], seed).arrays, result.state
    assert final is not None  # a job has at least one round
    seed = derive_seed(spec.seed, spec.rounds.count, data.site, "install")
    local = method.install(settings, data, final, state, seed, report)
    with disk_errors(out):
        write_durably(out / "spec.json", job_to_json(spec).encode())
        write_tensors(out / "global.safetensors", final)
        write_tensors(out / "local.safetensors", local)
    return final
