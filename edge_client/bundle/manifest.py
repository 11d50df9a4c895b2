"""`manifest.json` of a bundle: what its graph takes and gives, and what it was made of. Digests are in SHA256SUMS."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from edge_client.bundle.files import BANK, WEIGHTS
from edge_client.bundle.record import SCHEMA, Count, Digest, Manifest, Record
from models.scoring import Rule
from protos.errors import InvalidInput


class Input(Record):
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


class Output(Record):
    """What the graph gives: raw figures, without threshold and without smoothing.

    Attributes:
        rule: an image's score is of its highest patch, or of its highest 1 or 3 percent.
        self_normalise: whether it is divided by the fourth root of the map's mean.
    """

    scores: Literal["batch, float32, higher is more anomalous"] = "batch, float32, higher is more anomalous"
    maps: Literal["batch height width, float32, one per patch"] = "batch height width, float32, one per patch"
    rule: Rule
    self_normalise: bool


class Memory(Record):
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


class Backbone(Record):
    """Whose features they are.

    Attributes:
        name: in the field.
        stages: whose outputs are put together.
        sha256: of its weights file.
    """

    name: str
    stages: tuple[str, ...]
    sha256: Digest


class DetectorManifest(Manifest):
    """Of a bundle that judges images."""

    made_of: ClassVar[str] = BANK
    task: Literal["anomaly"] = "anomaly"
    method: Literal["feddymem"] = "feddymem"
    input: Input
    output: Output
    memory: Memory
    backbone: Backbone


class Windows(Record):
    """What a cube becomes before the graph.

    Attributes:
        bands: b, of a pixel before the projection in `weights.safetensors`.
        wavelengths: of those in nanometres, to which cubes are resampled; empty where all have the same camera.
        components: c, of a pixel after it.
        size: s, side of a pixel's window; beyond the scene's border the scene is reflected.
    """

    shape: Literal["batch components size size"] = "batch components size size"
    dtype: Literal["float32"] = "float32"
    bands: Count
    wavelengths: tuple[Annotated[float, Field(gt=0)], ...]
    components: Count
    size: Annotated[int, Field(ge=1, le=1024)]


class ClassifierManifest(Manifest):
    """Of a bundle that tells the class of every pixel of a cube.

    Attributes:
        network: of the job.
        input: of the graph.
        logits: what the graph gives.
        classes: their names, in the order of the logits.
    """

    made_of: ClassVar[str] = WEIGHTS
    task: Literal["pixel classes"] = "pixel classes"
    method: Literal["wsa"] = "wsa"
    network: str
    input: Windows
    logits: Literal["batch classes, float32, the highest is the class"] = (
        "batch classes, float32, the highest is the class"
    )
    classes: Annotated[tuple[str, ...], Field(min_length=2)]


_MANIFEST: TypeAdapter[DetectorManifest | ClassifierManifest] = TypeAdapter(
    Annotated[DetectorManifest | ClassifierManifest, Field(discriminator="task")]
)


class _Version(BaseModel):
    schema_version: int


def read_manifest(data: bytes) -> DetectorManifest | ClassifierManifest:
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
        return _MANIFEST.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "it"  # without the task
        raise InvalidInput(f"manifest.json cannot be used: {where}: {first['msg']}; compile the model again") from error
