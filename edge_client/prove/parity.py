"""Holds what a compiled model says of an exhibit against what the trained one says: a value from arrays alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_client.compiled.runner import Runner
from edge_client.prove.certificate import Area, Certificate, Decisions, Precision
from edge_client.prove.difference import map_difference, rank_correlation, score_difference
from edge_client.prove.exhibit import Answers, Role
from edge_client.prove.gates import gates
from models.metrics import auroc
from models.threshold import threshold

FEWEST_IMAGES = 32

# A score so near to the threshold, relatively, is at it: sums in float32 differ as much between batches of one model.
_TIE = 1e-6


def certify(
    reference: Answers, compiled: Answers, roles: Sequence[Role], rate: float, *, against: str, runner: Runner
) -> Certificate:
    """The certificate of a compiled model.

    Args:
        reference: what the trained model says.
        compiled: what the compiled one says of the same images.
        roles: (n,) of the images.
        rate: false-reject rate that both thresholds are derived at.
        against: what gave `reference`, for the reader.
        runner: what gave `compiled`; only its names are used.

    Raises:
        ValueError: the two did not see the same images.
    """
    if reference.digests != compiled.digests or len(roles) != len(compiled.digests):
        raise ValueError("a compiled model is held against the trained one on the same images")
    precision: Precision = runner.precision  # type: ignore[assignment]  # a runner's precision is one of these
    finite = np.isfinite(reference.scores) & np.isfinite(compiled.scores)
    chosen = np.array(roles)
    area = _area(reference.scores, compiled.scores, chosen, finite)
    decisions = _decisions(reference.scores, compiled.scores, chosen, finite, rate)
    differences = {
        "score": score_difference(reference.scores, compiled.scores),
        "map": map_difference(reference.maps, compiled.maps),
        "golden_score": score_difference(reference.golden.image, compiled.golden.image),
        "golden_map": map_difference(reference.golden.map, compiled.golden.map),
    }
    relative = max(found.max_relative for found in differences.values())
    nonfinite = _nonfinite(compiled)
    ranks = rank_correlation(reference.scores[finite], compiled.scores[finite])
    flips = decisions.flips if decisions else None
    return Certificate(
        reference=against, backend=runner.backend, device=runner.device, precision=precision,
        images=dict(sorted(Counter(roles).items())), distinct=len(set(compiled.digests)),
        digest=sha256("".join(compiled.digests).encode()).hexdigest(), nonfinite=nonfinite, **differences,
        rank_correlation=ranks,
        area=area, decisions=decisions,
        gates=gates(precision, relative, flips, area, ranks, nonfinite),
        note=_note(chosen, area, decisions),
    )  # fmt: skip


def _area(
    reference: NDArray[np.float32], compiled: NDArray[np.float32], roles: NDArray[np.str_], finite: NDArray[np.bool_]
) -> Area | None:
    """On the site's own labelled images where it has both kinds, or else on held-out normals and made defects."""
    tested = np.isin(roles, ("test normal", "test defect")) & finite
    made = np.isin(roles, ("held-out normal", "made defect")) & finite
    defective = np.isin(roles, ("test defect", "made defect"))
    kinds: tuple[tuple[Literal["test", "made"], NDArray[np.bool_]], ...] = (("test", tested), ("made", made))
    for kind, chosen in kinds:
        truth = defective[chosen]
        if truth.any() and not truth.all():
            before, after = (auroc(scores[chosen], truth) for scores in (reference, compiled))
            return Area(defects=kind, images=int(chosen.sum()), reference=before, compiled=after)
    return None


def _decisions(
    reference: NDArray[np.float32],
    compiled: NDArray[np.float32],
    roles: NDArray[np.str_],
    finite: NDArray[np.bool_],
    rate: float,
) -> Decisions | None:
    held = (roles == "held-out normal") & finite
    if not held.any():
        return None
    cuts = [threshold(scores[held], rate).value for scores in (reference, compiled)]
    distances = np.abs(reference - cuts[0]) / max(abs(cuts[0]), 1e-12)
    first, second = (scores > cut * (1 + _TIE) for scores, cut in zip((reference, compiled), cuts, strict=True))
    flipped = (first != second) & finite
    tested = roles == "test normal"
    return Decisions(
        false_reject_rate=rate, reference_threshold=cuts[0], compiled_threshold=cuts[1],
        flips=int(flipped.sum()), flip_distances=tuple(sorted(float(one) for one in distances[flipped])),
        test_normals=int(tested.sum()), reference_rejects=int(first[tested].sum()),
        compiled_rejects=int(second[tested].sum()),
    )  # fmt: skip


def _nonfinite(answers: Answers) -> int:
    arrays = (answers.scores, answers.maps, answers.golden.image, answers.golden.map)
    return sum(int(array.size - np.isfinite(array).sum()) for array in arrays)


def _note(roles: NDArray[np.str_], area: Area | None, decisions: Decisions | None) -> str:
    told = []
    real = int((roles != "made defect").sum())
    if real < FEWEST_IMAGES:
        told.append(f"only {real} real images were there, {FEWEST_IMAGES} are wanted")
    if area and area.defects == "made":
        told.append(
            "the site has no labelled images: AUROC is on held-out normals against the same with false pieces in them, "
            "which tells whether the precision costs sensitivity and not how well real defects are found"
        )
    if decisions is None:
        told.append("no normal image was held out: there is no threshold and no decision to compare")
    return "; ".join(told)
