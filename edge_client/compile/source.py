"""What a site's installed model is compiled from: its graph, its bank, and the images to prove it on."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.bundle.bank import generator_file, read_bank
from edge_client.compile.export import export
from edge_client.compile.graphs import graph_key, kept_graph
from edge_client.compiled.runner import Bank, RawScores
from edge_client.config import load_site_config
from edge_client.datasets import LabelledImage, labelled_images
from edge_client.image_files import ImageFiles
from edge_client.inference import InstalledModel, load_model
from edge_client.job_folder import standings
from edge_client.prove.exhibit import Exhibit
from edge_client.prove.site_images import site_exhibit
from edge_client.site_data import SiteReader, checked_weights
from edge_client.state import open_state
from models.backbones.registry import weights_file
from models.feddymem.holdout import split
from models.method import Report, Unusable
from protos.errors import InvalidInput
from protos.jobs import job_from_json
from protos.tensors import read_tensors

GRAPHS = "graphs"


@dataclass(frozen=True, eq=False)
class Source:
    """An installed model, ready to be compiled.

    Attributes:
        model: with torch.
        round: of the job that made it; None where nothing tells.
        weights_sha256: of its backbone's file.
        memory: bytes of the job's global artifact.
        generator: bytes of `generator.safetensors`, or None.
        bank: what is in those two.
        graph: float32 ONNX.
        exported: whether the graph was made now, and not kept from an earlier memory.
        export_s: seconds that it took to have it.
    """

    model: InstalledModel
    round: int | None
    weights_sha256: str
    memory: bytes = field(repr=False)
    generator: bytes | None = field(repr=False)
    bank: Bank = field(repr=False)
    graph: bytes = field(repr=False)
    exported: bool
    export_s: float

    def score(self, pixels: NDArray[np.uint8]) -> RawScores:
        """What the trained model says of pixels (b, s, s, 3), as a runner does."""
        return RawScores(*self.model.detector.raw(list(pixels)))


def read_source(root: Path, job: str | None) -> Source:
    """Loads a model, and exports its graph where none is kept that fits.

    Raises:
        InvalidInput, IntegrityError, StateError: see `load_model`.
    """
    model = load_model(root, job)
    settings = model.settings
    weights = weights_file(settings.features.backbone, checked_weights(load_site_config(root)))
    with weights.open("rb") as file:
        weights_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    memory = (model.folder / "global.safetensors").read_bytes()
    generator = generator_file(read_tensors(model.folder / "local.safetensors"))
    bank = read_bank(memory, generator, cell_scale=settings.score.cell_scale)
    key = graph_key(settings, weights_sha256, generator=generator is not None)
    started = time.perf_counter()
    graph, kept = kept_graph(root / GRAPHS, key, lambda: export(model.detector.graph(), settings.features.image_size))
    export_s = time.perf_counter() - started
    return Source(
        model, installed_round(root, model.job), weights_sha256, memory, generator, bank, graph, not kept, export_s
    )  # fmt: skip


def read_exhibit(root: Path, model: InstalledModel, report: Report) -> Exhibit:
    """The site's own images, those that were kept from the training apart.

    Raises:
        InvalidInput: the site has no images that can be read.
    """
    spec = job_from_json((model.folder / "spec.json").read_text())
    job = root / "jobs" / model.job
    try:
        job.mkdir(parents=True, exist_ok=True)
        data = SiteReader().read(root, job, spec, report)
        training, held = split(data, model.settings.score.holdout)
    except Unusable as error:
        raise InvalidInput(f"a compiled model is proven on the site's own images, and {error}") from error
    if not isinstance(data.samples, ImageFiles):
        raise TypeError("a site's images are files")
    paths = data.samples.paths
    return site_exhibit(
        [paths[index] for index in training], [paths[index] for index in held], _labelled(root),
        model.settings.features.image_size,
    )  # fmt: skip


def installed_round(root: Path, job: str) -> int | None:
    """The round whose model of a job is installed at a site; None where nothing tells."""
    found = (standing for standing in standings(open_state(root)) if standing.job == job)
    return next((standing.round for standing in found if standing.state == "installed"), None)


def _labelled(root: Path) -> tuple[LabelledImage, ...]:
    images = load_site_config(root).data.images
    try:
        return () if images is None else labelled_images(images)
    except InvalidInput:  # a folder of normal images is enough
        return ()
