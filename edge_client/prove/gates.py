"""How near is near enough, for each precision; and the error for one that is not."""

from __future__ import annotations

from typing import Protocol

from edge_client.prove.certificate import Area, Gate, Precision
from protos.errors import AccuracyError, EdgeFedError, ParityError

# The greatest relative difference of scores and maps. Rounding to 8 bits moves every number, so for int8 only what
# the model can tell apart counts.
RELATIVE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1e-2}
# The lowest change of image AUROC; at fp32 the decisions themselves must be the same.
AUROC_CHANGE: dict[Precision, float] = {"fp16": -0.002, "int8": -0.01}
FLIPS: dict[Precision, int] = {"fp32": 0}
# The lowest rank correlation where defects are made: they may be so easy that a spoilt graph still finds them all.
RANK_CORRELATION = 0.98

# 64-bit sums of the same pairs differ by less; a change of exactly the bound passes.
_ROUNDING = 1e-9


class Proof(Protocol):
    """A certificate of whatever was compiled."""

    @property
    def precision(self) -> str:
        """Of the compiled model."""

    @property
    def backend(self) -> str:
        """That it ran on."""

    @property
    def gates(self) -> tuple[Gate, ...]:
        """All conditions."""


def gates(
    precision: Precision, relative: float, flips: int | None, area: Area | None, ranks: float, nonfinite: int
) -> tuple[Gate, ...]:
    """The conditions of a precision, and whether they hold.

    Args:
        precision: of the compiled model.
        relative: the greatest relative difference of scores, maps, and of the golden image's.
        flips: decisions that changed; None where there is no threshold to decide at.
        area: None where there is nothing to tell apart.
        ranks: rank correlation of the image scores.
        nonfinite: values that are no numbers.
    """
    found = [at_most("values that are no numbers", nonfinite, 0)]
    if precision in RELATIVE:
        found.append(at_most("relative difference", relative, RELATIVE[precision]))
    if precision in FLIPS and flips is not None:
        found.append(at_most("changed decisions", flips, FLIPS[precision]))
    if precision in AUROC_CHANGE:
        # Without an image to measure on nothing can be promised: that is a refusal and not a pass.
        change = None if area is None else area.change
        found.append(_at_least("change of image AUROC", change, AUROC_CHANGE[precision]))
        if area and area.defects == "made":
            found.append(_at_least("rank correlation", ranks, RANK_CORRELATION))
    return tuple(found)


def refusal(certificate: Proof) -> EdgeFedError | None:
    """The error for the gates that a compiled model missed; None where all hold."""
    missed = [gate for gate in certificate.gates if not gate.passed]
    if not missed:
        return None
    kind = ParityError if any(gate.about == "parity" for gate in missed) else AccuracyError
    figures = "; ".join(_missed(gate) for gate in missed)
    return kind(f"{certificate.precision} on {certificate.backend} is not used: {figures}")


def at_most(name: str, value: float, bound: float) -> Gate:
    """A condition about parity."""
    return Gate(name=name, about="parity", value=value, bound=bound, passed=value <= bound)


def _at_least(name: str, value: float | None, bound: float) -> Gate:
    passed = value is not None and value >= bound - _ROUNDING
    return Gate(name=name, about="accuracy", value=value, bound=bound, passed=passed)


def _missed(gate: Gate) -> str:
    if gate.value is None:
        return f"{gate.name} cannot be measured, as no normal image was held out"
    side = "at least" if gate.about == "accuracy" else "at most"
    return f"{gate.name} is {gate.value:.3g}, {side} {gate.bound:g} is asked for"
