import errno
import subprocess
import sys
from pathlib import Path

import pytest

from edge_client.state import SiteState, default_root, disk_errors, is_locked, locked, open_state, write_durably
from protos.errors import InvalidInput, StateError


@pytest.fixture
def state(tmp_path: Path) -> SiteState:
    (tmp_path / "version").write_text("1\n")
    return open_state(tmp_path)


def test_a_folder_without_a_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="run `edgefed client join"):
        open_state(tmp_path)


def test_a_folder_of_another_version_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("2\n")
    with pytest.raises(StateError, match="state version '2'"):
        open_state(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["version"]


def test_a_second_process_is_told_who_holds_the_folder(state: SiteState) -> None:
    code = (
        f"import pathlib; from edge_client.state import *\nwith locked(SiteState(pathlib.Path({str(state.root)!r}))):"
    )
    code += "\n  print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(state)
        with pytest.raises(StateError, match=f"process {holder.pid}"), locked(state):
            pass
        holder.stdin.write(b"\n")
    assert not is_locked(state)
    with locked(state):
        pass


def test_default_root_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib")
    assert default_root() == Path("/var/lib/edgefed/client")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", "/home/a")
    assert default_root() == Path("/home/a/.local/state/edgefed/client")


@pytest.mark.parametrize("job", ["../x", "", "a/b", "A", "a" * 64])
def test_a_job_name_that_is_unsafe_as_a_file_name_is_refused(state: SiteState, job: str) -> None:
    with pytest.raises(InvalidInput, match="not a job name"):
        state.job(job)


def test_write_durably_sets_the_mode_and_leaves_no_partial(tmp_path: Path) -> None:
    write_durably(tmp_path / "key", b"old", mode=0o600)
    write_durably(tmp_path / "key", b"new", mode=0o600)
    assert (tmp_path / "key").read_bytes() == b"new"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.iterdir())) == 1


def test_a_write_that_failed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()  # a file cannot take its place
    with pytest.raises(StateError, match="cannot be written"):
        write_durably(tmp_path / "key", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_folder_whose_lock_cannot_be_written_can_still_be_shown(state: SiteState) -> None:
    (state.root / "lock").mkdir()
    assert not is_locked(state)
    with pytest.raises(StateError, match="lock cannot be written"), locked(state):
        raise AssertionError


def test_a_full_disk_is_a_state_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no room left on the disk"), disk_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["version", "models/current"])
def test_a_small_file_that_is_no_text_is_told(state: SiteState, name: str) -> None:
    state.models.mkdir(exist_ok=True)
    (state.root / name).write_bytes(b"\xff\xfe")
    with pytest.raises((StateError, InvalidInput), match="�"):
        open_state(state.root).current_model()
