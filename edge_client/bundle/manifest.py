"""`manifest.json` of a bundle: what its graph takes and gives, and what it was made of. Digests are in SHA256SUMS."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.scoring import Rule
from protos.errors import InvalidInput

SCHEMA: Final = 1

Precision = Literal["fp32", "fp16", "int8"]
Count = Annotated[int, Field(ge=1, le=1 << 20)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Input(_Record):
    """What images become before the graph; it does the rest itself, mean and deviation of the backbone too.

    Attributes:
        size: s, pixels of both sides after resizing; the aspect ratio is not kept.
    """

    name: Literal["images"] = "images"
    shape: Literal["batch 3 size size"] = "batch 3 size size"
    dtype: Literal["float32"] = "float32"
    colours: Literal["red green blue"] = "red green blue"
    range: Literal["0 to 255"] = "0 to 255"
    resize: Literal["Pillow bilinear, on 8 bits"] = "Pillow bilinear, on 8 bits"
    size: Annotated[int, Field(ge=64, le=1024)]


class Output(_Record):
    """What the graph gives: raw figures, without threshold and without smoothing.

    Attributes:
        rule: an image's score is of its highest patch, or of its highest 1 or 3 percent.
        self_normalise: whether it is divided by the fourth root of the map's mean.
    """

    scores: Literal["batch, float32, higher is more anomalous"] = "batch, float32, higher is more anomalous"
    maps: Literal["batch height width, float32, one per patch"] = "batch height width, float32, one per patch"
    rule: Rule
    self_normalise: bool


class Memory(_Record):
    """The bank that comes with the bundle; another one of the same width may take its place.

    Attributes:
        rows: m.
        width: d, features of a row.
        cell_scale: whether distances count relative to the width of a row's cell.
        generator: whether the graph takes a generator of the site besides.
    """

    rows: Count
    width: Count
    cell_scale: bool
    generator: bool


class Backbone(_Record):
    """Whose features they are.

    Attributes:
        name: in the field.
        stages: whose outputs are put together.
        sha256: of its weights file.
    """

    name: str
    stages: tuple[str, ...]
    sha256: Digest


class Graph(_Record):
    """How the graph was made.

    Attributes:
        opset: of ONNX.
        exporter: and its version.
    """

    opset: Count
    exporter: str


class Manifest(_Record):
    """What a bundle is.

    Attributes:
        edgefed: the version that made it.
        job: whose final model it is.
        round: of the job that made it; None where the site has forgotten it.
        global_digest: BLAKE3 of the job's global artifact, by which the coordinator keeps it; None in old bundles.
        backend: that it was proven on, see `parity.json`.
        precision: of its backbone.
    """

    schema_version: Literal[1] = SCHEMA
    edgefed: str
    job: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    round: Annotated[int, Field(ge=1, lt=1 << 32)] | None = None
    global_digest: Digest | None = None
    task: Literal["anomaly"] = "anomaly"
    method: Literal["feddymem"] = "feddymem"
    backend: str
    precision: Precision
    input: Input
    output: Output
    memory: Memory
    backbone: Backbone
    graph: Graph

    def to_json(self) -> bytes:
        """The file."""
        return self.model_dump_json(indent=2).encode() + b"\n"


class _Version(BaseModel):
    schema_version: int


def read_manifest(data: bytes) -> Manifest:
    """The manifest in a file's bytes.

    Raises:
        InvalidInput: it is of a newer schema, or not a manifest.
    """
    try:
        version = _Version.model_validate_json(data).schema_version
        if version > SCHEMA:
            raise InvalidInput(
                f"the bundle has the schema {version} and this edgefed reads {SCHEMA}; update edgefed, or compile here"
            )
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise InvalidInput(f"manifest.json cannot be used: {where}: {first['msg']}; compile the model again") from error
