"""`edgefed job …`: submitting and following jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coordinator.cli import JsonOption, StateOption

if TYPE_CHECKING:  # imported in the commands: `edgefed --help` must not wait for gRPC
    from protos.v1.jobs_pb2 import JobStatus, RoundRecord

job_app = typer.Typer(no_args_is_help=True, help="Submit learning jobs and follow them.")

JobArgument = Annotated[str, typer.Argument(help="The job's name, as in its job file.")]


@job_app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="The job file (TOML).")],
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit a job; it starts as soon as its sites have joined it."""
    from protos.jobs import job_to_json, load_job
    from protos.v1.jobs_pb2 import SubmitJobRequest

    spec_json = job_to_json(load_job(file))
    with _coordinator(state) as stub:
        status = stub.SubmitJob(SubmitJobRequest(spec_json=spec_json))
    line = f"job {status.job} is submitted to {', '.join(site.site for site in status.sites)}"
    print(json.dumps(_document(status)) if as_json else f"{line}; follow it: edgefed job watch {status.job}")


@job_app.command("list")
def list_jobs(state: StateOption = None, as_json: JsonOption = False) -> None:
    """List all jobs, oldest first."""
    from protos.v1.jobs_pb2 import ListJobsRequest

    with _coordinator(state) as stub:
        jobs = stub.ListJobs(ListJobsRequest()).jobs
    if as_json:
        print(json.dumps({"jobs": [_document(status) for status in jobs]}))
    else:
        rows = ((status.job, _phase(status), f"{status.round}/{status.rounds}", status.reason) for status in jobs)
        _print_table(("job", "phase", "round", ""), rows)


@job_app.command()
def show(job: JobArgument, state: StateOption = None, as_json: JsonOption = False) -> None:
    """Show where a job stands and what each of its sites is doing."""
    status = _status(job, state)
    if as_json:
        print(json.dumps(_document(status)))
        return
    print(f"{status.job}: {_phase(status)}, round {status.round} of {status.rounds}. {status.reason}".rstrip())
    _print_table(("site", "state", ""), ((site.site, site.state, site.reason or site.stage) for site in status.sites))


@job_app.command()
def watch(job: JobArgument, state: StateOption = None, as_json: JsonOption = False) -> None:
    """Follow a job to its end, with a progress bar per site. Exits with 9 unless it has finished.

    A coordinator that goes away meanwhile is waited for, ten minutes long.
    """
    from coordinator.state import default_state
    from coordinator.watch import follow, statuses
    from protos.v1.jobs_pb2 import JOB_PHASE_FINISHED

    last = follow(statuses(state or default_state(), job))
    if as_json:
        print(json.dumps(_document(last)))
    else:
        print(f"{last.job}: {_phase(last)} after {len(last.history)} rounds. {last.reason}".rstrip())
    if last.phase != JOB_PHASE_FINISHED:
        raise typer.Exit(9)


@job_app.command()
def invite(
    job: JobArgument,
    site: Annotated[str, typer.Argument(help="An enrolled site: a new one, or one that has left or was refused.")],
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a site into a running job, from the next round on."""
    from protos.v1.jobs_pb2 import InviteSiteRequest

    with _coordinator(state) as stub:
        status = stub.InviteSite(InviteSiteRequest(job=job, site=site))
    print(json.dumps(_document(status)) if as_json else f"{site} is invited to {status.job}")


@job_app.command()
def cancel(
    job: JobArgument,
    reason: Annotated[str, typer.Option(help="Why; the sites are told.")] = "by the operator",
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel a job; its sites stop working on it. A job that has ended stays as it is."""
    from protos.v1.jobs_pb2 import CancelJobRequest

    with _coordinator(state) as stub:
        status = stub.CancelJob(CancelJobRequest(job=job, reason=reason))
    print(json.dumps(_document(status)) if as_json else f"{status.job}: {_phase(status)}. {status.reason}".rstrip())


@job_app.command()
def report(job: JobArgument, state: StateOption = None, as_json: JsonOption = False) -> None:
    """Report a job's rounds: who delivered, who did not and why, bytes and seconds."""
    status = _status(job, state)
    if as_json:
        print(json.dumps(_document(status)))
        return
    rows = (
        (str(past.round), ", ".join(past.committed), f"{past.bytes_up:,}", f"{past.bytes_down:,}",
         f"{past.seconds:.1f}", "\n".join(_told(past)))
        for past in status.history
    )  # fmt: skip
    _print_table(("round", "delivered", "bytes up", "bytes down", "seconds", "closed because"), rows)


def _told(past: RoundRecord) -> list[str]:
    measured = ", ".join(f"{name} {value:.3g}" for name, value in sorted(past.metrics.items()))
    remarks = [f"{site}: {text}" for site, text in past.remarks.items()]
    return [past.reason, *remarks, *([measured] if measured else [])]


def _coordinator(state: Path | None) -> Any:
    from coordinator.operator_channel import connect
    from coordinator.state import default_state

    return connect(state or default_state())


def _status(job: str, state: Path | None) -> JobStatus:
    from protos.v1.jobs_pb2 import ShowJobRequest

    with _coordinator(state) as stub:
        status: JobStatus = stub.ShowJob(ShowJobRequest(job=job))
    return status


def _phase(status: JobStatus) -> str:
    from protos.v1.jobs_pb2 import JobPhase

    return JobPhase.Name(status.phase).removeprefix("JOB_PHASE_").lower()


def _document(status: JobStatus) -> dict[str, Any]:
    """A status as JSON: digests in hex, the phase as a word, the job file as an object."""
    return {
        "job": status.job,
        "phase": _phase(status),
        "reason": status.reason,
        "round": status.round,
        "rounds": status.rounds,
        "global_digest": status.global_digest.hex(),
        "sites": [
            {"site": site.site, "state": site.state, "stage": site.stage, "step": site.step, "steps": site.steps,
             "eta_s": site.eta_s, "reason": site.reason}
            for site in status.sites
        ],
        "history": [
            {"round": past.round, "reason": past.reason, "committed": list(past.committed),
             "missing": dict(past.missing), "global_digest": past.global_digest.hex(), "bytes_up": past.bytes_up,
             "bytes_down": past.bytes_down, "seconds": past.seconds, "remarks": dict(past.remarks),
             "metrics": dict(past.metrics)}
            for past in status.history
        ],
        "spec": json.loads(status.spec_json) if status.spec_json else None,
    }  # fmt: skip


def _print_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
