"""How models that follow a compiled one are to be compiled, and which one runs on the line meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from edge_client.compile_order import (
    COMPILED,
    Order,
    compile_standing,
    line_model,
    order_for_next,
    read_order,
    refuse,
    waiting_job,
    write_order,
)
from edge_client.compiled.backends import AUTO, BACKENDS
from edge_client.config import Compile
from protos.errors import StateError

EGRESS = '[egress]\nallow = ["memory-bank"]\nmax_bytes = 1000\n'
ORDER = Order(backend="tensorrt", precision="int8", allow_fallback=True, forerunner="older", refused="too far")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "version").write_text("1\n")
    (tmp_path / "site.toml").write_text(EGRESS)
    return tmp_path


def install(site: Path, job: str, order: Order | None = None, *, compiled: bool = False) -> Path:
    model = site / "models" / job
    model.mkdir()
    if order:
        write_order(model, order)
    if compiled:
        (model / COMPILED).mkdir()
    (site / "models" / "current").write_text(f"{job}\n")
    return model


def test_nothing_is_compiled_by_itself_where_nobody_has_asked(site: Path) -> None:
    assert order_for_next(site) is None
    install(site, "cells")
    assert order_for_next(site) is None
    assert compile_standing(site).state == "not asked for"
    assert line_model(site) is None and waiting_job(site) is None


def test_a_successor_is_compiled_as_its_forerunner_was_asked_to_be(site: Path) -> None:
    install(site, "cells", ORDER, compiled=True)
    following = Order(backend="tensorrt", precision="int8", allow_fallback=True, forerunner="cells")
    assert order_for_next(site) == following


def test_the_configuration_of_the_site_goes_first_and_holds_for_the_first_model_too(site: Path) -> None:
    (site / "site.toml").write_text(f'{EGRESS}[compile]\nbackend = "auto"\n')
    assert order_for_next(site) == Order(backend="auto", precision="fp32", forerunner=None)
    install(site, "cells", ORDER)
    assert order_for_next(site) == Order(backend="auto", precision="fp32", forerunner="cells")


def test_the_last_compiled_model_stays_on_the_line_until_a_later_one_is_compiled(site: Path) -> None:
    first = install(site, "first", ORDER, compiled=True)
    order = order_for_next(site)
    second = install(site, "second", order)
    assert line_model(site) == first
    assert waiting_job(site) == "second"
    refuse(second, "too far apart")
    assert waiting_job(site) is None
    standing = compile_standing(site)
    assert (standing.job, standing.state, standing.reason) == ("first", "refused", "too far apart")
    third = install(site, "third", order_for_next(site))
    assert line_model(site) == first and waiting_job(site) == "third"
    (third / COMPILED).mkdir()
    assert line_model(site) == third
    assert compile_standing(site).state == "compiled"


def test_orders_that_name_each_other_end(site: Path) -> None:
    for job, before in (("a", "b"), ("b", "a")):
        install(site, job, Order(backend="auto", precision="fp32", forerunner=before))
    assert line_model(site) is None


def test_a_damaged_order_says_what_to_remove(site: Path) -> None:
    model = install(site, "cells", ORDER)
    (model / "compile.json").write_text('{"backend": 1}')
    with pytest.raises(StateError, match=r"compile.json cannot be read; remove it"):
        read_order(model)


def test_a_site_may_ask_for_every_backend_there_is() -> None:
    assert {*get_args(Compile.model_fields["backend"].annotation)} == {*BACKENDS, AUTO}
