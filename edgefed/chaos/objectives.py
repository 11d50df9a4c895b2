"""What a deployment must do under faults: pure functions of what was observed."""

from __future__ import annotations

from dataclasses import dataclass

from edgefed.chaos.observations import JobRecord, Observations, recovery_s


@dataclass(frozen=True)
class Verdict:
    """An objective held against a run; `passed` is None where the run could not show it, and `figure` says why."""

    objective: str
    passed: bool | None
    figure: str


def judge(seen: Observations, *, back_within_s: float) -> tuple[Verdict, ...]:
    """Every objective, held against a run."""
    return comes_back(seen, back_within_s), jobs_finish(seen), nobody_is_left_out(seen), nothing_counts_twice(seen)


def comes_back(seen: Observations, limit_s: float) -> Verdict:
    """After every fault as many connections as before work again in time."""
    words = f"connections are back within {limit_s:g} s of every fault's end"
    back = [(incident, recovery_s(incident, seen.samples, seen.ended)) for incident in seen.incidents]
    if not seen.complete:
        back = [(incident, took) for incident, took in back if took is not None]
    if not back:
        return Verdict(words, None, "no fault has ended")
    late = [(incident, took) for incident, took in back if took is None or took > limit_s]
    if late:
        first, took = late[0]
        after = "never" if took is None else f"after {took:.1f} s"
        figure = f"{len(late)} of {len(back)} late; {after} from {first.mishap} at {clock(first.began)}"
        return Verdict(words, False, figure)
    worst, took = max(back, key=lambda pair: pair[1] or 0.0)
    return Verdict(words, True, f"at most {took or 0:.1f} s, from {worst.mishap} at {clock(worst.began)}")


def jobs_finish(seen: Observations) -> Verdict:
    """Every job that ran has finished."""
    words = "every job that ran has finished"
    if (unseen := _unseen(words, seen)) is not None:
        return unseen
    jobs = [job for job in seen.jobs or () if job.outcome or seen.complete]
    if not jobs:
        return Verdict(words, None, "every job still ran when the run was ended")
    left = [f"{job.job} {_fate(job)}" for job in jobs if job.outcome != "finished"]
    finished = f"{len(jobs) - len(left)} of {len(jobs)}"
    return Verdict(words, not left, "; ".join([finished, *left]))


def nobody_is_left_out(seen: Observations) -> Verdict:
    """No round has closed without a site that the network kept away."""
    words = "no round closed without a site because of the network"
    if (unseen := _unseen(words, seen)) is not None:
        return unseen
    missed = [
        f"{job.job} round {past.round}: {past.site} {past.reason}" for job in seen.jobs or () for past in job.left_out
    ]
    return Verdict(words, not missed, "; ".join(missed[:3]) + (" …" if len(missed) > 3 else "") or "none")


def nothing_counts_twice(seen: Observations) -> Verdict:
    """No site's update is in a round more than once."""
    words = "no update was counted twice"
    if (unseen := _unseen(words, seen)) is not None:
        return unseen
    twice = [f"{job.job} round {number}: {site}" for job in seen.jobs or () for number, site in job.twice]
    return Verdict(words, not twice, "; ".join(twice) or "none")


def clock(seconds: float) -> str:
    """A moment of a run as minutes and seconds.

    >>> clock(192.4)
    '3:12'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _unseen(words: str, seen: Observations) -> Verdict | None:
    if seen.jobs is None:
        return Verdict(words, None, "needs --state, the coordinator's state folder")
    return None if seen.jobs else Verdict(words, None, "no job ran meanwhile; submit one")


def _fate(job: JobRecord) -> str:
    return f"{job.outcome or 'still runs'}{': ' if job.reason else ''}{job.reason}"
