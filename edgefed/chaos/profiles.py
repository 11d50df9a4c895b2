"""Networks that a deployment must survive: how the line is, what happens on it, and what is promised nevertheless."""

from __future__ import annotations

from dataclasses import dataclass

from edgefed.chaos.faults import HALF_OPEN, NO_FAULTS, REFUSED, RESET, STALLED, Faults, Toxics, both


@dataclass(frozen=True, kw_only=True)
class Mishap:
    """Something that happens to the line.

    Attributes:
        name: for people.
        lasts_s: shortest and longest, in seconds of real life.
        running: what it does to connections that there are when it begins, on top of the line's own faults.
        arriving: what it does to connections that are made while it lasts.
        share: the fraction of the connections that are struck, in (0, 1].
    """

    name: str
    lasts_s: tuple[float, float]
    running: Faults
    arriving: Faults
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A kind of network.

    Attributes:
        name: on the command line.
        line: the faults of every connection at all times.
        calm_s: shortest and longest time between two mishaps, in seconds of real life.
        mishaps: in a run each happens as often as the others, in an order drawn anew.
        speed: how many times faster than real life mishaps follow each other, unless the user says otherwise. The line
            itself, and the time to come back, stay as they are.
        back_within_s: how long after a mishap as many connections as before must work again.
    """

    name: str
    line: Faults
    calm_s: tuple[float, float]
    mishaps: tuple[Mishap, ...]
    speed: float
    back_within_s: float


HOSPITAL_VPN = Profile(
    name="hospital-vpn",
    line=Faults(
        up=Toxics(latency_s=0.06, jitter_s=0.04, bytes_per_s=256e3),
        down=Toxics(latency_s=0.06, jitter_s=0.04, bytes_per_s=1e6),
    ),
    calm_s=(3600, 5400),
    mishaps=(Mishap(name="VPN down", lasts_s=(360, 360), running=HALF_OPEN, arriving=STALLED),),
    speed=30,
    back_within_s=90,
)

FACTORY_WIFI = Profile(
    name="factory-wifi",
    line=both(Toxics(latency_s=0.005, jitter_s=0.04, bytes_per_s=2e6)),
    calm_s=(15, 45),
    mishaps=(
        Mishap(name="dropout", lasts_s=(1, 5), running=STALLED, arriving=STALLED),
        Mishap(name="roaming", lasts_s=(0.2, 1), running=RESET, arriving=REFUSED, share=0.7),
        Mishap(
            name="interference",
            lasts_s=(5, 15),
            running=both(Toxics(jitter_s=0.4, bytes_per_s=200e3)),
            arriving=both(Toxics(jitter_s=0.4, bytes_per_s=200e3)),
        ),
        Mishap(name="corruption", lasts_s=(2, 4), running=both(Toxics(flip_bit_at=0)), arriving=NO_FAULTS),
    ),
    speed=1,
    back_within_s=30,
)

POWER_CUTS = Profile(
    name="power-cuts",
    line=both(Toxics(latency_s=0.01, jitter_s=0.01)),
    calm_s=(600, 1800),
    mishaps=(Mishap(name="power cut", lasts_s=(30, 120), running=HALF_OPEN, arriving=REFUSED),),
    speed=10,
    back_within_s=90,
)

PROFILES = {profile.name: profile for profile in (HOSPITAL_VPN, FACTORY_WIFI, POWER_CUTS)}
