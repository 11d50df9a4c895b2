"""Jobs in which something happens, each with what must come of it whatever is killed meanwhile.

Gates hold sites up until the event log has come so far: what counts in which round is then the same in every run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from protos.jobs import JobSpec, RoundPolicy

A, B = SITES = ("plant-a", "plant-b")
_BOTH: Mapping[str, int] = {A: 0, B: 0}
_ALONE: Mapping[str, int] = {A: 0}


@dataclass(frozen=True, eq=False)
class Scenario:
    """A job of two rounds at two sites.

    Attributes:
        acts: see the settings of the method `drill`.
        rounds: what its round policy has besides.
        sites: who is invited at first.
        counted: for each round, site -> how many rounds old the update is that counts.
        rejected: (round, site) of updates that leave a site and do not count.
        installs: the sites that run the model in the end.
        gates: name -> the event that opens it, by kind and round (0: it has none).
        rows: of an update, 4 KiB each.
        command: typed when the event `gates["command"]` is there.
    """

    acts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rounds: Mapping[str, Any] = field(default_factory=dict)
    sites: tuple[str, ...] = SITES
    counted: tuple[Mapping[str, int], ...] = (_BOTH, _BOTH)
    rejected: tuple[tuple[int, str], ...] = ()
    installs: tuple[str, ...] = SITES
    gates: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    rows: int = 800
    command: Literal["", "invite", "leave"] = ""

    def spec(self, number: int, gates: str) -> JobSpec:
        """The job; each has a seed of its own, for what was sent once would not be sent again."""
        rounds = RoundPolicy(count=2, sites=self.sites, **self.rounds)
        settings = {"rows": self.rows, "acts": {key: list(acts) for key, acts in self.acts.items()}, "gates": gates}
        return JobSpec(name=f"trial-{number}", method="drill", seed=number, rounds=rounds, settings=settings)


PLAIN = Scenario()
# Site B is silent in round 1 until round 2 is open, and does not do round 2; site A waits for it there.
_SILENT = {"quorum": 1, "progress_s": 6.0, "late": "next-round"}
_LATE_GATES = {"round-2": ("RoundOpened", 2)}

_REFUSED = Scenario({f"{B}/0": ("declines",)}, {"quorum": 1}, counted=(_ALONE, _ALONE), installs=(A,))
_REJECTED = Scenario({f"{B}/1": ("is rejected",)}, {"quorum": 1}, counted=(_ALONE, _BOTH), rejected=((1, B),))
_FAILED = Scenario({f"{B}/1": ("fails",)}, {"quorum": 1}, counted=(_ALONE, _BOTH))
_SHORT = Scenario({f"{B}/1": ("fails once",)}, {"short": "wait"})
_LATE = Scenario(
    {f"{B}/1": ("hangs until round-2",), f"{B}/2": ("fails",), f"{A}/2": ("waits for late",)},
    _SILENT,
    counted=(_ALONE, {A: 0, B: 1}),
    gates={**_LATE_GATES, "late": ("LateUpdateKept", 1)},
)
_LATE_REJECTED = Scenario(
    {f"{B}/1": ("hangs until round-2", "is rejected"), f"{B}/2": ("fails",), f"{A}/2": ("waits for late",)},
    _SILENT,
    counted=(_ALONE, _ALONE),
    rejected=((1, B),),
    gates={**_LATE_GATES, "late": ("LateUpdateRejected", 1)},
)
_INVITED = Scenario(
    {f"{A}/1": ("waits for joined-b",)},
    {"quorum": 1},
    sites=(A,),
    counted=(_ALONE, _BOTH),
    gates={"command": ("RoundOpened", 1), "joined-b": ("SiteJoined", 0)},
    command="invite",
)
_LEFT = Scenario(
    {f"{A}/2": ("waits for left",), f"{B}/2": ("waits for ever",)},
    counted=(_BOTH, _ALONE),
    installs=(A,),
    gates={"command": ("RoundOpened", 2), "left": ("SiteLeft", 0)},
    command="leave",
)

SCENARIOS: Mapping[str, Scenario] = {
    "JobSubmitted": PLAIN,
    "SiteInvited": _INVITED,
    "SiteJoined": PLAIN,
    "SiteRefused": _REFUSED,
    "SiteLeft": _LEFT,
    "RoundOpened": PLAIN,
    "LeaseGranted": PLAIN,
    "UpdateCommitted": PLAIN,
    "UpdateRejected": _REJECTED,
    "LeaseLost": _FAILED,
    "LateUpdateKept": _LATE,
    "LateUpdateRejected": _LATE_REJECTED,
    "RoundShort": _SHORT,
    "AggregationStarted": PLAIN,
    "ModelPublished": PLAIN,
    "RoundClosed": PLAIN,
    "ModelInstalled": PLAIN,
    "JobEnded": PLAIN,
}
"""For each kind of event a job that has it."""
