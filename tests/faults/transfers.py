"""Uploads and downloads that are cut midway: only what is missing travels again, and nothing damaged is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgefed.chaos.faults import RESET, Toxics, always, both
from protos.artifacts import CHUNK_BYTES
from tests.faults.crash_points import CALL, READ_CHUNK
from tests.faults.deployment import Deployment
from tests.faults.injected.strikes import Strike
from tests.faults.network import Outage, Phase, comes_in
from tests.faults.scenarios import A, Scenario
from tests.faults.trial import Disturbance, Trial, struck_by

CHUNKS = 24  # a break comes after 12
_IN_FLIGHT = 4 * CHUNK_BYTES
_LARGE = Scenario(rows=CHUNKS * 256 - 56)  # of 4 KiB; a little less than that many chunks
_OVERHEAD = 1.03  # TLS, HTTP/2 and control messages
_BOTH_ROUNDS = int(2 * CHUNKS * CHUNK_BYTES * _OVERHEAD)
_MIDWAY = CHUNKS * CHUNK_BYTES // 2
_FAST = both(Toxics(bytes_per_s=40e6))


def transfer_trials() -> Iterator[Trial]:
    """Breaks of either process and of the line midway, and single bits that are wrong before TLS or after it."""
    due = _BOTH_ROUNDS + _IN_FLIGHT, _BOTH_ROUNDS + _IN_FLIGHT
    phases: tuple[Phase, ...] = ("upload", "download")
    for phase in phases:
        for process in ("coordinator", A):
            name = f"{phase}: only missing chunks travel, {process} killed"
            yield Trial(name, _kill(phase, process), _LARGE, A, due)
        name = f"{phase}: only missing chunks travel, line reset"
        yield Trial(name, comes_in(phase, Outage(RESET), _MIDWAY, _FAST), _LARGE, A, due)
    for name, strike in (
        ("upload: a corrupt chunk is refused and sent again", Strike(A, CALL, "before", "PutChunk", 2, "flip a bit")),
        ("download: a corrupt chunk is refused and sent again",
         Strike("coordinator", READ_CHUNK, "after", "", 2, "flip a bit")),
    ):  # fmt: skip
        yield Trial(name, struck_by(strike), struck=A)


def _kill(phase: Phase, process: str) -> Disturbance:
    @contextmanager
    def disturb(deployment: Deployment, job: str) -> Iterator[Callable[[], float | None]]:
        before = len(deployment.deaths)
        strike = comes_in(phase, Outage(_FAST, always(_FAST)), _MIDWAY, _FAST, lambda: deployment.kill(process))
        with strike(deployment, job) as struck_at:
            yield struck_at
        deployment.until_restarted(process, before)

    return disturb
