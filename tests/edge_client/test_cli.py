"""The commands as people type them: exit codes, one line for an error, one JSON document."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_client.job_folder import JobFolder, Standing
from edge_client.ledger import record
from edge_client.outbox import Outbox, Parcel
from edge_client.state import SiteState
from edgefed.local_federation import LocalFederation
from protos.artifacts import MEMORY_BANK, Manifest

MANIFEST = Manifest("a" * 64, 5_000, MEMORY_BANK, (bytes(32),))


def client(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgefed", "client", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def invite(coordinator: LocalFederation, *options: str) -> list[str]:
    """The options of a join."""
    state = str(coordinator.coordinator_state)
    made = coordinator.command("coordinator", "invite", "plant-a", "--state", state, *options)
    return ["--coordinator", made["coordinator"], "--token", made["token"]]


@pytest.fixture(scope="module")
def site(coordinator: LocalFederation) -> SiteState:
    """A site that has joined."""
    coordinator.join("plant-s", None)
    return SiteState(coordinator.site_state("plant-s"))


def test_join_says_what_to_do_next(coordinator: LocalFederation, tmp_path: Path) -> None:
    done = client("join", *invite(coordinator), "--state", tmp_path / "site")
    assert done.returncode == 0
    assert "plant-a has joined" in done.stdout
    assert f"edgefed client run --state {tmp_path / 'site'}" in done.stdout
    assert done.stderr == ""


def test_join_prints_one_document_when_asked_for_json(coordinator: LocalFederation, tmp_path: Path) -> None:
    done = client("join", *invite(coordinator), "--state", tmp_path / "site", "--json")
    document = json.loads(done.stdout)
    assert document["site"] == "plant-a"
    assert sorted(document) == ["certificate_expires", "coordinator", "site", "state"]


def test_an_error_is_one_line_and_the_exit_code_of_its_kind(coordinator: LocalFederation, tmp_path: Path) -> None:
    options = invite(coordinator)
    mistyped = [*options[:3], options[3][:-1] + "*"]
    unreachable = ["--coordinator", "127.0.0.1:1", *options[2:]]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "version").write_text("99")
    for arguments, code in (
        ([*mistyped, "--state", tmp_path / "s"], 2),
        ([*unreachable, "--state", tmp_path / "s"], 3),
        ([*options, "--state", tmp_path / "other"], 10),
        ([*options, "--state", tmp_path / "s"], 0),
        ([*options, "--state", tmp_path / "s"], 2),
        ([*options, "--state", tmp_path / "second"], 9),
    ):
        done = client("join", *arguments)
        assert done.returncode == code, done.stderr
        assert len(done.stderr.splitlines()) == (1 if code else 0)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "status", "ledger"])
def test_a_command_says_what_to_do_when_no_site_has_joined(command: str, tmp_path: Path) -> None:
    done = client(command, "--state", tmp_path)
    assert done.returncode == 2
    assert f"run `edgefed client join --state {tmp_path}` first" in done.stderr


def test_run_tells_the_faults_of_site_toml_at_once(coordinator: LocalFederation) -> None:
    coordinator.join("plant-t", None)
    root = coordinator.site_state("plant-t")
    (root / "site.toml").write_text("[egress]\nallow = 1\n")
    done = client("run", "--state", root)
    assert done.returncode == 2
    assert "has 2 faults" in done.stderr


def test_run_ends_with_9_when_the_site_is_revoked(coordinator: LocalFederation) -> None:
    coordinator.join("plant-x", None)
    coordinator.command("coordinator", "revoke", "plant-x", "--state", str(coordinator.coordinator_state))
    done = client("run", "--state", coordinator.site_state("plant-x"))
    assert done.returncode == 9
    assert "revoked" in done.stderr


def test_status_shows_jobs_and_what_waits(site: SiteState, tmp_path: Path) -> None:
    (site.job("cells")).mkdir()
    JobFolder(site, "cells").stand(Standing("cells", "training", 2, 5))
    (tmp_path / "update").write_bytes(b"bytes")
    Outbox(site.outbox).put(Parcel("cells", 1, 1, 8.0, "", MANIFEST), tmp_path / "update")
    status = json.loads(client("status", "--state", site.root, "--json").stdout)
    assert (status["site"], status["agent_running"], status["current_model"]) == ("plant-s", False, None)
    assert [(job["job"], job["state"], job["round"]) for job in status["jobs"]] == [("cells", "training", 2)]
    assert status["outbox"] == [{"job": "cells", "round": 1, "bytes": 5_000, "digest": "a" * 64}]
    shown = client("status", "--state", site.root).stdout
    assert "2 of 5" in shown
    assert "cells round 1, 5000 bytes" in shown


def test_ledger_verifies_the_chain_and_fails_when_it_was_changed(site: SiteState) -> None:
    assert "Nothing has left" in client("ledger", "--state", site.root).stdout
    for number in (1, 2):
        record(site.ledger, MANIFEST, job="cells", round_number=number, coordinator="c:1", now=0.0)
    done = client("ledger", "--state", site.root)
    assert "2 artifacts, 10,000 bytes. The chain holds" in done.stdout
    document = json.loads(client("ledger", "--state", site.root, "--json").stdout)
    assert document["verified"] is True
    assert [entry["round"] for entry in document["entries"]] == [1, 2]
    site.ledger.write_text(site.ledger.read_text().replace("5000", "4000", 1))
    done = client("ledger", "--state", site.root, "--json")
    assert done.returncode == 7
    assert "line 1 of the ledger" in done.stderr


@pytest.mark.parametrize("command", ["join", "run", "status", "ledger"])
def test_help_is_there_for_every_command(command: str) -> None:
    done = client(command, "--help")
    assert done.returncode == 0
    assert "--state" in done.stdout
