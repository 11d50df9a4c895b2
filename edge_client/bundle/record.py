"""What the manifests of all bundles have in common, whatever their models do."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Final = 1

Precision = Literal["fp32", "fp16", "int8"]
Count = Annotated[int, Field(ge=1, le=1 << 20)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """A part of a manifest: what it does not know is refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Graph(Record):
    """How the graph was made.

    Attributes:
        opset: of ONNX.
        exporter: and its version.
    """

    opset: Count
    exporter: str


class Manifest(Record):
    """What a bundle is.

    Attributes:
        edgefed: the version that made it.
        job: whose final model it is.
        round: of the job that made it; None where the site has forgotten it.
        global_digest: BLAKE3 of the job's global artifact, by which the coordinator keeps it; None in old bundles.
        backend: that it was proven on, see `parity.json`.
        precision: of the graph, or of a detector's backbone.
        graph: how it was made.
    """

    schema_version: Literal[1] = SCHEMA
    edgefed: str
    job: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    round: Annotated[int, Field(ge=1, lt=1 << 32)] | None = None
    global_digest: Digest | None = None
    backend: str
    precision: Precision
    graph: Graph

    def to_json(self) -> bytes:
        """The file."""
        return self.model_dump_json(indent=2).encode() + b"\n"
