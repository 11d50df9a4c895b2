"""Processes of a federation on one machine: started, found again, and ended, whatever happens in between."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgefed.local_federation import LocalFederation, end_leftovers
from protos.errors import EdgeFedError, Unavailable


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pid)


def test_processes_end_with_the_context_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), LocalFederation(tmp_path) as federation:
        federation.start_coordinator()
        pid = federation.pid("coordinator")
        assert federation.memory_bytes() > 20e6
        raise ZeroDivisionError
    assert not _alive(pid)


def test_next_run_ends_what_a_killed_one_left_behind(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from edgefed.local_federation import LocalFederation\n"
        "with LocalFederation(Path(sys.argv[1])) as federation:\n"
        "    federation.start_coordinator(); print(federation.pid('coordinator'), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        run.kill()
    assert _alive(pid)
    assert end_leftovers(tmp_path) == 1
    _wait_until_gone(pid)


def test_stranger_with_the_same_process_id_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text(json.dumps([os.getpid(), "no number", 1]))
    assert end_leftovers(tmp_path) == 0


def test_coordinator_that_cannot_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    with LocalFederation(tmp_path) as federation:
        federation.coordinator_state.mkdir(parents=True)
        (federation.coordinator_state / "something-else").touch()
        with pytest.raises(Unavailable, match=r"did not start: .*not a coordinator's state"):
            federation.start_coordinator()


def test_failed_command_says_what_it_said(tmp_path: Path) -> None:
    with LocalFederation(tmp_path) as federation:
        federation.start_coordinator()
        with pytest.raises(EdgeFedError, match=r"edgefed coordinator invite ended with 2: .*not a site name"):
            federation.join("Not A Name", None)
