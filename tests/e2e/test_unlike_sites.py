"""A job of weights with sites that differ: in classes, in their order, in cameras; and two that cannot take part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_client.cubes.geotiff import read_tiff_plane
from edgefed.local_federation import LocalFederation

CLASSES = ("soil", "water", "corn")
WAVELENGTHS = np.arange(500.0, 660, 10)
FINE = np.arange(495.0, 666, 5)
JOB = f"""
name = "fields"
method = "wsa"
[rounds]
count = 4
gather_s = 3600
sites = ["camera", "few", "foreign", "mute", "order"]
quorum = 3
[wsa]
classes = {json.dumps(CLASSES)}
network = "spectral-mlp"
bands = {{ components = 5, wavelengths = {WAVELENGTHS.tolist()} }}
training = {{ learning_rate = 0.01, steps = 60 }}
"""
SITE = """
[data]
cube = "cube.npz"
labels = "cube.npz"
label_variable = "gt"
[egress]
allow = ["weights"]
max_bytes = 1_000_000
"""


def scene(seed: int, wavelengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fields of three classes; their spectra are curves, so that any camera can see them."""
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.permutation(np.arange(20) % 4).reshape(4, 5), np.ones((4, 4))).astype(np.int16)
    phase = np.array([0.0, 0.8, 2.0, 3.1])[labels]
    curves = 30_000 + 20_000 * np.sin(wavelengths / 40 + phase[..., None])
    return (curves + rng.integers(-900, 900, curves.shape)).astype(np.uint16), labels


def write_site(folder: Path, seed: int, classes: tuple[str, ...], wavelengths: np.ndarray, *, say: bool = True) -> None:
    """A site's cube; the numbers of its labels follow its own list of classes."""
    cube, labels = scene(seed, wavelengths)
    numbers = [0, *(1 + classes.index(name) if name in classes else 0 for name in CLASSES)]
    more = {"wavelengths": wavelengths} if say else {}
    np.savez(folder / "cube.npz", cube=cube, gt=np.array(numbers, np.int16)[labels], class_names=classes, **more)
    (folder / "site.toml").write_text(SITE)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalFederation, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("unlike")
    (folder / "job.toml").write_text(JOB)
    sites = {
        "camera": (CLASSES, FINE, True),
        "few": (("soil", "corn"), WAVELENGTHS, True),
        "foreign": (("soil", "water", "corn", "oats"), WAVELENGTHS, True),
        "mute": (CLASSES, WAVELENGTHS, False),
        "order": (("Corn", "WATER", "soil"), WAVELENGTHS, True),
    }
    with LocalFederation(folder / "run", environment={"EDGEFED_THREADS": "1"}) as federation:
        federation.start_coordinator()
        for seed, (site, (classes, wavelengths, say)) in enumerate(sites.items()):
            federation.join(site, None)
            write_site(federation.site_state(site), seed, classes, wavelengths, say=say)
        with np.load(federation.site_state("foreign") / "cube.npz") as kept:
            arrays = dict(kept)
        arrays["gt"][:2, :2] = 4
        np.savez(federation.site_state("foreign") / "cube.npz", **arrays)
        for site in sites:
            federation.run_site(site)
        yield federation, federation.job("watch", federation.submit(folder / "job.toml"))


def test_sites_that_cannot_take_part_are_refused_by_name_and_the_others_go_on(
    finished: tuple[LocalFederation, dict[str, Any]],
) -> None:
    federation, status = finished
    assert status["phase"] == "finished", status["reason"]
    shown = json.dumps(federation.job("show", "fields"))
    assert "the site has labels of oats, which is no class of the job (soil, water, corn)" in shown
    assert "the job is for 16 wavelengths and nothing says which this scene's 16 bands have" in shown
    standings = {site: federation.client(site, "status")["jobs"][0] for site in ("foreign", "mute", "camera")}
    assert [standings[site]["state"] for site in ("foreign", "mute", "camera")] == ["declined", "declined", "installed"]
    assert "oats" in standings["foreign"]["reason"]


def test_every_site_maps_its_scene_with_the_classes_of_the_job(
    finished: tuple[LocalFederation, dict[str, Any]], tmp_path: Path
) -> None:
    federation, _ = finished
    truths = {"camera": scene(0, FINE)[1], "few": scene(1, WAVELENGTHS)[1], "order": scene(4, WAVELENGTHS)[1]}
    for site, truth in truths.items():
        cube = federation.site_state(site) / "cube.npz"
        line = federation.client_lines(site, "infer", str(cube), "--maps", str(tmp_path / site))[0]
        plane, names = read_tiff_plane(Path(line["maps"]["geotiff"]))
        assert names == CLASSES
        # "few" has no label of water: what it finds there it has from the others.
        for number, name in enumerate(CLASSES, start=1):
            assert (plane[truth == number] == number).mean() > 0.9, (site, name)


def test_an_installed_model_is_evaluated_on_labels_of_another_order(
    finished: tuple[LocalFederation, dict[str, Any]],
) -> None:
    federation, _ = finished
    cube = str(federation.site_state("order") / "cube.npz")
    found = federation.client("order", "evaluate", cube, "--labels", cube)
    assert found["accuracy"]["oa"] > 0.9 and found["sharing_windows"] == found["test_pixels"]
