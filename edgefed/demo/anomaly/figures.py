"""The demo's figures: one value from which the table, the page and the JSON document are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from edgefed.demo.anomaly.comparison import Comparison
from edgefed.demo.anomaly.plants import Split
from edgefed.demo.traffic import bytes_down, bytes_up
from edgefed.labelled_set import Measured
from models.backbones.registry import BACKBONES, weights_file
from protos.jobs import JobSpec

if TYPE_CHECKING:
    from edgefed.demo.anomaly.run import Outcome

FLOAT16 = 2


@dataclass(frozen=True)
class Sizes:
    """What a site could send and does not, in bytes.

    Attributes:
        generator: a site's memory generator, d x d weights and d biases in float16, as a bank is sent.
        backbone: the weights file of the pretrained network.
    """

    generator: int
    backbone: int


def sizes_of(spec: JobSpec) -> Sizes:
    """The sizes for a job's backbone and stages."""
    chosen = spec.the_settings.features
    width = sum(BACKBONES[chosen.backbone].widths[stage] for stage in chosen.stages)
    return Sizes(FLOAT16 * (width * width + width), weights_file(chosen.backbone, {}).stat().st_size)


@dataclass(frozen=True)
class Figures:
    """Everything the demo found out.

    Attributes:
        split: who held which cells.
        spec: of the job.
        outcome: of the live federation.
        comparison: its alternatives.
        sizes: of what is never sent.
        seconds: the demo took, without installation.
        report: where the page is written.
    """

    split: Split
    spec: JobSpec
    outcome: Outcome
    comparison: Comparison
    sizes: Sizes
    seconds: float
    report: Path

    @property
    def rounds(self) -> Sequence[Mapping[str, Any]]:
        """The record of each round, as the coordinator keeps it."""
        rounds: Sequence[Mapping[str, Any]] = self.outcome.status["history"]
        return rounds

    def at_site(self, site: str) -> Measured:
        """The installed model of a site on the common test set."""
        evaluation = self.outcome.evaluations[site]
        products = {name: found["image_auroc"] for name, found in evaluation["products"].items()}
        return Measured(evaluation["image_auroc"], products)

    @property
    def rows(self) -> int:
        """Of the global memory."""
        return int(self.spec.settings["aggregation"]["rows"])

    @property
    def federated(self) -> Measured:
        """The mean over the sites' installed models."""
        sites = [self.at_site(site) for site in self.split.train]
        products = {name: mean(site.products[name] for site in sites) for name in sites[0].products}
        return Measured(mean(site.union for site in sites), products)

    @property
    def local_mean(self) -> float:
        """The mean over the sites, each trained alone."""
        return mean(alone.measured.union for alone in self.comparison.local.values())

    @property
    def bytes_up(self) -> int:
        """Of one site's update in one round: the most that any round needed."""
        return bytes_up(self.outcome.ledgers)

    @property
    def bytes_down(self) -> int:
        """Of the global memory to one site in one round."""
        return bytes_down(self.rounds, len(self.split.train))

    def as_json(self) -> dict[str, Any]:
        """The document that `edgefed demo anomaly --json` prints; bytes are of one site in one round."""
        compared = self.comparison
        return {
            "auroc": {
                "local": {site: round(alone.measured.union, 4) for site, alone in compared.local.items()},
                "local_mean": round(self.local_mean, 4),
                "federated": round(self.federated.union, 4),
                "federated_per_site": {site: round(self.at_site(site).union, 4) for site in self.split.train},
                "centralised": round(compared.centralised.measured.union, 4),
                "centralised_larger": round(compared.centralised_larger.measured.union, 4),
                "centralised_balanced": round(compared.centralised_balanced.measured.union, 4),
            },
            "pixel_auroc": None,
            "rounds": len(self.rounds),
            "bytes_up_per_round": self.bytes_up,
            "bytes_down_per_round": self.bytes_down,
            "bytes_generator": self.sizes.generator,
            "bytes_backbone": self.sizes.backbone,
            "seconds": round(self.seconds, 1),
            "peak_memory_bytes": self.outcome.peak_memory,
            "seed": self.split.seed,
            "split_sha256": self.split.digest(),
            "report": str(self.report),
        }
