"""A coordinator and two sites as real processes, each site behind a proxy; who dies is restarted at once.

The supervisor does what systemd would; nobody else helps. Several trials run on one deployment, one at a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from coordinator.address import Address
from coordinator.operator_channel import connect
from edge_client.leaving import leave_job
from edgefed.chaos.threaded import ThreadedProxy
from protos.errors import EdgeFedError
from protos.jobs import JobSpec, job_to_json
from protos.v1 import jobs_pb2
from protos.v1.jobs_pb2_grpc import JobsStub
from tests.faults.injected import strikes
from tests.faults.injected.disk import Disk
from tests.faults.scenarios import SITES

INJECTED = Path(__file__).parent / "injected"
_LOOK_S = 0.01
PATIENCE_S = 90.0


@dataclass(frozen=True)
class Death:
    """A process ended. `code` as `Popen.returncode` has it, -9 after a kill -9."""

    process: str
    at: float
    code: int


class Deployment:
    """Processes in one folder; use it in `with`.

    Args:
        folder: made if it is not there.
        points: where processes may be struck, see `injected.strikes`.
        power_cuts: record what the processes make durable, for strikes with a power cut.
    """

    def __init__(self, folder: Path, points: Iterable[str], *, power_cuts: bool = False) -> None:
        self.folder = folder
        self.deaths: list[Death] = []
        self.proxies: dict[str, ThreadedProxy] = {}
        self._points, self._power_cuts = sorted(set(points)), power_cuts
        self.port = _free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._turning = threading.Lock()
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor")
        self._exit = ExitStack()

    @property
    def coordinator(self) -> Path:
        """The coordinator's state folder."""
        return self.folder / "coordinator"

    @property
    def strikes(self) -> Path:
        """The folder of what is armed, see `injected.strikes`."""
        return self.folder / "strikes"

    def site(self, name: str) -> Path:
        """The state folder of a site."""
        return self.folder / "sites" / name

    def state(self, process: str) -> Path:
        """The state folder of a process."""
        return self.coordinator if process == "coordinator" else self.site(process)

    def log(self, process: str) -> str:
        """What a process and those before it have said."""
        return (self.folder / "logs" / f"{process}.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        for name in ("logs", "sites", "strikes", "disks", "scratch"):
            (self.folder / name).mkdir(parents=True)
        (self.strikes / "points.json").write_text(json.dumps(self._points))
        _install_method(self.folder / "installed")
        self.start("coordinator")
        self._until_it_listens()
        for name in SITES:
            proxy = ThreadedProxy(Address("127.0.0.1", self.port))
            self.proxies[name] = self._exit.enter_context(proxy)
            self.join(name)
            self.start(name)
        self._supervisor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._supervisor.ident is not None:
            self._supervisor.join()
        for process in self._processes.values():
            process.send_signal(signal.SIGKILL)
            process.wait()
        self._exit.close()

    def start(self, name: str) -> None:
        """Starts a process."""
        if name == "coordinator":
            what = ["coordinator", "start", "--listen", f"127.0.0.1:{self.port}"]
        else:
            what = ["client", "run"]
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "edgefed", *what, "--state", str(self.state(name))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(name), start_new_session=True,
            )  # fmt: skip

    def stop(self, name: str) -> None:
        """Ends a process for good, until it is started again."""
        with self._turning:
            process = self._processes.pop(name)
        process.terminate()
        process.wait()

    def kill(self, name: str) -> None:
        """kill -9; the supervisor starts it again."""
        self._processes[name].send_signal(signal.SIGKILL)

    def until_restarted(self, name: str, deaths: int) -> None:
        """Waits until a process that has died after so many deaths is up again."""
        deadline = time.monotonic() + PATIENCE_S
        while name not in {death.process for death in self.deaths[deaths:]} and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        with self._turning:
            return

    def environment(self, name: str) -> Mapping[str, str]:
        """That of a process under test."""
        ours = {
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(self.folder / "installed"), str(INJECTED), os.environ.get("PYTHONPATH", "")))
            ),
            "EDGEFED_TEST_STRIKES": str(self.strikes),
            "EDGEFED_TEST_PROCESS": name,
        }
        if self._power_cuts:
            ours["EDGEFED_TEST_DISK"] = f"{self.state(name)}:{self.folder / 'disks' / name}"
        return {**os.environ, **ours}

    def join(self, site: str) -> None:
        """Invites a site and lets it join through its proxy."""
        token = self.token(site)
        self._command(site, "client", "join", "--coordinator", str(self.proxies[site].address), "--token", token)

    def token(self, site: str) -> str:
        """Of an invitation."""
        return self._command("coordinator", "coordinator", "invite", site)["token"]

    def _command(self, process: str, *arguments: str) -> dict[str, str]:
        command = [sys.executable, "-m", "edgefed", *arguments, "--json", "--state", str(self.state(process))]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=self.environment(process))
        document: dict[str, str] = json.loads(done.stdout)
        return document

    def submit(self, spec: JobSpec) -> None:
        """Submits a job; with a coordinator that dies meanwhile it does as a user would, and tries again."""
        request = jobs_pb2.SubmitJobRequest(spec_json=job_to_json(spec))
        self._insist(lambda stub: stub.SubmitJob(request, timeout=10))

    def invite(self, job: str, site: str) -> None:
        """`edgefed job invite`, as persistently."""
        request = jobs_pb2.InviteSiteRequest(job=job, site=site)
        self._insist(lambda stub: stub.InviteSite(request, timeout=10))

    def leave(self, job: str, site: str) -> None:
        """`edgefed client leave`, as persistently."""
        self._insist(lambda stub: asyncio.run(leave_job(self.site(site), job, "the line is being moved")))

    def _insist(self, command: Callable[[JobsStub], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with connect(self.coordinator) as stub:
                    command(stub)
                return
            except EdgeFedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _disk(self, name: str) -> Disk:
        return Disk(self.state(name), self.folder / "disks" / name)

    def _supervise(self) -> None:
        while not self._closing.wait(_LOOK_S):
            with self._turning:
                dead = [name for name, process in self._processes.items() if process.poll() is not None]
                for name in dead:
                    self.deaths.append(Death(name, time.time(), self._processes[name].returncode))
                    if strikes.power_was_cut(self.strikes, name):
                        self._disk(name).lose_power()
                    self.start(name)

    def _until_it_listens(self) -> None:
        address, deadline = self.coordinator / "operator" / "address", time.monotonic() + PATIENCE_S
        while not address.exists():
            if time.monotonic() > deadline or self._processes["coordinator"].poll() is not None:
                raise AssertionError(f"the coordinator did not start:\n{self.log('coordinator')}")
            time.sleep(_LOOK_S)


def _install_method(folder: Path) -> None:
    package = folder / "drill-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: drill\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[edgefed.methods]\ndrill = drill:METHOD\n")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
