"""What can be held against the container files where no engine builds them."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "deploy" / "containers").glob("*.Containerfile"))
INSTRUCTIONS = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "HEALTHCHECK", "RUN", "USER", "VOLUME", "WORKDIR"
}  # fmt: skip


def instructions(path: Path) -> list[tuple[str, str]]:
    """Name and arguments of every instruction, with continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_instructions_are_known_and_their_commands_are_shell(path: Path) -> None:
    for name, rest in instructions(path):
        assert name in INSTRUCTIONS, name
        if name == "RUN":
            assert subprocess.run(["sh", "-n", "-c", rest], capture_output=True, check=False).returncode == 0, rest


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_copied_is_in_the_repository_and_reaches_the_builder(path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [rest for name, rest in instructions(path) if name == "COPY" and not rest.startswith("--from=")]
    sources = [source for rest in copied for source in shlex.split(rest)[:-1]]
    assert len(sources) >= 9
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source.partition("/")[0] not in ignored, source
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(packages["packages"]) <= set(sources)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_images_are_rootless_with_a_health_check_and_a_base_that_whoever_builds_pins(path: Path) -> None:
    found = instructions(path)
    final = found[max(index for index, (name, _) in enumerate(found) if name == "FROM") :]
    assert ("USER", "10001") in final
    assert [name for name, _ in final].count("HEALTHCHECK") == 1
    assert {rest.partition(" ")[0] for name, rest in found if name == "FROM"} == {"${BASE}"}
    assert not re.search(r"sha256:[0-9a-f]{64}", path.read_text()), "a digest that nobody here has looked at"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_extras_are_those_of_the_package(path: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = next(rest.removeprefix("EXTRAS=") for name, rest in instructions(path) if rest.startswith("EXTRAS="))
    assert set(asked.split(",")) <= extras.keys()
