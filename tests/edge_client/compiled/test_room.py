"""Memory that distances would take, against what a machine says is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_client.compiled.room import free_bytes, images_that_fit
from protos.errors import EngineError


def test_images_are_scored_together_as_far_as_half_of_the_memory_goes() -> None:
    assert images_that_fit(784, 512, free=4 * 784 * 512 * 16) == 8
    assert images_that_fit(784, 512, free=4 * 784 * 512) == 1


def test_the_largest_settings_are_refused_with_their_bytes() -> None:
    with pytest.raises(EngineError, match="take 17179869184 bytes and this machine has 8589934592 free: lower rows"):
        images_that_fit(256 * 256, 65_536, free=8 << 30)


def system(root: Path, *, limit: str) -> Path:
    group = root / "sys/fs/cgroup/edge.slice/serve.service"
    group.mkdir(parents=True)
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal:  8000 kB\nMemAvailable:  4000 kB\n")
    (root / "proc/self/cgroup").write_text("0::/edge.slice/serve.service\n")
    for name, text in (("memory.max", limit), ("memory.current", "3000"), ("memory.stat", "anon 1\ninactive_file 500")):
        (group / name).write_text(f"{text}\n")
    return root


def test_what_is_free_is_the_machines_or_the_groups_whichever_is_less(tmp_path: Path) -> None:
    assert free_bytes(system(tmp_path / "bounded", limit="10000")) == 7500
    assert free_bytes(system(tmp_path / "open", limit="max")) == 4000 << 10
    assert free_bytes(tmp_path / "nowhere") > 1 << 60
