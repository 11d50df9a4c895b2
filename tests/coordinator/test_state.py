from __future__ import annotations

import stat
from pathlib import Path

import pytest

from coordinator.state import create_state, default_state, locked, may_remove, nothing_removed, open_state
from protos.durable import write_durably
from protos.errors import StateError


def test_state_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    state = create_state(tmp_path / "state")
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700
    assert open_state(state.root) == state


def test_state_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    root = create_state(tmp_path / "state").root
    (root / "version").write_text("3\n")
    for use in (create_state, open_state):
        with pytest.raises(StateError, match="version '3' and this software reads version 2"):
            use(root)
    assert (root / "version").read_text() == "3\n"


def test_state_of_an_earlier_version_is_used_after_a_start(tmp_path: Path) -> None:
    root = create_state(tmp_path / "state").root
    (root / "version").write_text("1\n")
    with pytest.raises(StateError, match="start the coordinator there once, which migrates it"):
        open_state(root)
    assert create_state(root).root == root


def test_nothing_is_removed_while_somebody_reads(tmp_path: Path) -> None:
    state = create_state(tmp_path / "state")
    with nothing_removed(state), nothing_removed(state), may_remove(state) as free:
        assert not free
    with may_remove(state) as free:
        assert free


def test_folder_with_other_files_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StateError, match="holds other files"):
        create_state(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_missing_state_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="edgefed coordinator start --state"):
        open_state(tmp_path / "nowhere")


def test_state_is_made_where_an_earlier_start_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "version.partial").write_text("")
    assert create_state(tmp_path).root == tmp_path


def test_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError, match="cannot be used"):
        create_state(tmp_path / "state")


def test_second_lock_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    state = create_state(tmp_path)
    with locked(state), pytest.raises(StateError, match="another coordinator is running"), locked(state):
        pass
    with locked(state):
        pass


def test_secret_file_is_never_readable_by_others(tmp_path: Path) -> None:
    write_durably(tmp_path / "key.pem", b"secret", mode=0o600)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_default_state_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert default_state() == Path("/var/state/edgefed/coordinator")
