"""What a site keeps of one job: its spec, the site's own state, where it stands, and the model in the end."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from edge_client.plain import one_line
from edge_client.state import SiteState, disk_errors, write_durably
from protos.artifacts import digest_of_file
from protos.durable import sync_folder
from protos.errors import StateError


@dataclass(frozen=True)
class Standing:
    """Where a site stands in a job.

    Attributes:
        job: its name.
        state: joined, declined, refused, queued, training, delivered, stopped, failed, left or installed.
        round: the latest that the site worked on, 0 before the first.
        rounds: of the job, 0 while unknown.
        reason: why, where there is something to say.
        time: when it came to this, seconds since the epoch.
    """

    job: str
    state: str
    round: int = 0
    rounds: int = 0
    reason: str = ""
    time: Annotated[float, Field(ge=0, lt=1e11)] = 0.0


_STANDING = TypeAdapter(Standing)


class JobFolder:
    """`jobs/JOB/` and `models/JOB/` of a site.

    Args:
        state: of the site.
        job: its name. Raises `InvalidInput` where it is not safe as a file name.
    """

    def __init__(self, state: SiteState, job: str) -> None:
        self._state = state
        self.job = job
        self.path = state.job(job)
        self.model = state.models / job

    def write_spec(self, spec_json: str) -> None:
        """Stores the job as it came over the wire, where the worker reads it."""
        path, data = self.path / "spec.json", spec_json.encode()
        with disk_errors(self._state.jobs):
            if path.exists() and path.read_bytes() == data:
                return
            self.path.mkdir(exist_ok=True)
            sync_folder(self._state.jobs)
        write_durably(path, data)

    def stand(self, standing: Standing) -> None:
        """Notes where the site stands, for `status`."""
        told = {**asdict(standing), "reason": one_line(standing.reason), "time": time.time()}
        write_durably(self.path / "standing.json", json.dumps(told).encode())

    def forget_states(self, *, before: int = 1 << 32) -> None:
        """Removes the site's own states of rounds that no later round needs."""
        for path in self.path.glob("state-*.safetensors"):
            if int(path.stem.removeprefix("state-")) < before:
                path.unlink()

    def install(self, staged: Path) -> None:
        """Makes a finished folder the job's model, and the job's model the site's current one."""
        models = self._state.models
        with disk_errors(models):
            old = models / f".{self.job}.old"
            shutil.rmtree(old, ignore_errors=True)
            if self.model.exists():
                self.model.rename(old)
            sync_folder(staged)
            staged.rename(self.model)
            sync_folder(models)
            shutil.rmtree(old, ignore_errors=True)
        write_durably(models / "current", f"{self.job}\n".encode())

    def has_installed(self, digest: str) -> bool:
        """Whether the job's model is the site's current one, and is made of the global artifact of this digest."""
        final = self.model / "global.safetensors"
        return self._state.current_model() == self.job and final.exists() and digest_of_file(final) == digest

    def tidy(self) -> None:
        """Removes what only training needed: states and caches."""
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
        self.forget_states()


def stand_in_queue(state: SiteState, jobs: Iterable[str], at_work_on: str) -> None:
    """Notes the jobs that have work for this site while it is at work on another one."""
    for job in jobs:
        folder = JobFolder(state, job)
        with disk_errors(state.jobs):
            folder.path.mkdir(exist_ok=True)
        folder.stand(Standing(job, "queued", reason=f"after a round of {at_work_on}"))


def standings(state: SiteState) -> list[Standing]:
    """Where the site stands in all its jobs, the latest change last. Raises `StateError`."""
    found = []
    for path in state.jobs.glob("*/standing.json"):
        try:
            found.append(_STANDING.validate_json(path.read_bytes(), strict=True))
        except (OSError, ValueError) as error:
            raise StateError(f"{path} cannot be read; remove it to go on without it") from error
    return sorted(found, key=lambda standing: standing.time)
