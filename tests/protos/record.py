"""`python -m tests.protos.record RELEASE FILE`: records what a site of a release says to its coordinator, and hears.

RELEASE is a folder with the code of that release (`git archive TAG | tar -x -C RELEASE`). Both sides run as processes
of that release. Between them stands a gRPC server that passes every request and reply on as the bytes they are; it
shows a certificate that the coordinator's own CA has issued, since the state folders of both sides lie before it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import elpv_dataset
import grpc
from grpc import aio

from coordinator.certificates import open_authority
from edgefed.local_federation import LocalFederation
from protos.invitation import decode_token, enrolment_credentials

LAST = "/edgefed.v1.Work/ReportInstalled"
JOB = """
name = "cells"
method = "feddymem"
seed = 5
[rounds]
count = 1
[feddymem.features]
image_size = 224
[feddymem.memory]
rows = 24
upload_rows = 12
[feddymem.aggregation]
rows = 8
"""


@dataclass
class Tap(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Passes calls on to the coordinator, and keeps both sides of each, in the order in which they began."""

    coordinator: str
    calls: list[dict[str, Any]] = field(default_factory=list)
    channels: dict[bool, aio.Channel] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def trust(self, ca: bytes, credentials: tuple[bytes, bytes], *, enrolment: bool) -> None:
        """Calls as a site, or as one that is only enrolling."""
        options = [("grpc.ssl_target_name_override", "edgefed-coordinator")]
        secured = grpc.ssl_channel_credentials(ca, *credentials)
        self.channels[enrolment] = aio.secure_channel(self.coordinator, secured, options=options)

    def service(self, details: Any) -> Any:
        """One handler for every method."""
        name = details.method

        async def forward(request: bytes, context: Any) -> bytes:
            call = {"method": name, "request": base64.b64encode(request).decode()}
            self.calls.append(call)
            reply: bytes = await self.channels[name.endswith("/Enrol")].unary_unary(name)(request)
            call["reply"] = base64.b64encode(reply).decode()
            if name == LAST:
                self.done.set()
            return reply

        return grpc.unary_unary_rpc_method_handler(forward)


async def record(release: Path, folder: Path) -> list[dict[str, Any]]:
    """The calls of a site that joins, prepares, trains a round, delivers it and installs the model."""
    os.chdir(release)  # `python -m edgefed` takes the code of the working folder
    _copy_cells(folder / "images" / "train" / "good")
    (folder / "job.toml").write_text(JOB)
    environment = {"PYTHONPATH": str(release), "OMP_NUM_THREADS": "1"}
    with LocalFederation(folder / "federation", environment=environment) as federation:
        await asyncio.to_thread(federation.start_coordinator)
        state = federation.coordinator_state
        authority = open_authority(state / "ca")
        tap = Tap((state / "operator" / "address").read_text().strip())
        server = aio.server(handlers=[tap])
        port = server.add_secure_port(
            "127.0.0.1:0",
            grpc.ssl_server_credentials(
                [authority.issue_server("127.0.0.1")],
                root_certificates=authority.client_roots,
                require_client_auth=True,
            ),
        )
        await server.start()
        token = (
            await asyncio.to_thread(federation.command, "coordinator", "invite", "plant-a", "--state", str(state))
        )["token"]
        tap.trust(authority.pem, enrolment_credentials(decode_token(token).ca_key), enrolment=True)
        site = federation.site_state("plant-a")
        await asyncio.to_thread(
            federation.command, "client", "join", "--coordinator", f"127.0.0.1:{port}", "--token", token,
            "--state", str(site), "--data", str(folder / "images"),
        )  # fmt: skip
        identity = site / "identity"
        credentials = (identity / "key.pem").read_bytes(), (identity / "cert.pem").read_bytes()
        tap.trust(authority.pem, credentials, enrolment=False)
        await asyncio.to_thread(federation.submit, folder / "job.toml")
        federation.run_site("plant-a")
        await asyncio.wait_for(tap.done.wait(), 120)
        calls = [call for call in tap.calls if "reply" in call]
        federation.kill("plant-a")
        await server.stop(None)
        for channel in tap.channels.values():
            await channel.close()
    return calls


def descriptors(release: Path) -> bytes:
    """The release's messages and services, as a FileDescriptorSet."""
    with tempfile.NamedTemporaryFile() as out:
        sources = sorted(str(path.relative_to(release)) for path in release.glob("protos/v1/*.proto"))
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--descriptor_set_out={out.name}", *sources]
        subprocess.run(command, check=True, cwd=release)
        return Path(out.name).read_bytes()


def _copy_cells(folder: Path) -> None:
    folder.mkdir(parents=True)
    images = Path(elpv_dataset.__file__).parent / "data" / "images"
    for image in sorted(images.iterdir())[:80]:
        shutil.copy(image, folder)


def main(release: Path, file: Path) -> None:
    """Writes the recording as one JSON document."""
    with tempfile.TemporaryDirectory() as folder:
        calls = asyncio.run(record(release, Path(folder)))
    document = {"descriptors": base64.b64encode(descriptors(release)).decode(), "calls": calls}
    file.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
