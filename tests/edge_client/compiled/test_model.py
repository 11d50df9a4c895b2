"""A compiled model says what the trained one says, on real solar cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_client.compiled.model import CompiledModel, load_compiled
from edge_client.heatmap import Scale, draw_heatmap
from edge_client.images import read_image
from edge_client.inference import InstalledModel, load_model
from edge_client.judge import Judge
from protos.errors import StateError


@pytest.fixture(scope="module")
def trained(compiled_site: Path) -> InstalledModel:
    return load_model(compiled_site)


@pytest.fixture(scope="module")
def compiled(compiled_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> CompiledModel:
    return load_compiled(compiled_bundle, engines=tmp_path_factory.mktemp("engines"))


def picture(judge: Judge, path: Path) -> np.ndarray:
    found, calibration = judge.judge(path), judge.calibration()
    assert calibration is not None
    scale = Scale(calibration.calm, calibration.threshold.value)
    return np.asarray(draw_heatmap(found.image, found.score_map, found.score, scale)).astype(int)


def test_verdicts_scores_and_heat_maps_are_those_of_the_trained_model(
    trained: InstalledModel, compiled: CompiledModel, cells: Path
) -> None:
    cuts = [judge.calibration().threshold.value for judge in (trained, compiled)]
    assert cuts[1] == pytest.approx(cuts[0], rel=1e-3)
    for path in sorted((cells / "test").rglob("*.png")):
        theirs, ours = trained.judge(path), compiled.judge(path)
        assert ours.score == pytest.approx(theirs.score, rel=1e-3)
        assert (ours.score > cuts[1]) == (theirs.score > cuts[0]), path
        np.testing.assert_allclose(ours.map, theirs.map, atol=1e-3 * theirs.map.max())
        # Drawn, where a rounding may move a colour by a step and an outline by nothing.
        assert np.mean(np.abs(picture(compiled, path) - picture(trained, path)) > 3) < 1e-3


def test_images_of_several_sizes_are_judged_together(compiled: CompiledModel, cells: Path) -> None:
    images = [read_image(path) for path in sorted((cells / "test").rglob("*.png"))]
    images[1] = images[1][:50, :77]
    together = compiled.judge_images(images)
    assert len(together) == len(images) == 12
    for image, judgement in zip(images, together, strict=True):
        alone = compiled.judge_images([image])[0]
        assert judgement.score == pytest.approx(alone.score, rel=1e-5)
        np.testing.assert_allclose(judgement.map, alone.map, rtol=1e-4, atol=1e-5)


def test_it_says_what_it_is(compiled: CompiledModel) -> None:
    assert compiled.job == "cells"
    assert compiled.description == "the compiled model, fp32 on onnxruntime, CPUExecutionProvider"


def test_a_rate_moves_the_threshold_and_not_the_scores(compiled: CompiledModel) -> None:
    moved = CompiledModel(compiled.bundle, compiled.runner, rate=0.5)
    before, after = compiled.calibration(), moved.calibration()
    assert before is not None and after is not None
    assert after.threshold.value < before.threshold.value
    assert after.asked_rate == 0.5


def test_a_score_that_is_no_number_is_told_and_passes_no_part(compiled_bundle: Path, tmp_path: Path) -> None:
    model = load_compiled(compiled_bundle, engines=tmp_path)
    memory = model.bundle.bank
    weight, bias = memory.generator or (None, None)
    assert weight is not None and bias is not None
    object.__setattr__(memory, "generator", (np.full_like(weight, 3e38), bias))
    model.runner.swap(memory)
    with pytest.raises(StateError, match=r"cannot be used \(its scores are not finite\); compile it again"):
        model.judge_images([np.zeros((8, 8, 3), np.uint8)])
