"""`edgefed chaos`: a test deployment under the faults of a real network."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

# What a run needs is imported in it: `edgefed --help` must not wait for gRPC and the database.

# Exit codes.
MISSED = 6  # an objective was missed
INTERRUPTED = 130  # the report is of what there was


class ProfileName(StrEnum):
    """The profiles, as on the command line."""

    HOSPITAL_VPN = "hospital-vpn"
    FACTORY_WIFI = "factory-wifi"
    POWER_CUTS = "power-cuts"


def chaos(
    profile: Annotated[ProfileName, typer.Option(help="Which network to rehearse.")],
    coordinator: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the coordinator listens.")],
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the sites dial instead.")],
    state: Annotated[
        Path | None, typer.Option(help="The coordinator's state folder; with it jobs are watched and judged.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=7 * 86_400, help="How long faults are injected.")] = 600,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=1000, help="How many times faster than in real life.", show_default="as the profile says"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same faults.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Put a bad network between the sites and the coordinator of a test deployment, and judge how they bear it.

    Prints pass or fail for each of the profile's objectives, with the figure, and exits with 6 where one was missed.
    Ctrl-C ends the run with the report so far.
    """
    import asyncio
    import json

    from rich.console import Console

    from coordinator.address import parse_address
    from edgefed.chaos.conductor import Trial
    from edgefed.chaos.job_watch import JobWatch
    from edgefed.chaos.narrator import Narrator
    from edgefed.chaos.objectives import judge
    from edgefed.chaos.profiles import PROFILES
    from edgefed.chaos.report import document, has_passed, print_report
    from edgefed.chaos.run import run

    chosen = PROFILES[profile]
    trial = Trial(
        profile=chosen, coordinator=parse_address(coordinator).from_here, listen=parse_address(listen),
        seconds=seconds, speed=speed or chosen.speed, seed=seed,
    )  # fmt: skip
    _check_length(trial.seconds, trial.speed, profile)
    with Narrator(Console(stderr=True)) as narrator:
        outcome = asyncio.run(run(trial, JobWatch(state) if state else None, narrator))
    verdicts = judge(outcome.seen, back_within_s=chosen.back_within_s)
    if as_json:
        print(json.dumps(document(trial, outcome, verdicts)))
    else:
        print_report(trial, outcome, verdicts, Console())
    if not outcome.seen.complete:
        raise typer.Exit(INTERRUPTED)
    if not has_passed(verdicts):
        raise typer.Exit(MISSED)


def _check_length(seconds: float, speed: float, profile: str) -> None:
    from edgefed.chaos.plan import first_end_s
    from edgefed.chaos.profiles import PROFILES
    from protos.errors import InvalidInput

    needed = first_end_s(PROFILES[profile], speed)
    if seconds < needed:
        raise InvalidInput(
            f"{seconds:g} s are too short for a fault of {profile} at {speed:g} times its pace: give --seconds of "
            f"{needed:.0f} or more, or a higher --speed"
        )
