"""What a certificate says of two models' answers, on arrays that were made for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_client.compiled.runner import Bank, RawScores
from edge_client.prove.certificate import Certificate, Parity, Precision
from edge_client.prove.exhibit import Answers, Role
from edge_client.prove.gates import refusal
from edge_client.prove.parity import certify
from protos.errors import AccuracyError, ParityError

LABELLED: tuple[Role, ...] = (*["held-out normal"] * 20, *["test normal"] * 10, *["test defect"] * 10)
MADE: tuple[Role, ...] = (*["held-out normal"] * 20, *["made defect"] * 20)


@dataclass(frozen=True)
class Named:
    """The names of a runner; a certificate is made of arrays alone."""

    precision: Precision
    backend: str = "onnxruntime"
    device: str = "CPUExecutionProvider"

    def run(self, pixels: NDArray[np.uint8]) -> RawScores:
        raise AssertionError

    def swap(self, bank: Bank) -> None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


def answers(scores: Sequence[float] | NDArray[np.floating]) -> Answers:
    image = np.asarray(scores, np.float32)
    maps = image[:, None, None] * np.array([[0.2, 0.5], [0.9, 1.0]], np.float32)
    digests = tuple(sha256(str(number).encode()).hexdigest() for number in range(len(image)))
    return Answers(image, maps, RawScores(image[:1], maps[:1]), digests)


def certificate(compiled: Answers, precision: Precision, roles: tuple[Role, ...] = LABELLED) -> Certificate:
    return certify(TRAINED, compiled, roles, 0.05, against="the trained model", runner=Named(precision))


# Normals score from 1 to 2, defects from 1.85 to 3.
TRAINED = answers(np.concatenate([np.linspace(1, 2, 20), np.linspace(1.05, 1.95, 10), np.linspace(1.85, 3, 10)]))


def test_same_answers_pass_every_precision() -> None:
    for precision in ("fp32", "fp16", "int8"):
        found = certificate(TRAINED, precision)
        assert found.passed
        assert refusal(found) is None
        assert (found.score.max_absolute, found.map.max_relative, found.nonfinite) == (0, 0, 0)
        assert found.rank_correlation == pytest.approx(1)
        assert found.decisions is not None
        assert found.decisions.flips == 0
        assert (found.images, found.distinct) == ({"held-out normal": 20, "test defect": 10, "test normal": 10}, 40)


def test_differences_are_told_absolutely_and_relatively() -> None:
    found = certificate(answers(TRAINED.scores * np.float32(1.005)), "fp16")
    assert found.score.max_absolute == pytest.approx(0.015, rel=1e-3)
    assert found.score.max_relative == pytest.approx(0.005, rel=1e-3)
    # Of a map the difference counts relative to its highest value.
    assert found.map.max_relative == pytest.approx(0.005, rel=1e-3)
    assert found.map.cosine == pytest.approx(1)
    assert found.passed


def test_fp32_that_differs_by_more_than_a_thousandth_is_refused() -> None:
    error = refusal(certificate(answers(TRAINED.scores * np.float32(1.002)), "fp32"))
    assert isinstance(error, ParityError)
    assert str(error) == "fp32 on onnxruntime is not used: relative difference is 0.002, at most 0.001 is asked for"
    assert error.exit_code == 5


def test_decision_that_changes_is_a_refusal_at_fp32_and_its_distance_is_told() -> None:
    scores = TRAINED.scores.copy()
    near = int(np.argmin(np.abs(scores[20:] - 2))) + 20  # the image nearest to the threshold, which is 2
    scores[near] = 2.0005 if scores[near] <= 2 else 1.9995
    found = certificate(answers(scores), "fp32")
    assert found.decisions is not None
    assert found.decisions.flips == 1
    assert found.decisions.flip_distances == (pytest.approx(abs(float(TRAINED.scores[near]) / 2 - 1), abs=1e-6),)
    assert isinstance(refusal(found), ParityError)


def test_scores_that_shift_together_change_no_decision_because_the_threshold_moves_too() -> None:
    found = certificate(answers(TRAINED.scores + np.float32(0.3)), "int8")
    assert found.decisions is not None
    assert found.decisions.flips == 0
    assert found.decisions.compiled_threshold == pytest.approx(found.decisions.reference_threshold + 0.3)
    assert found.passed


def test_int8_that_tells_less_apart_is_refused() -> None:
    scores = TRAINED.scores.copy()
    scores[30:] -= 0.3
    error = refusal(certificate(answers(scores), "int8"))
    assert isinstance(error, AccuracyError)
    assert "change of image AUROC is -0." in str(error)
    assert error.exit_code == 6


def test_made_defects_take_the_place_of_labelled_ones() -> None:
    trained = answers(TRAINED.scores)
    found = certify(trained, trained, MADE, 0.05, against="the trained model", runner=Named("int8"))
    assert found.area is not None
    assert found.area.defects == "made"
    assert found.note.startswith("only 20 real images were there, 32 are wanted; the site has no labelled images")


def test_made_defects_that_are_too_easy_do_not_hide_a_spoilt_graph() -> None:
    trained = answers(np.concatenate([np.linspace(1, 2, 20), np.linspace(5, 6, 20)]))
    spoilt = answers(np.concatenate([np.linspace(2, 1, 20), np.linspace(5, 6, 20)]))
    found = certify(trained, spoilt, MADE, 0.05, against="the trained model", runner=Named("int8"))
    assert found.area is not None
    assert found.area.change == 0
    error = refusal(found)
    assert isinstance(error, AccuracyError)
    assert "rank correlation is 0.75, at least 0.98 is asked for" in str(error)


def test_int8_is_refused_when_nothing_can_be_told_apart() -> None:
    roles: tuple[Role, ...] = ("training normal",) * 40
    found = certificate(TRAINED, "int8", roles)
    assert isinstance(refusal(found), AccuracyError)
    assert "no normal image was held out" in str(refusal(found))
    assert certificate(TRAINED, "fp32", roles).passed


def test_nan_is_counted_and_refused() -> None:
    scores = TRAINED.scores.copy()
    scores[3] = np.nan
    found = certificate(answers(scores), "int8")
    assert found.nonfinite == 5  # one score, four patches
    assert isinstance(refusal(found), ParityError)
    assert Certificate.model_validate_json(found.model_dump_json()) == found


def test_two_models_that_saw_other_images_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same images"):
        certificate(replace(TRAINED, digests=TRAINED.digests[::-1]), "fp32")


def test_file_reads_back_as_it_was_and_takes_nothing_more() -> None:
    parity = Parity(precision="fp32", certificates=(certificate(TRAINED, "fp32"),), kept_in_float={"a": "b"})
    text = parity.model_dump_json()
    assert Parity.model_validate_json(text) == parity
    with pytest.raises(ValueError, match="extra"):
        Parity.model_validate_json(text[:-1] + ',"more":1}')
