"""Float64 outputs of the official modules, reproduced to 1e-9 with weights by rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.hypersigma.attention import Sampling, SparseSamplingAttention, sampling_by
from models.hypersigma.sizes import Window
from models.hypersigma.spatial import SpatialViT
from models.hypersigma.spectral import SpectralViT
from tests.models.hypersigma.conftest import TINY, filled, wave

FORMS = pytest.mark.parametrize("form", ["table", "grid"])


@pytest.fixture(scope="module")
def golden(papers: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((papers / "golden.json").read_text())
    return content


def agrees(output: Tensor, expected: dict[str, Any]) -> None:
    flat = output.flatten()
    assert list(output.shape) == expected["shape"]
    assert float(flat.sum()) == pytest.approx(expected["sum"], abs=1e-9)
    assert float(flat.abs().sum()) == pytest.approx(expected["abssum"], abs=1e-9)
    assert flat[:8].tolist() == pytest.approx(expected["first8"], abs=1e-9)
    assert flat[-4:].tolist() == pytest.approx(expected["last4"], abs=1e-9)


@FORMS
def test_sampling_attention_gives_the_official_values(golden: dict[str, Any], form: Sampling) -> None:
    attention = filled(SparseSamplingAttention(24, 3, 4, (3, 5)))
    with torch.no_grad(), sampling_by(attention, form):
        agrees(attention(wave(2, 15, 24)), golden["ssa_dim24_h3_p4_grid3x5"])


@FORMS
def test_sampling_attention_gives_the_official_values_when_places_lie_outside(
    golden: dict[str, Any], form: Sampling
) -> None:
    attention = filled(SparseSamplingAttention(24, 3, 4, (3, 5)))
    with torch.no_grad(), sampling_by(attention, form):
        attention.get_parameter("sampling_offsets.weight").mul_(30)
        agrees(attention(wave(2, 15, 24)), golden["ssa_same_offsets_weight_x30"])


@FORMS
def test_spatial_branch_gives_the_official_values(golden: dict[str, Any], form: Sampling) -> None:
    necks = [nn.Conv2d(24, 128, 1, bias=False) for _ in range(4)]
    encoder = filled(SpatialViT(TINY, Window(5, 6, 10, patch=2), necks=necks))
    with torch.no_grad(), sampling_by(encoder, form):
        features = encoder(wave(2, 5, 6, 10))
    for feature, expected in zip(features, golden["spat_img6x10_p2_c5_d24_depth4_interval2"], strict=True):
        agrees(feature, expected)


@FORMS
def test_spectral_branch_gives_the_official_values(golden: dict[str, Any], form: Sampling) -> None:
    encoder = filled(SpectralViT(TINY, Window(7, 6, 6, patch=1), tokens=9, outputs={0: "l1", 1: "", 2: "", 3: ""}))
    with torch.no_grad(), sampling_by(encoder, form):
        outputs = encoder(wave(2, 7, 6, 6))
    for output, expected in zip(outputs, golden["spec_img6_tokens9_c7_d24_depth4_interval2"], strict=True):
        agrees(output, expected)
