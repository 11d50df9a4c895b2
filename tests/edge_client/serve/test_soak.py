"""A slice of the soak: a real server under load, swapped and killed. The long one is `python -m benchmarks.soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import memory_spread, soak
from benchmarks.soak_clients import Picture, Tally
from benchmarks.soak_line import Plan
from edge_client.bundle.files import read_files
from edge_client.bundle.writing import write_bundle, write_tar
from edge_client.images import read_image


@pytest.fixture
def bundles(compiled_bundle: Path, other_memory: dict[str, bytes], tmp_path: Path) -> list[Path]:
    """Two models as tar files."""
    write_bundle(tmp_path / "other", other_memory)
    tars = [tmp_path / "1.tar", tmp_path / "2.tar"]
    for tar, folder in zip(tars, (compiled_bundle, tmp_path / "other"), strict=True):
        write_tar(tar, read_files(folder))
    return tars


@pytest.fixture
def images(cells: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((cells / "test").rglob("*.png"))]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFED_THREADS", "1")


def test_under_load_and_a_swap_every_verdict_is_the_models_and_in_order(
    bundles: list[Path], images: list[bytes], tmp_path: Path
) -> None:
    found = soak(Plan(frames=150, cameras=2, clients=1, swaps=1), tmp_path, bundles, images)
    assert set(found["faults"]) <= {"memory is not flat"}  # 150 frames are too few to warm up
    assert found["judged"] >= 150 and found["changes"] == 3


def test_a_server_that_is_killed_and_comes_back_gives_errors_and_no_wrong_verdict(
    bundles: list[Path], images: list[bytes], tmp_path: Path
) -> None:
    found = soak(Plan(frames=150, cameras=2, clients=1, swaps=0, kills=1), tmp_path, bundles, images)
    assert found["faults"] == []
    assert found["unanswered"] > 0 and found["judged"] >= 150


def test_a_wrong_verdict_or_score_or_order_is_counted(images: list[bytes], cells: Path) -> None:
    pixels = read_image(min((cells / "test" / "good").iterdir()))
    picture, tally = Picture(images[0], pixels, {"a": (1.0, "normal"), "b": (2.0, "defect")}), Tally("camera")
    right = {"model_digest": "a", "score": 1.000001, "verdict": "normal"}
    for answer in (right, {**right, "verdict": "defect"}, {**right, "score": 1.1}, {**right, "model_digest": "b"}):
        tally.take(picture, answer)
    tally.take(picture, {"error": "failed"})
    assert (tally.judged, tally.wrong, tally.refused, tally.changes) == (4, 3, 1, 1)


def test_memory_is_compared_after_it_has_warmed_up() -> None:
    growing = [(frames, 100.0 + frames) for frames in range(0, 101, 5)]
    assert memory_spread(growing) == pytest.approx(193.75 / 112.5, rel=0.05)
    assert memory_spread([(0, 1.0), (5, 50.0), *((frames, 100.0) for frames in range(10, 101))]) == 1
    assert memory_spread([]) is None
