"""The commands, in this process where they only look at the state, and against a real coordinator."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coordinator.address import parse_address
from coordinator.cli import app, duration_s
from coordinator.job_cli import job_app
from coordinator.server import serve
from coordinator.state import create_state
from protos.errors import EdgeFedError, InvalidInput, StateError, Unavailable
from protos.invitation import decode_token

RUNNER = CliRunner()


def run(application, *arguments: str) -> str:
    result = RUNNER.invoke(application, [str(argument) for argument in arguments])
    if result.exception is not None and isinstance(result.exception, EdgeFedError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


JOB = """
name = "{name}"
method = "fedavg"
[rounds]
count = 1
gather_s = 0.2
"""


@pytest.fixture
def state(coordinator) -> str:
    return str(coordinator.state)


def test_invite_prints_the_one_line_to_paste(coordinator, state: str) -> None:
    line = run(app, "invite", "plant-a", "--state", state)
    words = line.split()
    assert words[:-1] == ["edgefed", "client", "join", "--coordinator", coordinator.address, "--token"]
    assert decode_token(words[-1]).site == "plant-a"


def test_invite_as_json_says_when_it_expires(state: str) -> None:
    document = json.loads(run(app, "invite", "plant-b", "--state", state, "--expires-in", "30m", "--json"))
    assert decode_token(document["token"]).expires == document["expires"]
    assert document["site"] == "plant-b"


def test_invitation_of_an_impossible_name_is_refused(state: str) -> None:
    with pytest.raises(InvalidInput, match="is not a site name"):
        run(app, "invite", "Plant A", "--state", state)


def test_commands_on_a_folder_without_state_say_what_to_do(tmp_path: Path) -> None:
    for command in (("invite", "plant-a"), ("sites",), ("revoke", "plant-a")):
        with pytest.raises(StateError, match="start the coordinator there once"):
            run(app, *command, "--state", tmp_path)


def test_state_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("99\n")
    with pytest.raises(StateError, match="is a state of version '99'"):
        run(app, "start", "--state", tmp_path, "--listen", "127.0.0.1:0")


def test_second_coordinator_on_a_state_is_refused(state: str) -> None:
    with pytest.raises(StateError, match="another coordinator is running"):
        run(app, "start", "--state", state, "--listen", "127.0.0.1:0")


def test_port_in_use_is_told(coordinator, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="Address already in use; choose another --listen"):
        serve(tmp_path / "other", parse_address(coordinator.address), print)


def test_address_of_another_machine_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"cannot listen on 192\.0\.2\.1:7443"):
        serve(tmp_path / "other", parse_address("192.0.2.1:7443"), print)


def test_unreachable_coordinator_is_told(coordinator, state: str) -> None:
    coordinator.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        run(job_app, "list", "--state", state)
    coordinator.start()


def test_job_is_submitted_listed_and_shown(coordinator, state: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no site is enrolled"):
        submit(state, tmp_path, "early")


def submit(state: str, folder: Path, name: str) -> dict[str, object]:
    (folder / "job.toml").write_text(JOB.format(name=name))
    return json.loads(run(job_app, "submit", folder / "job.toml", "--state", state, "--json"))


async def test_job_commands_follow_a_job_to_its_end(plant, state: str, tmp_path: Path, cli) -> None:
    await plant("cli-a")
    document = submit(state, tmp_path, "lonely")
    assert (document["phase"], [site["site"] for site in document["sites"]]) == ("gathering", ["cli-a"])
    watched = cli("watch", "lonely", "--state", state, "--json", module="job_cli", app="job_app")
    assert watched.returncode == 9
    assert json.loads(watched.stdout)["reason"].startswith("0 of 1 site joined")
    assert "lonely" in run(job_app, "list", "--state", state)
    assert "did not join" in " ".join(run(job_app, "show", "lonely", "--state", state).split())
    assert json.loads(run(job_app, "show", "lonely", "--state", state, "--json"))["spec"]["method"] == "fedavg"
    assert json.loads(run(job_app, "report", "lonely", "--state", state, "--json"))["history"] == []
    assert "failed" in run(job_app, "cancel", "lonely", "--state", state)
    assert "cli-a" in run(app, "sites", "--state", state)
    run(app, "revoke", "cli-a", "--state", state)
    assert json.loads(run(app, "sites", "--state", state, "--json"))["sites"][0]["revoked"] is True


def test_faulty_job_file_lists_all_faults(state: str, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('name = "Bad Name"\nmethod = "fedavg"\ncolour = 1\n')
    with pytest.raises(InvalidInput, match="2 faults"):
        run(job_app, "submit", tmp_path / "job.toml", "--state", state)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800)])
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "24", "0h", "-1h", "1w", "1.5h", "99999999d"])
def test_impossible_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a time"):
        duration_s(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("0.0.0.0:7443", "0.0.0.0", 7443), ("[::1]:0", "::1", 0), ("host.example:1", "host.example", 1)],
)
def test_address_is_read_and_written(text: str, host: str, port: int) -> None:
    address = parse_address(text)
    assert (address.host, address.port, str(address)) == (host, port, text)


@pytest.mark.parametrize("text", ["", "host", ":80", "host:", "::1:80", "host:70000", "host:x", "[]:1"])
def test_impossible_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not HOST:PORT"):
        parse_address(text)


def test_wildcard_address_becomes_one_that_can_be_dialled() -> None:
    address = parse_address("0.0.0.0:7443")
    assert str(address.from_here) == "127.0.0.1:7443"
    assert address.from_outside.host not in ("0.0.0.0", "")


def test_interrupt_stops_the_coordinator_with_its_code(coordinator) -> None:
    assert coordinator.stop(signal.SIGINT) == 130
    coordinator.start()


def test_damaged_database_is_told(tmp_path: Path) -> None:
    root = create_state(tmp_path / "state").root
    (root / "coordinator.sqlite").write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(StateError, match="file is not a database"):
        run(app, "sites", "--state", root)


def test_invitation_before_the_first_start_says_what_to_do(tmp_path: Path) -> None:
    root = create_state(tmp_path / "state").root
    with pytest.raises(StateError, match="start the coordinator there once"):
        run(app, "invite", "plant-a", "--state", root)
