"""Flower as it comes: a SuperLink, SuperNodes and one run of the app in `flower_app/`, on loopback without TLS."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.peer_environments import FLOWER, PeerMissing, environment
from benchmarks.processes import end, with_environment

NAME = "Flower 1.41.0"
# Neither telemetry nor update checks, which would add network waits to Flower's figures.
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
_APP = Path(__file__).parent / "flower_app"
_START_S = 60.0
_HEADROOM_S = 60.0  # a round is given this long plus two minutes before the run counts as failed


class Flower:
    """The processes of a Flower federation; on the way out every one is ended.

    Its daemons leave their process group, so they are found by the FLWR_HOME in their environment: `FOLDER/superlink`
    marks the coordinator's side (SuperLink, SuperExec, ServerApp) and `FOLDER/supernode-N` a site's.
    """

    def __init__(self, folder: Path, sites: int) -> None:
        """Nothing is started yet. `folder` is made."""
        self.folder, self.sites = folder.resolve(), sites
        self.bin = environment("flower", FLOWER)
        self._port = _free_port()
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Flower:
        try:
            self._start("superlink", "flower-superlink", "--port", str(self._port),
                        "--disable-runtime-dependency-installation")  # fmt: skip
            self._wait_for_superlink()
            for number in range(self.sites):
                self._start(f"supernode-{number}", "flower-supernode", "--superlink", f"127.0.0.1:{self._port}",
                            "--port", str(_free_port()))  # fmt: skip
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def processes(self, role: str) -> set[int]:
        """The processes of "superlink" or of "supernode-N", with everything that they started."""
        return with_environment("FLWR_HOME", str(self.folder / role))

    def run(self, *, rounds: int, arrays: int, values: int) -> dict[str, Any]:
        """One `flwr run` of the app; the seconds of each round and what was added to the model.

        Raises:
            PeerMissing: no result came; with the last line of the SuperLink's log.
        """
        found = self.folder / "result.json"
        found.unlink(missing_ok=True)
        connection = f'[superlink]\ndefault = "bench"\n[superlink.bench]\naddress = "127.0.0.1:{self._port}"\n'
        home = self.folder / "cli"
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.toml").write_text(connection + "insecure = true\n")
        config = f'sites={self.sites} rounds={rounds} arrays={arrays} values={values} result="{found}"'
        command = [str(self.bin / "flwr"), "run", str(_APP), "--run-config", config]
        done = subprocess.run(command, env=self._environment("cli"), capture_output=True, text=True)
        if done.returncode:
            raise PeerMissing(f"flwr run ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
        deadline = time.monotonic() + _HEADROOM_S + 120 * rounds
        while not found.exists():
            if time.monotonic() > deadline:
                raise PeerMissing(f"flwr run gave no result: {self._last_line()}")
            time.sleep(0.2)
        return dict(json.loads(found.read_text()))

    def _start(self, role: str, command: str, *arguments: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{role}.log").open("ab") as log:
            daemon = subprocess.Popen(
                [str(self.bin / command), "--insecure", "--host", "127.0.0.1", *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment(role), start_new_session=True,
            )  # fmt: skip
        self._daemons.append(daemon)

    def _environment(self, role: str) -> dict[str, str]:
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"  # Flower starts its own commands by name
        return {**os.environ, **QUIET, "FLWR_HOME": str(self.folder / role), "PATH": path}

    def _wait_for_superlink(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=1).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise PeerMissing(f"the SuperLink did not start: {self._last_line()}")

    def _last_line(self) -> str:
        lines = (self.folder / "superlink.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _end(self) -> None:
        end(lambda: with_environment("FLWR_HOME", str(self.folder)))
        for daemon in self._daemons:
            daemon.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
