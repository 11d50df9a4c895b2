"""The root command: mounts, version, errors as one line with an exit code, and a quick start without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = [
    (), ("demo",), ("demo", "anomaly"), ("coordinator",), ("coordinator", "start"), ("coordinator", "invite"),
    ("coordinator", "sites"), ("coordinator", "revoke"), ("job",), ("job", "submit"), ("job", "watch"),
    ("client",), ("client", "join"), ("client", "run"), ("client", "status"), ("client", "ledger"),
    ("client", "evaluate"), ("client", "infer"), ("chaos",),
]  # fmt: skip


def _edgefed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "edgefed", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    done = _edgefed(*command, "--help")
    assert done.returncode == 0 and "Usage:" in done.stdout and not done.stderr


def test_version_is_the_packages() -> None:
    assert _edgefed("--version").stdout.startswith("edgefed 0.")


def test_help_loads_neither_torch_nor_grpc() -> None:
    code = "import sys, edgefed.cli; print(sorted({'torch', 'grpc', 'numpy', 'sklearn', 'PIL'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("job", "list", "--state", "{}/nowhere"), 10, "nowhere"),
        (("client", "status", "--state", "{}/nowhere"), 2, "nowhere"),
        (
            ("client", "join", "--coordinator", "127.0.0.1:1", "--token", "x", "--state", "{}/s"),
            2,
            "not an EdgeFed token",
        ),
        (("job", "submit", "{}/nowhere.toml"), 2, "cannot be read"),
        (("client", "fly"), 2, "No such command"),
        (("demo", "anomaly", "--state", "{}"), 2, "was not made by the demo"),
    ],
    ids=range(6),
)
def test_users_fault_is_one_line_and_an_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    (tmp_path / "a file of mine").touch()
    done = _edgefed(*(argument.format(tmp_path) for argument in arguments))
    assert words in done.stderr and "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    assert (tmp_path / "a file of mine").exists()


def test_public_names_can_be_imported() -> None:
    import edgefed

    assert edgefed.__all__ == sorted(edgefed.__all__)
    assert all(getattr(edgefed, name).__name__ == name for name in edgefed.__all__ if name != "Arrays")
    with pytest.raises(AttributeError):
        edgefed.nothing  # noqa: B018
