"""`edgefed client serve` as a process on fixed ports of this machine, so that it can be killed and come back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from edge_client.threads import VARIABLE


class ServeProcess:
    """A server over HTTP and ZeroMQ, with one thread for numerical work.

    Args:
        log: file for what it says.
        arguments: of `edgefed client serve`, as what is served; the entrances are added.

    Raises:
        RuntimeError: it does not start.
    """

    def __init__(self, log: Path, *arguments: object) -> None:
        self._log, self._arguments = log, [str(argument) for argument in arguments]
        self.port, self.endpoint = 0, "tcp://127.0.0.1:*"
        self.start()

    @property
    def pid(self) -> int:
        """The process that serves now."""
        return self._process.pid

    def start(self) -> None:
        """Starts it and waits until it is ready. Another time it listens where it did the first time."""
        command = [sys.executable, "-m", "edgefed", "client", "serve", "--json", *self._arguments]
        command += ["--http", f"127.0.0.1:{self.port}", "--zmq", self.endpoint]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, env={**os.environ, VARIABLE: "1"})
            said = log.tell()
        for message in self._messages(said):
            if found := re.search(r"^http on .*:(\d+)$", message):
                self.port = int(found[1])
            if found := re.search(r"^zmq frames on (\S+)$", message):
                self.endpoint = found[1]
            if message == "ready":
                return
        raise RuntimeError(f"the server ended with {self._process.returncode}; see {self._log}")

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ends it as an init system does; its exit code."""
        self._process.terminate()
        return self._process.wait(60)

    def _messages(self, said: int) -> Iterator[str]:
        """What it says from a place in its log on, for as long as it runs."""
        with self._log.open() as log:
            log.seek(said)
            while self._process.poll() is None:
                if (line := log.readline()).startswith("{"):
                    yield json.loads(line)["message"]
                elif not line:
                    time.sleep(0.02)
