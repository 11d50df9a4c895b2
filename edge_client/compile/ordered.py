"""Compiling without a person at the keyboard: as the order beside a model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_client.compile.compiler import compile_model
from edge_client.compile.request import Request
from edge_client.compile_order import read_order
from edge_client.signing import try_to_sign
from edge_client.state import model_folder
from models.method import Report
from protos.errors import InvalidInput


def compile_ordered(root: Path, job: str, report: Report) -> dict[str, Any]:
    """Compiles the installed model of a job, and has it signed where the coordinator can be asked.

    Returns:
        "backend" and "precision" of the bundle, and "notes": why it has another precision or no signature.

    Raises:
        InvalidInput: there is no such model, or no order.
        EdgeFedError: see `compile_model`.
    """
    order = read_order(model_folder(root, job))
    if order is None:
        raise InvalidInput(f"nobody has asked for the model of {job!r} to be compiled; run `edgefed client compile`")
    folder, compiled = compile_model(Request(root, job, order.backend, order.precision, order.allow_fallback), report)
    unsigned = try_to_sign(root, folder)
    notes = [str(compiled.refused)] if compiled.refused else []
    return {
        "backend": compiled.backend,
        "precision": compiled.parity.precision,
        "notes": [*notes, *([f"the compiled model is not signed yet: {unsigned}"] if unsigned else [])],
    }
