"""A job's state as values. How events change it is in `coordinator/fold.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from coordinator.events import Outcome
from protos.jobs import JobSpec


@dataclass(frozen=True)
class Member:
    """A site in a job; `reason` says why it was refused or has left."""

    state: Literal["invited", "joined", "refused", "left"] = "invited"
    reason: str = ""
    installed: bool = False


@dataclass(frozen=True)
class Lease:
    """A site in a round.

    Attributes:
        state: "waiting" until the site has asked for the round; "late" where its update came after the round.
        epoch: of the latest grant, from 1; 0 before the first. Results of an older epoch do not count.
        reason: why it was rejected or lost.
        may_return: lost only by silence; its update still counts while the round is open.
        digest: of the update, 64 hex characters.
        weight: of the update.
        size: of the update in bytes.
    """

    state: Literal["waiting", "training", "committed", "rejected", "lost", "late"] = "waiting"
    epoch: int = 0
    reason: str = ""
    may_return: bool = True
    digest: str = ""
    weight: float = 0.0
    size: int = 0

    @property
    def pending(self) -> bool:
        """The round waits for this site."""
        return self.state in ("waiting", "training")

    @property
    def can_deliver(self) -> bool:
        """An update of the current epoch would count."""
        return self.state == "training" or (self.state == "lost" and self.may_return)


@dataclass(frozen=True)
class LateUpdate:
    """An update that came after its round `made_for`; digest, weight and size as in `Lease`."""

    made_for: int
    digest: str
    weight: float
    size: int


@dataclass(frozen=True)
class Round:
    """One round; times in seconds since the epoch, sizes in bytes.

    Attributes:
        number: from 1.
        opened_at: when.
        leases: by site.
        short_at: since when it has known that it cannot reach its quorum, or None.
        aggregating: no update is taken any more.
        late: the late updates that the aggregation takes besides the committed ones, by site.
        global_digest: of the published model, or an empty text.
        global_size: of the published model.
        remarks: by site, what the method did with its update.
        metrics: by name, what the method measured.
        closed_at: when, or None.
        reason: why it closed, or what it waits for while it is short.
        missing: by site without an update, why.
    """

    number: int
    opened_at: float
    leases: Mapping[str, Lease]
    short_at: float | None = None
    aggregating: bool = False
    late: Mapping[str, LateUpdate] = field(default_factory=dict)
    global_digest: str = ""
    global_size: int = 0
    remarks: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    closed_at: float | None = None
    reason: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def accepting(self) -> bool:
        """Updates still count."""
        return self.closed_at is None and not self.aggregating

    @property
    def committed(self) -> list[str]:
        """The sites whose update of this round counts, in sorted order."""
        return sorted(site for site, lease in self.leases.items() if lease.state == "committed")


@dataclass(frozen=True)
class JobState:
    """All that is known of a job; `late` holds by site the late updates that the next aggregation takes."""

    job: str
    spec: JobSpec
    submitted_at: float
    members: Mapping[str, Member]
    declaration: Mapping[str, str] | None = None
    rounds: tuple[Round, ...] = ()
    late: Mapping[str, LateUpdate] = field(default_factory=dict)
    outcome: Outcome | None = None
    reason: str = ""

    @property
    def round(self) -> Round | None:
        """The latest round."""
        return self.rounds[-1] if self.rounds else None

    @property
    def needed(self) -> int:
        """How many updates a round needs; where the job says "all", all that have not left."""
        policy = self.spec.rounds
        taking_part = self.members if self.round is None else self.round.leases
        staying = [site for site in taking_part if self.members[site].state != "left"]
        return policy.quorum or policy.buffer or max(1, len(staying))

    @property
    def global_digest(self) -> str:
        """The latest published model, or an empty text."""
        return next((past.global_digest for past in reversed(self.rounds) if past.global_digest), "")

    def sites(self, state: str) -> list[str]:
        """The sites that are invited, joined, refused or have left, in sorted order."""
        return sorted(site for site, member in self.members.items() if member.state == state)

    def lease(self, site: str, number: int) -> Lease | None:
        """A site's lease of round `number`, or None where it has no part in it or there was none."""
        return self.rounds[number - 1].leases.get(site) if 1 <= number <= len(self.rounds) else None


def discount(state: JobState, late: LateUpdate, number: int) -> float:
    """How much a late update counts in round `number`, in (0, 1]: FedBuff's polynomial (Nguyen et al., 2022, 5.1)."""
    return float((1 + number - late.made_for) ** -state.spec.rounds.staleness)
