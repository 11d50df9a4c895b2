"""A coordinator and its sites as real processes on this machine, over loopback with mutual TLS.

The demo, the benchmarks and the end-to-end tests run the same commands that a user types on several machines.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from protos.errors import EdgeFedError, Unavailable

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 8.0
_EDGEFED = (sys.executable, "-m", "edgefed")


class LocalFederation:
    """Processes in one folder: `coordinator/` and `sites/SITE/` hold the state, `logs/` what they say.

    Use it as a context: on the way out, whatever the reason, every process is ended.
    """

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        """Nothing is started yet.

        Args:
            folder: made if it is not there.
            environment: added to that of the processes.
        """
        self.folder = folder
        self.coordinator_state = folder / "coordinator"
        self._environment = {**os.environ, **(environment or {})}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> LocalFederation:
        end_leftovers(self.folder)
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def site_state(self, site: str) -> Path:
        """The state folder of a site."""
        return self.folder / "sites" / site

    def start_coordinator(self, listen: str = "127.0.0.1:0") -> None:
        """Starts the coordinator and returns when it serves. Raises `Unavailable` with its last line if it ends."""
        address = self.coordinator_state / "operator" / "address"
        address.unlink(missing_ok=True)
        self._start("coordinator", "coordinator", "start", "--state", str(self.coordinator_state), "--listen", listen)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not address.exists():
            if self._processes["coordinator"].poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"the coordinator did not start: {self._last_line('coordinator')}")
            time.sleep(0.05)

    def join(self, site: str, data: Path | None, labels: Path | None = None) -> None:
        """Invites a site and lets it join with images, or with a cube and its labels."""
        invitation = self.command("coordinator", "invite", site, "--state", str(self.coordinator_state))
        self.command(
            "client", "join", "--coordinator", invitation["coordinator"], "--token", invitation["token"],
            "--state", str(self.site_state(site)),
            *(("--data", str(data)) if data else ()), *(("--labels", str(labels)) if labels else ()),
        )  # fmt: skip

    def run_site(self, site: str) -> None:
        """Starts the agent of a site that has joined."""
        self._start(site, "client", "run", "--state", str(self.site_state(site)))

    def submit(self, job_file: Path) -> str:
        """Submits a job and returns its name."""
        return str(self.job("submit", str(job_file))["job"])

    def job(self, *arguments: str, show_progress: bool = False) -> dict[str, Any]:
        """`edgefed job ...` on this coordinator; returns its JSON document."""
        return self.command("job", *arguments, "--state", str(self.coordinator_state), show_progress=show_progress)

    def client(self, site: str, *arguments: str) -> dict[str, Any]:
        """`edgefed client ...` at a site; returns its JSON document."""
        return self.at_sites([site], *arguments)[site]

    def at_sites(self, sites: Iterable[str], *arguments: str) -> dict[str, dict[str, Any]]:
        """The same `edgefed client ...` at several sites at once; returns their JSON documents."""
        started = {site: self._begin("client", *arguments, "--state", str(self.site_state(site))) for site in sites}
        return {site: json.loads(self._finish(command)) for site, command in started.items()}

    def client_lines(self, site: str, *arguments: str) -> list[dict[str, Any]]:
        """`edgefed client ...` at a site for a command that prints one JSON document a line."""
        command = self._begin("client", *arguments, "--state", str(self.site_state(site)))
        return [json.loads(line) for line in self._finish(command).splitlines()]

    def command(self, *arguments: str, show_progress: bool = False) -> dict[str, Any]:
        """Runs one `edgefed` command with `--json` and returns its document.

        Args:
            arguments: of the command, without `--json`.
            show_progress: let its progress bars (stderr) through to the terminal.

        Raises:
            EdgeFedError: with what the command said, when it did not end with 0.
        """
        document: dict[str, Any] = json.loads(self._finish(self._begin(*arguments, show_progress=show_progress)))
        return document

    def _begin(self, *arguments: str, show_progress: bool = False) -> subprocess.Popen[bytes]:
        command = subprocess.Popen(
            [*_EDGEFED, *arguments, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=None if show_progress else subprocess.PIPE, env=self._environment,
        )  # fmt: skip
        self._commands.append(command)
        return command

    def _finish(self, command: subprocess.Popen[bytes]) -> str:
        printed, said = command.communicate()
        self._commands.remove(command)
        if command.returncode:
            words = " ".join(str(word) for word in command.args[len(_EDGEFED) : len(_EDGEFED) + 2])  # type: ignore[index]
            why = (said or b"").decode(errors="replace").strip() or "see above"
            raise EdgeFedError(f"edgefed {words} ended with {command.returncode}: {why}")
        return printed.decode()

    def pid(self, name: str) -> int:
        """Process id of "coordinator" or of a site's agent."""
        return self._processes[name].pid

    def memory_bytes(self) -> int:
        """Memory of all processes and their children now: the sum of their proportional set sizes."""
        return sum(_proportional_set_size(pid) for pid in _descendants([p.pid for p in self._processes.values()]))

    def kill(self, name: str) -> None:
        """Ends one process and its children at once, as a power cut would."""
        process = self._processes.pop(name)
        _signal_groups([process.pid], signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Ends every process: asks first, kills what does not go within `STOP_TIMEOUT_S`."""
        for command in self._commands:
            command.kill()
            command.communicate()
        self._commands.clear()
        processes = list(self._processes.values())
        _signal_groups([p.pid for p in processes], signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_groups([process.pid], signal.SIGKILL)
                process.wait()
        self._processes.clear()
        _pid_file(self.folder).unlink(missing_ok=True)

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*_EDGEFED, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environment, start_new_session=True,
            )  # fmt: skip
        # Written before anything else can fail, so that a later run finds what this one leaves behind.
        _pid_file(self.folder).write_text(json.dumps([p.pid for p in self._processes.values()]))

    def _last_line(self, name: str) -> str:
        lines = (self.folder / "logs" / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def end_leftovers(folder: Path) -> int:
    """Ends processes that an earlier run in this folder left behind; returns how many groups there were."""
    try:
        pids = json.loads(_pid_file(folder).read_text())
    except (OSError, ValueError):
        return 0
    # A process id may have been given to a stranger since; ours name the folder on their command line.
    ours = [pid for pid in pids if isinstance(pid, int) and str(folder) in _command_line(pid)]
    _signal_groups(ours, signal.SIGKILL)
    _pid_file(folder).unlink(missing_ok=True)
    return len(ours)


def _pid_file(folder: Path) -> Path:
    return folder / "processes.json"


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _signal_groups(leaders: Sequence[int], number: int) -> None:
    for leader in leaders:
        try:
            os.killpg(leader, number)
        except (ProcessLookupError, PermissionError):
            continue


def _descendants(roots: Sequence[int]) -> set[int]:
    found, queue = set(roots), list(roots)
    while queue:
        for children in Path(f"/proc/{queue.pop()}/task").glob("*/children"):
            try:
                fresh = {int(pid) for pid in children.read_text().split()} - found
            except OSError:
                continue
            found |= fresh
            queue += fresh
    return found


def _proportional_set_size(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
