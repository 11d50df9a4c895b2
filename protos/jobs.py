"""`job.toml`: what a job is. One pydantic model, checked in one go so that every fault is told at once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from models.method import Method, methods
from protos.errors import InvalidInput
from protos.invitation import SITE_NAME

_STRICT = ConfigDict(extra="forbid", frozen=True)
MAX_JOB_BYTES = 48 << 10  # a control message stays under 64 KiB


class RoundPolicy(BaseModel):
    """When a round opens and closes.

    Attributes:
        count: rounds of the job.
        sites: who is invited; empty means every site that is enrolled when the job is submitted.
        quorum: how many updates a round needs; 0 means all invited sites.
        gather_s: seconds to wait for the invited sites to join before the first round opens with those that did.
        progress_s: seconds without progress after which a site loses its lease of a round.
        deadline_s: seconds after a round's opening from which on a quorum is enough; 0 waits for every site that works.
        short: what a round does that cannot reach its quorum: it fails with its job, or waits for sites to come back.
        late: what becomes of an update whose round is over: dropped, or counted in the next round.
        staleness: a late update that is `a` rounds old counts (1 + a) ** -staleness (FedBuff's discount at 0.5).
        buffer: asynchronous mode: a round is aggregated as soon as it has this many updates, and who is still at work
            on an older global goes on and is counted late; 0 is the synchronous mode.
    """

    model_config = _STRICT

    count: Annotated[int, Field(ge=1, le=10_000)] = 5
    sites: tuple[str, ...] = ()
    quorum: Annotated[int, Field(ge=0)] = 0
    gather_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = 60.0
    progress_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = 300.0
    deadline_s: Annotated[float, Field(ge=0, le=365 * 86_400)] = 0.0
    short: Literal["fail", "wait"] = "fail"
    late: Literal["drop", "next-round"] = "drop"
    staleness: Annotated[float, Field(ge=0, le=10)] = 0.5
    buffer: Annotated[int, Field(ge=0)] = 0

    @field_validator("sites")
    @classmethod
    def _names(cls, sites: tuple[str, ...]) -> tuple[str, ...]:
        for site in sites:
            if not SITE_NAME.fullmatch(site):
                raise ValueError(f"{site!r} is not a site name (a-z, 0-9 and '-', as in 'plant-a')")
        if len(set(sites)) != len(sites):
            raise ValueError("a site is named twice")
        return sites

    def fault_for(self, sites: int) -> str:
        """Why a round cannot be done with so many sites, or an empty text."""
        if self.quorum > sites:
            return f"the quorum of {self.quorum} cannot be reached by {sites} sites"
        return f"the buffer of {self.buffer} cannot be filled by {sites} sites" if self.buffer > sites else ""

    @model_validator(mode="after")
    def _quorum_possible(self) -> RoundPolicy:
        if self.sites and (fault := self.fault_for(len(self.sites))):
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _buffer_possible(self) -> RoundPolicy:
        if self.buffer and self.late != "next-round":
            raise ValueError('a buffer (asynchronous rounds) needs late = "next-round"; there is always somebody late')
        if self.buffer and self.quorum > self.buffer:
            raise ValueError(f"the quorum of {self.quorum} is more than the buffer of {self.buffer}")
        return self


class JobSpec(BaseModel):
    """One learning task: method, its settings, round policy, seed.

    Attributes:
        name: of the job; like a site name.
        method: one of the installed methods.
        seed: of everything random in the job; the same seeds and updates give the same global bytes.
        rounds: the round policy.
        settings: the method's own table, complete with its defaults.
    """

    model_config = _STRICT

    name: str
    method: str
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    rounds: RoundPolicy = RoundPolicy()
    settings: dict[str, Any] = {}

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        if not SITE_NAME.fullmatch(name):
            raise ValueError("use 1 to 63 of a-z, 0-9 and '-', as in 'solar-cells'")
        if name == "current":
            raise ValueError("sites call the model that they run 'current'; choose another name")
        return name

    @property
    def the_method(self) -> Method:
        """The method as a value."""
        return methods()[self.method]

    @property
    def the_settings(self) -> Any:
        """The method's settings as its frozen dataclass."""
        return TypeAdapter(self.the_method.settings).validate_python(self.settings)


def load_job(path: Path) -> JobSpec:
    """Reads `job.toml`. Raises `InvalidInput` that lists every fault of the file."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"the job file {path} cannot be read: {error.strerror}") from error
    if len(text) > MAX_JOB_BYTES:
        raise InvalidInput(f"the job file {path} has {len(text)} bytes; at most {MAX_JOB_BYTES} are read")
    try:
        table = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, not UTF-8, or a number of 5,000 digits
        raise InvalidInput(f"{path} is not valid TOML: {error}") from error
    return job_from_table(table, source=str(path))


def job_from_table(table: Mapping[str, Any], *, source: str) -> JobSpec:
    """Checks a job as it stands in TOML, with the method's settings under the method's name.

    Raises:
        InvalidInput: with one line per fault, all of them.
    """
    faults: list[str] = []
    top = dict(table)
    method = methods().get(str(top.get("method", "")))
    settings: dict[str, Any] = {}
    if method is None:
        known = ", ".join(sorted(methods()))
        faults.append(f"method: {top.get('method', 'missing')!r} is not installed; there is {known}")
        # Without the method its table cannot be told from an unknown key; do not report it as one.
        top = {key: value for key, value in top.items() if key in JobSpec.model_fields or not isinstance(value, dict)}
    else:
        adapter = TypeAdapter(method.settings)
        try:
            settings = adapter.dump_python(adapter.validate_python(top.pop(method.name, {})), mode="json")
        except ValidationError as error:
            faults += _lines(error, method.name)
    if "settings" in top:
        faults.append(f"settings: not a key of a job file; write the table [{method.name if method else 'METHOD'}]")
        del top["settings"]
    try:
        spec = JobSpec.model_validate({**top, "settings": settings})
        faults += _too_few(spec) if not faults else []
    except ValidationError as error:
        faults += _lines(error, "")
    if faults:
        listing = "\n".join(f"  {fault}" for fault in faults)
        raise InvalidInput(f"{source} has {len(faults)} fault{'s' * (len(faults) > 1)}:\n{listing}")
    return spec


def job_to_json(spec: JobSpec) -> str:
    """The job as it travels and is stored."""
    return spec.model_dump_json()


def job_for_sites(spec: JobSpec) -> str:
    """The job as sites get it: without what stands at its default.

    A site of an older release refuses a job with a key that it does not know; so it takes every job that uses nothing
    newer than itself. That needs defaults that never change, which a test holds.
    """
    settings = TypeAdapter(spec.the_method.settings)
    chosen = settings.dump_python(spec.the_settings, mode="json", exclude_defaults=True)
    return spec.model_copy(update={"settings": chosen}).model_dump_json(exclude_defaults=True)


def job_from_json(text: str) -> JobSpec:
    """Reads a job that came over the wire. Raises `InvalidInput` with every fault."""
    if len(text) > MAX_JOB_BYTES:
        raise InvalidInput(f"a job of {len(text)} bytes is too large; at most {MAX_JOB_BYTES} are read")
    try:
        spec = JobSpec.model_validate_json(text)
        if spec.method not in methods():
            known = ", ".join(sorted(methods()))
            raise InvalidInput(f"the method {spec.method!r} is not installed here; there is {known}")
        _ = spec.the_settings
    except ValidationError as error:
        raise InvalidInput("the job is not valid:\n" + "\n".join(f"  {line}" for line in _lines(error, ""))) from error
    return spec


def _too_few(spec: JobSpec) -> list[str]:
    fewest, policy = spec.the_method.fewest_updates(spec.the_settings), spec.rounds
    given = {"sites": len(policy.sites), "quorum": policy.quorum, "buffer": policy.buffer}
    return [
        f"rounds.{key}: {number} updates are too few for the aggregation of [{spec.method}]; as it is set, it needs "
        f"{fewest}"
        for key, number in given.items()
        if 0 < number < fewest
    ]


def _lines(error: ValidationError, prefix: str) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in ((prefix,) if prefix else ()) + tuple(fault["loc"]))
        what = "unknown key" if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument") else fault["msg"]
        lines.append(f"{where or 'job'}: {what}")
    return lines
