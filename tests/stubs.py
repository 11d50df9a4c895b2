"""`python -m tests.stubs`: fails when the committed stubs are not what protos/v1/*.proto generate."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
STUBS = Path("protos/v1")
_PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")


def stale_stubs() -> list[str]:
    """Names of committed stubs that are missing, stale, or made from a proto file that is gone."""
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / STUBS).glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "grpc_python")]
        outputs += [f"--{kind}_out=quiet:{folder}" for kind in ("mypy", "mypy_grpc")]
        plugins = [f"--plugin={name}={Path(sys.executable).with_name(name)}" for name in _PLUGINS]
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", "-I.", *plugins, *outputs, *sources], check=True, cwd=ROOT
        )
        fresh = {path.name: path.read_bytes() for path in (Path(folder) / STUBS).iterdir()}
    committed = {path.name: path.read_bytes() for path in (ROOT / STUBS).glob("*_pb2*.py*")}
    return sorted(name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))


if __name__ == "__main__":
    if stale := stale_stubs():
        sys.exit(f"stale stubs: {', '.join(stale)}; run `make protos` and commit the result")
