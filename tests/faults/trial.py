"""One trial: a fault, a job that must complete without help, and the verdict on what it left."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from edgefed.chaos.proxy import Counts
from tests.faults.deployment import PATIENCE_S, Deployment
from tests.faults.injected import strikes
from tests.faults.injected.strikes import Strike
from tests.faults.judge import Recorded, finished, is_over, judge, read_events
from tests.faults.reference import run_undisturbed
from tests.faults.scenarios import PLAIN, SITES, A, B, Scenario

_LOOK_S = 0.02
_SETTLE_S = 10.0
_seeds = itertools.count(1)


Disturbance = Callable[[Deployment, str], AbstractContextManager[Callable[[], float | None]]]
"""Entered with the name of the job before it is submitted; what it gives says when the fault struck, if it has."""


@dataclass(frozen=True)
class Trial:
    """A fault and the job that meets it.

    Attributes:
        fault: the row of the table that it counts in.
        disturb: the fault.
        scenario: the job.
        struck: the process that it strikes, for the time of recovery; empty for all.
        most_bytes: that may travel in the whole job from and to site A; None for any number.
    """

    fault: str
    disturb: Disturbance
    scenario: Scenario = PLAIN
    struck: str = ""
    most_bytes: tuple[int, int] | None = None


@dataclass(frozen=True)
class Result:
    """What a trial gave; all zeros and an empty note where it went well.

    Attributes:
        fault: the row that it counts in.
        completed: the fault struck and the job ended well, and no process died of anything else.
        recovery_s: from the fault to the next event of what was struck.
        seconds: of the whole job.
        note: what went wrong, for people.
    """

    fault: str
    completed: bool
    lost: int
    duplicated: int
    wrong_bytes: int
    recovery_s: float
    seconds: float
    note: str


Experiment = Callable[[Deployment], Result]
"""What a row counts, ready to be run on a deployment."""


def struck_by(strike: Strike) -> Disturbance:
    """A strike within a process."""

    @contextmanager
    def disturb(deployment: Deployment, job: str) -> Iterator[Callable[[], float | None]]:
        before = len(deployment.deaths)
        strikes.arm(deployment.strikes, strike)
        try:
            yield lambda: strikes.struck_at(deployment.strikes)
        finally:
            if strikes.struck_at(deployment.strikes) and kills_service(strike):
                deployment.until_restarted(strike.process, before)
            strikes.disarm(deployment.strikes)

    return disturb


def kills_service(strike: Strike) -> bool:
    """Whether it ends a process that the supervisor restarts, and not the worker that such a process keeps itself."""
    return strike.action != "flip a bit" and not strike.point.startswith("drill:")


def undisturbed(deployment: Deployment, job: str) -> AbstractContextManager[Callable[[], float | None]]:
    """No fault."""
    return nullcontext(time.time)


def run(trial: Trial, deployment: Deployment) -> Result:
    """Runs a trial; the deployment is ready for the next one afterwards."""
    gates = deployment.folder / "gates" / str(number := next(_seeds))
    gates.mkdir(parents=True)
    spec = trial.scenario.spec(number, str(gates))
    reference = run_undisturbed(spec, trial.scenario, deployment.folder / "scratch")
    deaths, began, struck, sent = len(deployment.deaths), time.time(), None, deployment.proxies[A].counts
    with trial.disturb(deployment, spec.name) as struck_at:
        deployment.submit(spec)
        while time.time() - began < PATIENCE_S:
            events = read_events(deployment.coordinator, spec.name)
            _direct(trial.scenario, deployment, spec.name, events, gates)
            if (struck := struck_at()) is not None and is_over(events, reference):
                break
            time.sleep(_LOOK_S)
    over = time.time()
    _settle(deployment, spec.name)
    died = [f"{d.process} ended with {d.code}" for d in deployment.deaths[deaths:] if d.code != -9]
    notes = ["the fault did not strike"] * (struck is None) + died
    notes += ["the job did not finish"] * (not finished(events) or not is_over(events, reference))
    notes += _too_many_bytes(trial.most_bytes, sent, deployment.proxies[A].counts)
    sites = {site: deployment.site(site) for site in SITES}
    verdict = judge(deployment.coordinator, sites, spec.name, reference)
    theirs = [e for e in events if e.body.get("site") == trial.struck or not trial.struck]
    later = [event.at for event in theirs if struck and event.at > struck]
    recovery_s = max(0.0, min(later, default=over) - (struck or over))
    return Result(
        trial.fault, not notes, verdict.lost, verdict.duplicated, verdict.wrong_bytes,
        recovery_s, over - began, "; ".join(notes),
    )  # fmt: skip


def _too_many_bytes(most: tuple[int, int] | None, before: Counts, after: Counts) -> list[str]:
    moved = after.bytes_up - before.bytes_up, after.bytes_down - before.bytes_down
    if most is None or (moved[0] <= most[0] and moved[1] <= most[1]):
        return []
    return [f"{moved[0]:,} bytes went up and {moved[1]:,} down; at most {most[0]:,} and {most[1]:,} are due"]


def _direct(scenario: Scenario, deployment: Deployment, job: str, events: Sequence[Recorded], gates: Path) -> None:
    """Opens the gates that the events so far open, and types the scenario's command when it is time."""
    # Site A joins every job at once; the events that gates wait for are those of the rounds and of site B.
    seen = {(e.kind, e.body.get("round", 0)) for e in events if e.body.get("site", B) == B}
    for gate, key in scenario.gates.items():
        if key not in seen or (gates / gate).exists():
            continue
        if gate == "command" and scenario.command == "invite":
            deployment.invite(job, B)
        elif gate == "command":
            deployment.leave(job, B)
        (gates / gate).touch()


def _settle(deployment: Deployment, job: str) -> None:
    """Lets the sites finish what comes after the last event: their own tidying, or a restart."""
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline and any(
        list((deployment.site(site) / "outbox").glob(f"{job}.*.json")) for site in SITES
    ):
        time.sleep(_LOOK_S)
