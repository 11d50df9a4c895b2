"""The demo's figures: one value from which the table, the page and the JSON document are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from edgefed.demo.hyperspectral.alternatives import Measured
from edgefed.demo.hyperspectral.comparison import Comparison
from edgefed.demo.hyperspectral.fields import Draw
from edgefed.demo.traffic import bytes_down, bytes_up
from protos.jobs import JobSpec

if TYPE_CHECKING:
    from edgefed.demo.hyperspectral.run import Outcome


@dataclass(frozen=True, eq=False)
class Figures:
    """Everything the demo found out.

    Attributes:
        drawn: who may train on which pixels.
        spec: of the job.
        outcome: of the live federation.
        federated: its model on the test pixels.
        comparison: its alternatives.
        seconds: the demo took, without installation.
        report: where the page is written.
    """

    drawn: Draw
    spec: JobSpec
    outcome: Outcome
    federated: Measured
    comparison: Comparison
    seconds: float
    report: Path

    @property
    def rounds(self) -> Sequence[Mapping[str, Any]]:
        """The record of each round, as the coordinator keeps it."""
        rounds: Sequence[Mapping[str, Any]] = self.outcome.status["history"]
        return rounds

    @property
    def scope_spread(self) -> list[float]:
        """How far the fields' weight scopes lay apart in each round that trained, relative."""
        return [past["metrics"]["scope_spread"] for past in self.rounds if "scope_spread" in past["metrics"]]

    @property
    def draws(self) -> list[float]:
        """Overall accuracy of the federation on each disjoint draw."""
        own = [self.federated] if self.drawn.split.kind == "disjoint" else []
        return [measured.accuracy.oa for measured in (*own, *self.comparison.draws)]

    @property
    def random(self) -> Measured:
        """The federation on a random split."""
        return self.comparison.random or self.federated

    @property
    def bytes_up(self) -> int:
        """Of one site's update in one round: the most that any round needed."""
        return bytes_up(self.outcome.ledgers)

    @property
    def bytes_down(self) -> int:
        """Of the global model to one site in one round."""
        return bytes_down(self.rounds, len(self.drawn.fields))

    def as_json(self) -> dict[str, Any]:
        """The document that `edgefed demo hyperspectral --json` prints; bytes are of one site in one round."""
        return {
            **{measure: self._all(measure) for measure in ("oa", "aa", "kappa")},
            "split": self.drawn.split.kind,
            "random_oa_federated": round(self.random.accuracy.oa, 4),
            "random_oa_svm": round(self.comparison.random_svm.accuracy.oa, 4),
            "draws_oa_federated": [round(oa, 4) for oa in self.draws],
            "draws_oa_svm": [round(svm.accuracy.oa, 4) for svm in self.comparison.draws_svm],
            "scope_spread": [round(value, 5) for value in self.scope_spread],
            "rounds": len(self.rounds),
            "bytes_up_per_round": self.bytes_up,
            "bytes_down_per_round": self.bytes_down,
            "seconds": round(self.seconds, 1),
            "peak_memory_bytes": self.outcome.peak_memory,
            "seed": self.spec.seed,
            "split_sha256": self.drawn.digest(),
            "report": str(self.report),
        }

    def _all(self, measure: str) -> dict[str, Any]:
        compared = self.comparison
        local = {site: _of(measured, measure) for site, measured in compared.local.items()}
        return {
            "local": local,
            "local_mean": round(mean(local.values()), 4),
            "federated": _of(self.federated, measure),
            "federated_mean_only": _of(compared.mean_only, measure),
            "centralised": _of(compared.centralised, measure),
            "svm": _of(compared.svm, measure),
        }


def _of(measured: Measured, measure: str) -> float:
    return round(float(getattr(measured.accuracy, measure)), 4)
