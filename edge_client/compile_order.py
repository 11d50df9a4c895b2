"""`compile.json` beside an installed model: how it is to be compiled, and why it could not be.

A model that was compiled once has successors that are compiled alike; see `edge_client.recompiling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_client.config import Compile, load_site_config
from edge_client.plain import one_line
from edge_client.state import check_job_name, open_state, write_durably
from protos.errors import StateError

FILE = "compile.json"
COMPILED = "compiled"


class Order(BaseModel):
    """The file.

    Attributes:
        backend: as asked for.
        precision: as asked for; what a bundle has may be float32 instead.
        allow_fallback: as asked for.
        forerunner: the job whose model was the site's before; its compiled one runs until this one is compiled.
        refused: why it is not compiled, or not at this precision; "" where nothing is in the way.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    backend: str
    precision: Literal["fp32", "fp16", "int8"]
    allow_fallback: bool = False
    forerunner: str | None = None
    refused: str = ""


@dataclass(frozen=True)
class Standing:
    """What there is of compiled models at a site.

    Attributes:
        job: whose compiled model runs on the line; None where there is none.
        state: of the current model: "compiled", "waiting", "refused", or "not asked for".
        reason: why it was refused, or runs in float32.
    """

    job: str | None
    state: Literal["compiled", "waiting", "refused", "not asked for"]
    reason: str = ""


def read_order(model: Path) -> Order | None:
    """The order beside a model, or None. Raises `StateError` where it cannot be understood."""
    try:
        return Order.model_validate_json((model / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise StateError(f"{model / FILE} cannot be read; remove it and run `edgefed client compile`") from error


def write_order(model: Path, order: Order) -> None:
    """Keeps an order beside a model. Raises `StateError` where the folder cannot be written."""
    write_durably(model / FILE, order.model_dump_json().encode() + b"\n")


def refuse(model: Path, reason: str) -> None:
    """Notes why a model is not compiled; it waits no longer. Raises `StateError`."""
    if order := read_order(model):
        write_order(model, order.model_copy(update={"refused": one_line(reason)}))


def order_for_next(root: Path) -> Order | None:
    """How a model is to be compiled that takes the current one's place: as `site.toml` says, or else like that one.

    Raises:
        InvalidInput: `site.toml` has faults.
        StateError: the order of the current model cannot be read.
    """
    state = open_state(root)
    current = state.current_model()
    wanted = load_site_config(root).compile
    if wanted is not None:
        return _as_asked(wanted, current)
    before = None if current is None else read_order(state.models / current)
    return None if before is None else before.model_copy(update={"forerunner": current, "refused": ""})


def waiting_job(root: Path) -> str | None:
    """The current model's job, where that model is still to be compiled. Raises `StateError`."""
    found = compile_standing(root)
    return open_state(root).current_model() if found.state == "waiting" else None


def line_model(root: Path) -> Path | None:
    """The folder of the newest model that is compiled: the current one, or one that it has taken the place of.

    Raises:
        InvalidInput: no site has joined there.
        StateError: an order cannot be read.
    """
    state = open_state(root)
    name, seen = state.current_model(), set[str]()
    while name is not None and name not in seen:
        seen.add(name)
        model = state.models / check_job_name(name)
        if (model / COMPILED).exists():
            return model
        order = read_order(model)
        name = order.forerunner if order else None
    return None


def compile_standing(root: Path) -> Standing:
    """Where compiling stands at a site. Raises as `line_model`."""
    state, line = open_state(root), line_model(root)
    job, current = line.name if line else None, state.current_model()
    order = None if current is None else read_order(state.models / current)
    reason = order.refused if order else ""
    if job is not None and job == current:
        return Standing(job, "compiled", reason)
    if order is None:
        return Standing(job, "not asked for")
    return Standing(job, "refused" if reason else "waiting", reason)


def _as_asked(wanted: Compile, current: str | None) -> Order:
    return Order(backend=wanted.backend, precision=wanted.precision, forerunner=current)
