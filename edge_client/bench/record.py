"""`bench.json` of a bundle: figures, and everything that they depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edge_client.bench.timing import Timing


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Machine(_Record):
    """Where it was measured.

    Attributes:
        processor: name, and instructions that matter for inference.
        cores: that this process may run on.
        threads: that were asked for by EDGEFED_THREADS; None leaves it to the backend.
        os: distribution and version.
        arch: of the processor.
        gpu: name, or None without one.
        compute_capability: of the GPU, as "8.9"; None where nothing tells it.
        clocks: of the GPU, read right after the last run; None where nothing tells them.
        driver: of the GPU, or None.
        power_mode: of a Jetson, or the CPU's frequency governor; None where nothing tells it.
        load_before: tasks that wanted to run in the last minute, before the first image.
        load_after: the same after the last one. Well above `threads`, other work was measured too.
        versions: of the packages that take part.
    """

    processor: str
    cores: int
    threads: int | None
    os: str
    arch: str
    gpu: str | None
    compute_capability: str | None
    clocks: str | None
    driver: str | None
    power_mode: str | None
    load_before: float
    load_after: float
    versions: Mapping[str, str]


class Batch(_Record):
    """Figures at one batch size; milliseconds are those of the whole batch.

    Attributes:
        size: images at once.
        runs: that were measured.
        decode: reading and decoding the files.
        preprocess: to the pixels that the graph takes.
        infer: to raw scores and maps, with the copies to and from the device.
        postprocess: to a smoothed map and a judgement.
        whole: all four.
        images_per_second: by the mean of the whole.
    """

    size: int
    runs: int
    decode: Timing
    preprocess: Timing
    infer: Timing
    postprocess: Timing
    whole: Timing
    images_per_second: float


class Bench(_Record):
    """The file.

    Attributes:
        measured: when, ISO 8601 in UTC.
        job: whose model.
        model_sha256: of the graph.
        asked_backend: what was asked for.
        backend: what ran.
        device: what it ran on, by the backend's own name.
        precision: of the backbone.
        image_size: side of the pixels that the graph takes.
        images: different files that were judged.
        machine: see there.
        batches: one for each size.
    """

    schema_version: Literal[1] = 1
    measured: str
    job: str
    model_sha256: str
    asked_backend: str
    backend: str
    device: str
    precision: str
    image_size: int
    images: int
    machine: Machine
    batches: tuple[Batch, ...]
