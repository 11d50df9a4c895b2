"""A parity certificate as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from edge_client.prove.certificate import Certificate, Parity


def print_parity(parity: Parity, console: Console) -> None:
    """One column for each precision that was tried, and what was kept in float below it."""
    found = parity.certificates
    table = Table(title=f"parity with the {found[0].reference}", title_justify="left")
    table.add_column("")
    for certificate in found:
        table.add_column(f"{certificate.precision} on {certificate.backend}", justify="right", overflow="fold")
    for name, cells in _rows(found):
        table.add_row(name, *cells)
    console.print(table)
    for note in dict.fromkeys(certificate.note for certificate in found if certificate.note):
        console.print(f"Note: {note}.")
    for layer, reason in parity.kept_in_float.items():
        console.print(f"Kept in float: {layer} ({reason})", highlight=False)


def _rows(found: Sequence[Certificate]) -> list[tuple[str, list[str]]]:
    rows = [
        ("images", [str(sum(one.images.values())) for one in found]),
        ("relative difference of scores", [f"{one.score.max_relative:.1e}" for one in found]),
        ("relative difference of maps", [f"{one.map.max_relative:.1e}" for one in found]),
        ("cosine of maps", [f"{one.map.cosine:.6f}" for one in found]),
        ("rank correlation", [f"{one.rank_correlation:.4f}" for one in found]),
        ("image AUROC, trained", [f"{one.area.reference:.4f}" if one.area else "–" for one in found]),
        ("image AUROC, compiled", [f"{one.area.compiled:.4f}" if one.area else "–" for one in found]),
        ("changed decisions", [_flips(one) for one in found]),
        ("rejected test normals", [_rejects(one) for one in found]),
        ("no numbers", [str(one.nonfinite) for one in found]),
        ("verdict", ["passed" if one.passed else f"refused: {_missed(one)}" for one in found]),
    ]
    return rows


def _flips(certificate: Certificate) -> str:
    decisions = certificate.decisions
    if decisions is None:
        return "–"
    if not decisions.flips:
        return "0"
    return f"{decisions.flips}, at most {100 * max(decisions.flip_distances):.1f} % from the threshold"


def _rejects(certificate: Certificate) -> str:
    decisions = certificate.decisions
    if decisions is None or not decisions.test_normals:
        return "–"
    return f"{decisions.compiled_rejects} of {decisions.test_normals}, trained {decisions.reference_rejects}"


def _missed(certificate: Certificate) -> str:
    return ", ".join(gate.name for gate in certificate.gates if not gate.passed)
