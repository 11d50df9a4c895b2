"""The demo's fields: every labelled pixel in one place, and files that a site's agent reads."""

from pathlib import Path

import numpy as np
import pytest

from edge_client.config import data_at, site_toml
from edge_client.site_data import SiteReader
from edgefed.demo.hyperspectral.fields import CLASSES, FIELDS, draw, indian_pines, write_field
from edgefed.demo.hyperspectral.run import JOB
from models.hsi.splits import shared_windows
from protos.jobs import load_job

WINDOW = 10


@pytest.mark.parametrize("kind", ["disjoint", "random"])
@pytest.mark.parametrize("seed", range(3))
def test_no_test_pixel_trains_at_a_field(kind: str, seed: int) -> None:
    drawn = draw(kind, seed, WINDOW)
    tested = np.zeros(indian_pines().labels.shape, bool)
    tested[tuple(drawn.split.test.T)] = True
    assert not (drawn.whole.labels[tested] > 0).any()
    assert sum((field.labels > 0).sum() for field in drawn.fields.values()) == len(drawn.split.train)


@pytest.mark.parametrize("seed", range(3))
def test_no_window_of_a_disjoint_draw_is_on_both_sides(seed: int) -> None:
    drawn = draw("disjoint", seed, WINDOW)
    assert shared_windows(drawn.split, indian_pines().labels.shape) == 0


def test_the_fields_are_the_scene() -> None:
    fields = draw("random", 0, WINDOW).fields
    assert tuple(fields) == FIELDS
    north = np.concatenate([fields["field-nw"].cube, fields["field-ne"].cube], axis=1)
    south = np.concatenate([fields["field-sw"].cube, fields["field-se"].cube], axis=1)
    assert np.array_equal(np.concatenate([north, south]), indian_pines().cube)


def test_the_same_seed_gives_the_same_draw() -> None:
    digests = [draw(kind, seed, WINDOW).digest() for kind, seed in (("disjoint", 4), ("disjoint", 4), ("disjoint", 5))]
    assert digests[0] == digests[1] != digests[2]


def test_a_site_reads_what_was_written(tmp_path: Path) -> None:
    field = draw("random", 0, WINDOW).fields["field-ne"]
    (tmp_path / "site.toml").write_text(site_toml(data_at(*write_field(field, tmp_path / "data"))))
    (tmp_path / "job.toml").write_text(JOB)
    spec = load_job(tmp_path / "job.toml")
    (read,) = SiteReader().read(tmp_path, tmp_path / "job", spec, lambda stage, step, steps: None).scenes
    assert np.array_equal(read.cube, field.cube) and np.array_equal(read.labels, field.labels)
    assert read.class_names == CLASSES == tuple(spec.settings["classes"])
    assert spec.rounds.sites == FIELDS
