"""A folder that images come into: complete ones are judged once, whatever ends the server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_client.images import read_image
from edge_client.serve import watched_folder
from edge_client.serve.journal import FILE, Journal, Seen
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Service
from edge_client.serve.verdict import Verdict
from edge_client.serve.watched_folder import WatchedFolder
from protos.errors import InvalidInput, StateError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_folder, "LOOK_EVERY_S", 0.05)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "in").mkdir()
    return tmp_path / "in", tmp_path / "out"


@pytest.fixture
def watch(service: Service, metrics: Metrics, folders: tuple[Path, Path]) -> Callable[..., Any]:
    async def watch(until: Callable[[], object]) -> None:
        """Runs a server of its own until something holds."""
        stop = asyncio.Event()
        running = asyncio.create_task(WatchedFolder(*folders, service, metrics).run(stop))
        async with asyncio.timeout(20):
            while not until():
                assert not running.done() or running.result()
                await asyncio.sleep(0.02)
        stop.set()
        await running

    return watch


def looks(count: int) -> Callable[[], bool]:
    """Holds after a while in which a folder was looked at often."""
    left = [count * 5]

    def over() -> bool:
        left[0] -= 1
        return left[0] < 0

    return over


async def test_every_image_gets_its_result_and_picture(
    watch: Any, folders: tuple[Path, Path], cell: Path, cells: Path
) -> None:
    watched, results = folders
    (watched / "monday").mkdir()
    shutil.copy(cell, watched / "monday" / "a.png")
    shutil.copy(min((cells / "test" / "good").iterdir()), watched / "a.png")
    Image.fromarray(read_image(cell)).save(watched / "a.bmp")
    await watch((results / "monday" / "a.png.json").exists)
    found = {str(path.relative_to(results)): json.loads(path.read_text()) for path in results.rglob("*.json")}
    assert found["monday/a.png.json"]["verdict"] == found["a.bmp.json"]["verdict"] == "defect"
    assert found["a.png.json"]["path"] == str(watched / "a.png")
    assert read_image(results / "a.png.heatmap.png").shape[1] > 400
    assert not list(results.rglob("*.partial"))


async def test_a_file_that_grows_is_not_judged_before_it_is_whole(
    watch: Any, folders: tuple[Path, Path], cell: Path, told: list[Verdict]
) -> None:
    watched, results = folders
    data, part = cell.read_bytes(), [0]

    def camera_writes() -> bool:
        with (watched / "a.png").open("ab") as file:
            file.write(data[part[0] : part[0] + len(data) // 40])
        part[0] += len(data) // 40
        return part[0] >= len(data)

    await watch(camera_writes)
    assert not told or part[0] >= len(data)
    await watch((results / "a.png.json").exists)
    assert json.loads((results / "a.png.json").read_text())["verdict"] == "defect"
    assert len(told) == 1


async def test_a_restart_judges_nothing_twice_and_misses_nothing(
    watch: Any, folders: tuple[Path, Path], cell: Path, told: list[Verdict]
) -> None:
    watched, results = folders
    shutil.copy(cell, watched / "a.png")
    await watch((results / "a.png.json").exists)
    (results / "a.png.json").unlink()  # somebody takes results away
    shutil.copy(cell, watched / "b.png")
    await watch((results / "b.png.json").exists)
    await watch(looks(5))
    assert len(told) == 2 and not (results / "a.png.json").exists()


async def test_a_result_without_its_line_in_the_journal_counts(
    watch: Any, folders: tuple[Path, Path], cell: Path, told: list[Verdict]
) -> None:
    """As a power cut between the two leaves it."""
    watched, results = folders
    shutil.copy(cell, watched / "a.png")
    await watch((results / "a.png.json").exists)
    (results / FILE).unlink()
    await watch(looks(5))
    assert len(told) == 1
    (results / "a.png.json").unlink()
    await watch(looks(5))
    assert len(told) == 1  # the journal has it again


async def test_another_image_under_an_old_name_is_judged(
    watch: Any, folders: tuple[Path, Path], cell: Path, cells: Path, told: list[Verdict]
) -> None:
    watched, results = folders
    shutil.copy(cell, watched / "a.png")
    await watch((results / "a.png.json").exists)
    shutil.copy(min((cells / "test" / "good").iterdir()), watched / "a.png")
    await watch(lambda: len(told) == 2)


async def test_a_name_that_is_no_text_is_judged_once(
    watch: Any, folders: tuple[Path, Path], cell: Path, told: list[Verdict]
) -> None:
    shutil.copy(cell, os.fsencode(folders[0]) + b"/caf\xe9.png")
    await watch(lambda: told)
    await watch(looks(5))
    assert len(told) == 1


async def test_an_image_that_the_model_fails_on_is_tried_again_and_holds_up_no_other(
    watch: Any, folders: tuple[Path, Path], cell: Path, told: list[Verdict], service: Service
) -> None:
    watched, results = folders
    runner = service.serving.model.runner
    bank = service.serving.model.bundle.bank
    shutil.copy(cell, watched / "a.png")
    shutil.copy(cell, watched / "b.png")
    runner.swap(type(bank)(bank.rows * np.float32(np.nan), bank.scales, bank.generator))
    await watch(looks(5))
    assert not told and not list(results.glob("*.json"))
    runner.swap(bank)
    await watch(lambda: (results / "a.png.json").exists() and (results / "b.png.json").exists())


async def test_what_cannot_be_read_gets_a_result_with_its_error_once(
    watch: Any, folders: tuple[Path, Path], metrics: Metrics
) -> None:
    watched, results = folders
    (watched / "a.png").write_bytes(b"no image")
    (watched / "notes.txt").write_text("no image by its name")
    (watched / "gone.png").symlink_to(watched / "nowhere.png")
    await watch((results / "a.png.json").exists)
    await watch(looks(3))
    assert "is not a PNG" in json.loads((results / "a.png.json").read_text())["error"]
    assert len(list(results.glob("*.json"))) == 1
    assert 'edgefed_requests_total{entrance="folder",outcome="error"} 1.0' in metrics.text().decode()


async def test_a_folder_that_is_away_for_a_while_loses_nothing(
    watch: Any, folders: tuple[Path, Path], cell: Path, told: list[Verdict]
) -> None:
    watched, results = folders
    shutil.copy(cell, watched / "a.png")
    away = watched.with_name("away")
    steps = iter(
        [(results / "a.png.json").exists, lambda: watched.rename(away), looks(5), lambda: away.rename(watched)]
    )
    current = [next(steps)]

    def scene() -> bool:
        if current[0]():
            current[0] = next(steps, None)  # type: ignore[call-overload]
        return current[0] is None

    await watch(scene)
    shutil.copy(cell, watched / "b.png")
    await watch((results / "b.png.json").exists)
    assert len(told) == 2


def test_folders_that_cannot_serve_are_refused(service: Service, metrics: Metrics, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is not a folder"):
        WatchedFolder(tmp_path / "nowhere", tmp_path / "out", service, metrics)
    with pytest.raises(InvalidInput, match="would be judged again"):
        WatchedFolder(tmp_path, tmp_path / "out", service, metrics)
    (tmp_path / "in").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="cannot be made"):
        WatchedFolder(tmp_path / "in", tmp_path / "file" / "out", service, metrics)


def test_a_journal_is_for_one_process_and_damage_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.note("a", Seen(1, 2))
    assert journal.holds("a", Seen(1, 2)) and not journal.holds("a", Seen(1, 3))
    with pytest.raises(StateError, match="another server"):
        Journal(tmp_path)
    journal.close()
    (tmp_path / FILE).write_bytes(os.urandom(5000))
    with pytest.raises(StateError, match="cannot be used"):
        Journal(tmp_path)
