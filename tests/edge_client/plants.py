"""A federation of processes where a method is installed that needs no data, and what tests ask of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coordinator.operator_channel import connect
from edge_client.enrolment import join
from edge_client.state import SiteState
from edgefed.local_federation import LocalFederation
from protos.v1 import jobs_pb2

PLUGIN = Path(__file__).parent / "plugin"
PATIENCE_S = 60.0


class Plants(LocalFederation):
    """A federation where the method `rehearsal` is installed."""

    def __init__(self, folder: Path) -> None:
        package = folder / "installed" / "rehearsal-1.dist-info"
        package.mkdir(parents=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: rehearsal\nVersion: 1\n")
        (package / "entry_points.txt").write_text("[edgefed.methods]\nrehearsal = rehearsal:METHOD\n")
        paths = (str(package.parent), str(PLUGIN), os.environ.get("PYTHONPATH", ""))
        self.environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        super().__init__(folder, environment=self.environment)

    def add(self, site: str) -> SiteState:
        """Lets a site join."""
        made = self.command("coordinator", "invite", site, "--state", str(self.coordinator_state))
        join(self.site_state(site), made["coordinator"], made["token"])
        return SiteState(self.site_state(site))

    def submit_to(
        self, *sites: str, rounds: int = 1, job: str = "", policy: Mapping[str, Any] | None = None, **settings: Any
    ) -> str:
        """Submits a job for these sites alone; it is named after the first one where no name is given."""
        job, policy = job or f"job-of-{sites[0]}", {"count": rounds, "sites": sites, **(policy or {})}
        spec = {"name": job, "method": "rehearsal", "rounds": policy, "settings": settings}
        with connect(self.coordinator_state) as stub:
            stub.SubmitJob(jobs_pb2.SubmitJobRequest(spec_json=json.dumps(spec)))
        return job

    def end_of(self, job: str) -> jobs_pb2.JobStatus:
        """Waits for the end of a job; its last status."""
        with connect(self.coordinator_state) as stub:
            *_, last = stub.WatchJob(jobs_pb2.ShowJobRequest(job=job))
        return last

    def log(self, site: str) -> str:
        """What a site's agent has said so far."""
        return (self.folder / "logs" / f"{site}.log").read_text()

    def until(self, condition: Callable[[], Any], site: str) -> Any:
        """Waits for something to be so; gives it."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < deadline, self.log(site)
            time.sleep(0.02)
        return found

    def until_log(self, words: str, site: str) -> None:
        """Waits for an agent to say something."""
        self.until(lambda: words in self.log(site), site)

    def process(self, site: str) -> int:
        """The agent's process."""
        (found,) = (
            pid for pid in _all_processes() if str(self.site_state(site)) in _words(pid) and "run" in _words(pid)
        )
        return found

    def workers(self, agent: int) -> list[int]:
        """The worker processes of an agent."""
        return [pid for pid in _all_processes() if "edge_client.worker" in _words(pid) and _parent(pid) == agent]


def _all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def is_alive(pid: int) -> bool:
    return "edge_client.worker" in _words(pid)
