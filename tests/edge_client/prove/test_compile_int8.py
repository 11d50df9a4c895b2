"""`edgefed client compile --precision int8` as typed: the bundle that comes of it runs in int8 and says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from edge_client.bundle.bundle import open_bundle
from edge_client.prove.certificate import Parity


def test_int8_bundle_is_proven_and_judges(
    edgefed: Callable[..., CompletedProcess[str]], compiled_site: Path, cells: Path, tmp_path: Path
) -> None:
    site = Path(shutil.copytree(compiled_site, tmp_path / "site"))
    done = edgefed("compile", "--precision", "int8", "--state", site, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "held-out normal images can promise" in told["threshold_note"]
    bundle = open_bundle(Path(told["bundle"]))
    parity = Parity.model_validate_json(bundle.files["parity.json"])
    assert (bundle.manifest.precision, parity.precision) == ("int8", "int8")
    fp32, int8 = parity.certificates
    assert fp32.reference == int8.reference == "trained model in torch"
    assert fp32.score.max_relative < 1e-3 < int8.score.max_relative
    assert parity.kept_in_float
    # The threshold is that of the int8 scores.
    assert int8.decisions is not None
    assert int8.decisions.compiled_threshold in bundle.calibration.normal_scores
    judged = edgefed("infer", cells / "test" / "dark", "--state", site)
    assert judged.returncode == 0
    assert "int8 on onnxruntime" in judged.stderr
    assert len(judged.stdout.splitlines()) == 6
