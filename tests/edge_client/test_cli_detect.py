"""`edgefed client evaluate` and `infer` as a person types them, on a real model and real solar cells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_client.images import read_image

TRAINED = "edgefed: the trained model, with torch, judges\nedgefed: 6 held-out normal images can promise a "

Edgefed = Callable[..., "subprocess.CompletedProcess[str]"]


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def own_site(judging_site: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(judging_site, tmp_path / "own-site")


def test_infer_judges_every_image_and_names_the_unreadable_one(judging_site: Path, cells: Path, tmp_path: Path) -> None:
    images = shutil.copytree(cells / "test", tmp_path / "line")
    (images / "broken.png").write_bytes(b"\x89PNG")
    (images / "note.txt").write_text("not an image")
    maps = tmp_path / "maps"
    command = [sys.executable, "-W", "error", "-m", "edgefed", "client", "infer", images, "--state", judging_site]
    done = subprocess.run(
        [*command, "--heatmaps", maps, "--json"], capture_output=True, text=True, check=False,
        env={**os.environ, "EDGEFED_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(TRAINED)
    assert done.stderr.endswith("\nedgefed: 1 of 13 images cannot be read\n")
    judged = {Path(line["path"]).relative_to(images): line for line in lines(done)}
    assert "broken.png is not a PNG" in judged.pop(Path("broken.png"))["error"]
    assert len(judged) == 12
    for path, line in judged.items():
        assert line["verdict"] == ("defect" if line["score"] > line["threshold"] else "normal")
        assert line["milliseconds"] == pytest.approx(line["read_ms"] + line["score_ms"], abs=0.02)
        assert read_image(Path(line["heatmap"])).shape == (562, 524, 3), path
    good = [line["score"] for path, line in judged.items() if path.parts[0] == "good"]
    dark = [line["score"] for path, line in judged.items() if path.parts[0] == "dark"]
    assert sum(dark) / 6 > sum(good) / 6


def test_infer_takes_one_image_and_scores_it_as_in_the_folder(
    edgefed: Edgefed, judging_site: Path, cells: Path
) -> None:
    one = sorted((cells / "test" / "dark").iterdir())[0]
    folder = lines(edgefed("infer", one.parent, "--state", judging_site))
    done = edgefed("infer", one, "--state", judging_site)
    assert done.returncode == 0
    assert done.stderr.startswith(TRAINED)
    assert lines(done)[0]["score"] == folder[0]["score"]


def test_rate_is_kept_and_moves_the_threshold(edgefed: Edgefed, own_site: Path, cells: Path) -> None:
    image = sorted((cells / "test" / "good").iterdir())[0]
    first = lines(edgefed("infer", image, "--state", own_site))[0]
    model = (own_site / "models" / "cells" / "local.safetensors").read_bytes()
    moved = lines(edgefed("infer", image, "--state", own_site, "--false-reject-rate", 0.5))[0]
    again = lines(edgefed("infer", image, "--state", own_site))[0]
    assert moved["threshold"] == again["threshold"] < first["threshold"]
    assert moved["score"] == first["score"]
    assert (own_site / "models" / "cells" / "local.safetensors").read_bytes() == model


def test_evaluate_prints_one_document(edgefed: Edgefed, judging_site: Path) -> None:
    done = edgefed("evaluate", "--state", judging_site, "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["images"] == len(document["scores"]) == 12
    assert document["image_auroc"] > 0.9
    assert document["pixel_auroc"] is None
    assert document["threshold"]["normals"] == 6
    note = "6 held-out normal images can promise a false-reject rate of 14.3 %, not 1 %; "
    assert document["threshold_note"].startswith(note)
    assert document["false_reject_interval"] == pytest.approx([0.0042, 0.459], abs=1e-3)
    assert set(document["defects"]) == {"dark"}


def test_evaluate_prints_a_table(edgefed: Edgefed, judging_site: Path, cells: Path) -> None:
    done = edgefed("evaluate", "--state", judging_site, "--data", cells, "--job", "cells")
    assert done.returncode == 0
    assert "image AUROC" in done.stdout
    assert "dark" in done.stdout


def test_damaged_model_is_named(edgefed: Edgefed, own_site: Path, cells: Path) -> None:
    (own_site / "models" / "cells" / "global.safetensors").write_bytes(b"short")
    done = edgefed("infer", cells / "test", "--state", own_site)
    assert done.returncode == 10
    assert "models/cells cannot be used (global.safetensors is not a safetensors file" in done.stderr
    assert "run its job again" in done.stderr


def test_no_verdict_is_given_when_no_image_was_held_out(
    edgefed: Edgefed, own_site: Path, cells: Path, tmp_path: Path
) -> None:
    import numpy as np

    from protos.tensors import read_tensors, write_tensors

    local = own_site / "models" / "cells" / "local.safetensors"
    write_tensors(local, {**read_tensors(local), "calibration": np.empty(0, np.float32)})
    image = sorted((cells / "test" / "good").iterdir())[0]
    done = edgefed("infer", image, "--state", own_site, "--heatmaps", tmp_path / "maps")
    assert done.returncode == 0
    assert "no normal image was held out, so there is no threshold and no verdict" in done.stderr
    assert (lines(done)[0]["verdict"], lines(done)[0]["threshold"]) == (None, None)
    assert "heatmap" not in lines(done)[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("infer", "EMPTY", "--state", "SITE"), "no images in"),
        (("infer", "CELLS", "--state", "EMPTY"), "is not the state folder of a site"),
        (("infer", "CELLS", "--state", "SITE", "--job", "other"), "there is no model of 'other'"),
        (("infer", "CELLS", "--state", "SITE", "--job", "../x"), "is not a job name"),
        (("infer", "CELLS", "--state", "SITE", "--false-reject-rate", "1"), "lies between 0 and 1"),
        (("infer", "CELLS", "--state", "SITE", "--heatmaps", "CELLS"), "would mix with the images"),
        (("evaluate", "--state", "SITE", "--data", "EMPTY"), "no test images in"),
    ],
)
def test_misuse_is_told_in_one_line(
    edgefed: Edgefed, arguments: tuple[str, ...], words: str, judging_site: Path, cells: Path, tmp_path: Path
) -> None:
    places = {"SITE": judging_site, "CELLS": cells, "EMPTY": tmp_path}
    done = edgefed(*(places.get(argument, argument) for argument in arguments))
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
