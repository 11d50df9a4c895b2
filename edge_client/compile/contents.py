"""The files of a bundle, from what was compiled and proven."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from blake3 import blake3

from edge_client.bundle.calibration import CalibrationFile
from edge_client.bundle.card import model_card
from edge_client.bundle.files import BANK, CALIBRATION, CARD, GENERATOR, MANIFEST, MODELS, PARITY
from edge_client.bundle.manifest import Backbone, DetectorManifest, Input, Memory, Output
from edge_client.bundle.record import Graph
from edge_client.compile.export import OPSET
from edge_client.compile.source import Source
from edge_client.prove.exhibit import Role
from edge_client.prove.precision import Choice


def manifest_of(source: Source, choice: Choice) -> DetectorManifest:
    """What is known of the bundle."""
    settings = source.model.settings
    features, score = settings.features, settings.score
    rows, width = source.bank.rows.shape
    return DetectorManifest(
        edgefed=version("edgefed"),
        job=source.model.job,
        round=source.round,
        global_digest=blake3(source.memory).hexdigest(),
        backend=choice.runner.backend,
        precision=choice.parity.precision,
        input=Input(size=features.image_size),
        output=Output(rule=score.rule, self_normalise=score.self_normalise),
        memory=Memory(rows=rows, width=width, cell_scale=score.cell_scale, generator=source.generator is not None),
        backbone=Backbone(name=features.backbone, stages=features.stages, sha256=source.weights_sha256),
        graph=Graph(opset=OPSET, exporter=f"torch {version('torch')}"),
    )


def contents(source: Source, choice: Choice, roles: Sequence[Role]) -> dict[str, bytes]:
    """Name -> bytes of every file that SHA256SUMS lists.

    Args:
        source: that was compiled.
        choice: what was proven.
        roles: of the images that it was proven on.
    """
    manifest = manifest_of(source, choice)
    held = (score for score, role in zip(choice.answers.scores, roles, strict=True) if role == "held-out normal")
    calibration = CalibrationFile(
        false_reject_rate=source.model.settings.score.false_reject_rate, normal_scores=tuple(map(float, held))
    )
    files = {
        MANIFEST: manifest.to_json(),
        MODELS["fp32"]: source.graph,
        MODELS[manifest.precision]: choice.graph,
        BANK: source.memory,
        CALIBRATION: calibration.model_dump_json(indent=2).encode() + b"\n",
        PARITY: choice.parity.model_dump_json(indent=2).encode() + b"\n",
        CARD: model_card(manifest, calibration, choice.parity).encode(),
    }
    return files if source.generator is None else {**files, GENERATOR: source.generator}
