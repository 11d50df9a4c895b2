"""The demo's page and document, from figures that a smaller run could have given."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefed.demo.hyperspectral.alternatives import Measured, measured_map
from edgefed.demo.hyperspectral.comparison import Comparison
from edgefed.demo.hyperspectral.fields import FIELDS, Kind, draw, indian_pines
from edgefed.demo.hyperspectral.figures import Figures
from edgefed.demo.hyperspectral.report import write_report
from edgefed.demo.hyperspectral.run import JOB, Outcome
from protos.jobs import load_job


def _figures(folder: Path, kind: Kind) -> Figures:
    (folder / "job.toml").write_text(f"seed = 3\n{JOB}")
    drawn = draw(kind, 3, 10)
    labels = indian_pines().labels
    perfect, blind = measured_map(drawn, np.maximum(labels, 1)), measured_map(drawn, np.ones_like(labels))
    local: dict[str, Measured] = dict.fromkeys(FIELDS, blind)
    own_draw = kind == "disjoint"
    comparison = Comparison(
        local, perfect, perfect, blind, (blind,) * (5 - own_draw), (blind,) * 5, perfect if own_draw else None, perfect
    )
    past = {
        "round": 1,
        "committed": list(FIELDS),
        "bytes_up": 4000,
        "bytes_down": 8000,
        "seconds": 0.5,
        "reason": "done",
    }
    rounds = [{**past, "metrics": {}}, {**past, "round": 2, "metrics": {"scope_spread": 0.004}}]
    ledgers = {site: {"entries": [{"bytes": 900}, {"bytes": 1000}]} for site in FIELDS}
    scopes = {"stem.weight": np.full((1, len(FIELDS)), 0.05)}
    outcome = Outcome({"history": rounds}, ledgers, np.maximum(labels, 1), scopes, 10**9)
    return Figures(drawn, load_job(folder / "job.toml"), outcome, perfect, comparison, 12.0, folder / "report.html")


@pytest.mark.parametrize("kind", ["disjoint", "random"])
def test_the_document_has_what_was_measured(tmp_path: Path, kind: Kind) -> None:
    document = json.loads(json.dumps(_figures(tmp_path, kind).as_json()))
    assert set(document["oa"]) == set(document["aa"]) == set(document["kappa"])
    assert document["oa"]["federated"] == 1.0 and document["oa"]["local_mean"] < 0.5
    assert document["split"] == kind and document["random_oa_federated"] == 1.0
    assert len(document["draws_oa_federated"]) == len(document["draws_oa_svm"]) == 5
    assert document["scope_spread"] == [0.004]
    assert (document["bytes_up_per_round"], document["bytes_down_per_round"]) == (1000, 2000)


@pytest.mark.parametrize("kind", ["disjoint", "random"])
def test_the_page_needs_nothing_but_itself(tmp_path: Path, kind: Kind) -> None:
    figures = _figures(tmp_path, kind)
    write_report(figures)
    page = figures.report.read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("data:image/png;base64,") == 3 + 2 + len(FIELDS)


def test_classes_without_test_pixels_have_no_share(tmp_path: Path) -> None:
    figures = _figures(tmp_path, "disjoint")
    missing = [name for name, share in figures.federated.accuracy.per_class.items() if share is None]
    assert missing
    write_report(replace(figures, report=tmp_path / "again.html"))
    assert "–" in (tmp_path / "again.html").read_text()
