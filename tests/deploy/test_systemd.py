"""systemd's own judgement of the units."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from edgefed.cli import app

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
WORST_EXPOSURE = 20  # of 100; 1.9 of 10 for those that may use a GPU
INSTALLED = "/opt/edgefed/bin/edgefed"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


def analyzed(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_sound_and_confined(unit: Path, tmp_path: Path) -> None:
    there = tmp_path / unit.name
    there.write_text(unit.read_text().replace(INSTALLED, "/bin/true"))  # which is on every machine
    verified = analyzed("verify", there)
    assert (verified.returncode, verified.stderr) == (0, "")
    confined = analyzed("security", "--offline=true", f"--threshold={WORST_EXPOSURE}", there)
    assert confined.returncode == 0, confined.stdout[-200:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_that_is_there_with_options_that_it_has(unit: Path) -> None:
    line = re.search(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    assert line is not None
    program, *words = shlex.split(line[1])
    assert program == INSTALLED
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("edgefed", words)
