import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_client import enrolment
from edge_client.config import Data
from edge_client.connection import Connection
from edge_client.enrolment import check_coordinator, join, renew
from edge_client.identity import load_identity
from edge_client.state import open_state
from edgefed.local_federation import LocalFederation
from protos.errors import IntegrityError, InvalidInput, Refused, StateError, Unavailable
from protos.invitation import COORDINATOR_NAME, Invitation, compressed_key, decode_token, encode_token
from protos.v1 import work_pb2


def invite(coordinator: LocalFederation, site: str = "plant-a", *options: str) -> tuple[str, str]:
    """Address and token."""
    made = coordinator.command("coordinator", "invite", site, "--state", str(coordinator.coordinator_state), *options)
    return made["coordinator"], made["token"]


def token_of(authority: Any) -> str:
    key = compressed_key(authority.certificate.public_key())
    return encode_token(Invitation("plant-a", bytes(16), key, int(time.time()) + 3600))


@contextmanager
def tls_server(key: bytes, certificate: bytes, folder: Path) -> Iterator[str]:
    """Shows a certificate to one caller after the other, and nothing more; gives its address."""
    (folder / "server.pem").write_bytes(key + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as secure:
                secure.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "state" / "client"


def test_join_makes_a_whole_state_folder(coordinator: LocalFederation, root: Path, tmp_path: Path) -> None:
    address, token = invite(coordinator)
    identity = join(root, address, token, data=Data(images=tmp_path / "images"))
    assert load_identity(open_state(root)) == identity
    assert identity.site == "plant-a"
    names = sorted(entry.name for entry in root.iterdir())
    assert names == ["artifacts", "identity", "jobs", "models", "outbox", "site.toml", "version"]
    assert (root / "identity" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert str(tmp_path / "images") in (root / "site.toml").read_text()


def test_join_works_in_a_folder_that_is_there_and_empty(coordinator: LocalFederation, root: Path) -> None:
    root.mkdir(parents=True)
    join(root, *invite(coordinator))
    assert open_state(root).root == root


def test_join_starts_anew_when_an_earlier_one_was_killed(coordinator: LocalFederation, root: Path) -> None:
    address, token = invite(coordinator)
    (root / ".joining" / "identity").mkdir(parents=True)
    (root / "site.toml").write_text("# moved already\n")
    assert join(root, address, token).site == "plant-a"
    assert not (root / ".joining").exists()


def test_join_with_the_same_token_when_it_was_killed_after_the_token_was_spent(
    coordinator: LocalFederation, root: Path
) -> None:
    address, token = invite(coordinator)
    killed = """
import os, sys
from pathlib import Path
from edge_client import enrolment
enrolment.save_identity = lambda *_: os._exit(137)
enrolment.join(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
"""
    run = subprocess.run([sys.executable, "-c", killed, str(root), address, token], check=False)
    assert run.returncode == 137
    with pytest.raises(Refused, match="already used"):  # of another machine that has seen the token
        join(root.with_name("other"), address, token)
    assert join(root, address, token).site == "plant-a"
    assert "version" in (names := {entry.name for entry in root.iterdir()}) and ".joining" not in names


def test_join_keeps_the_key_it_sent_when_nobody_answers_any_more(
    coordinator: LocalFederation, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, token = invite(coordinator)
    with monkeypatch.context() as lost:
        lost.setattr(enrolment, "_trade", lose_the_answer_of(enrolment._trade))
        with pytest.raises(Unavailable):
            join(root, address, token)
    assert [entry.name for entry in root.iterdir()] == [".joining"]
    assert join(root, address, token).site == "plant-a"


def lose_the_answer_of(trade: Any) -> Any:
    async def traded(*arguments: Any) -> Any:
        await trade(*arguments)
        raise Unavailable("the line was cut")

    return traded


def test_join_says_who_has_joined_when_it_is_repeated(coordinator: LocalFederation, root: Path) -> None:
    address, token = invite(coordinator)
    join(root, address, token)
    with pytest.raises(InvalidInput, match=f"has already joined {address} as plant-a"):
        join(root, address, token)


def test_join_refuses_a_mistyped_token_before_it_dials(root: Path) -> None:
    with pytest.raises(InvalidInput, match="not an EdgeFed token"):
        join(root, "127.0.0.1:1", "edgefed1.plant")
    assert not root.exists()


def test_join_refuses_a_used_token_and_leaves_nothing(coordinator: LocalFederation, root: Path, tmp_path: Path) -> None:
    address, token = invite(coordinator)
    join(tmp_path / "first", address, token)
    with pytest.raises(Refused, match="already used"):
        join(root, address, token)
    assert not root.exists()


def test_join_refuses_an_expired_token(coordinator: LocalFederation, root: Path) -> None:
    address, token = invite(coordinator, "plant-a", "--expires-in", "1s")
    time.sleep(1.1)
    with pytest.raises(Refused, match=r"expired at .*this machine's clock says"):
        join(root, address, token)
    assert not root.exists()


def test_join_does_not_send_the_token_to_another_coordinator(
    coordinator: LocalFederation, federation: LocalFederation, root: Path
) -> None:
    other, _ = invite(federation)
    address, token = invite(coordinator)
    with pytest.raises(IntegrityError, match="wrong CA"):
        join(root, other, token)
    assert not root.exists()
    join(root, address, token)


def test_join_refuses_a_site_that_poses_as_the_coordinator(authority: Any, root: Path, tmp_path: Path) -> None:
    """Every site has a certificate of the right CA; only the coordinator's is for the coordinator's name."""
    pair = authority.issue("plant-b", dns="plant-b")
    with tls_server(*pair, tmp_path) as address, pytest.raises(IntegrityError, match="wrong CA"):
        join(root, address, token_of(authority))


@pytest.mark.parametrize("days", [-10, 10])
def test_join_says_both_times_when_a_clock_is_wrong(authority: Any, root: Path, tmp_path: Path, days: int) -> None:
    start = datetime.now(UTC) + timedelta(days=days)
    pair = authority.issue("coordinator", dns=COORDINATOR_NAME, start=start, life=timedelta(days=5))
    said = f"clock says {datetime.now(UTC):%Y-%m-%d}.* valid from {start:%Y-%m-%d}.*was not sent"
    with tls_server(*pair, tmp_path) as address, pytest.raises(Refused, match=said):
        join(root, address, token_of(authority))
    assert not root.exists()


def test_join_says_so_when_nobody_answers(authority: Any, root: Path) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 cannot be reached: Connection refused"):
        join(root, "127.0.0.1:1", token_of(authority))
    assert not root.exists()


def test_join_says_so_when_what_answers_does_not_speak_tls(authority: Any, root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            with plain:
                plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                plain.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Unavailable, match="cannot be reached"):
            join(root, f"127.0.0.1:{listener.getsockname()[1]}", token_of(authority))
        thread.join()


@pytest.mark.parametrize("address", ["coordinator", "host:", ":7443", "host:0", "host:99999", "host:http"])
def test_join_refuses_an_address_without_a_port(authority: Any, root: Path, address: str) -> None:
    with pytest.raises(InvalidInput, match="write HOST:PORT"):
        join(root, address, token_of(authority))


def test_join_leaves_a_folder_of_others_alone(authority: Any, root: Path) -> None:
    root.mkdir(parents=True)
    (root / "thesis.tex").write_text("x")
    with pytest.raises(InvalidInput, match="is not empty"):
        join(root, "127.0.0.1:1", token_of(authority))
    assert list(root.iterdir()) == [root / "thesis.tex"]


def test_join_refuses_a_folder_of_another_version(authority: Any, root: Path) -> None:
    root.mkdir(parents=True)
    (root / "version").write_text("0\n")
    with pytest.raises(StateError, match="state version '0'"):
        join(root, "127.0.0.1:1", token_of(authority))


def test_join_says_so_when_the_folder_cannot_be_made(authority: Any, root: Path) -> None:
    root.parent.write_text("a file")
    with pytest.raises(StateError, match="cannot be made"):
        join(root, "127.0.0.1:1", token_of(authority))


async def test_a_renewed_certificate_is_stored_and_used(coordinator: LocalFederation, tmp_path: Path) -> None:
    coordinator.join("plant-r", None)
    state = open_state(coordinator.site_state("plant-r"))
    identity = load_identity(state)
    async with Connection.of(identity) as connection:
        renewed = await renew(state, identity, connection)
        connection.present(renewed.certificate_pem)
        request = work_pb2.HelloRequest(min_protocol=1, max_protocol=1)
        assert (await connection.call(connection.work.Hello, request)).site == "plant-r"
    assert renewed.certificate_pem != identity.certificate_pem
    assert load_identity(state) == renewed


async def test_the_release_key_is_pinned_on_joining_or_else_with_the_next_renewal(coordinator: LocalFederation) -> None:
    coordinator.join("plant-k", None)
    state = open_state(coordinator.site_state("plant-k"))
    pinned, identity = state.identity / "release.pem", load_identity(state)
    public = (coordinator.coordinator_state / "release" / "public.pem").read_bytes()
    assert pinned.read_bytes() == public
    pinned.unlink()  # as at a site that joined a coordinator without such a key
    async with Connection.of(identity) as connection:
        await renew(state, identity, connection)
    assert pinned.read_bytes() == public


async def test_a_revoked_site_is_told(coordinator: LocalFederation) -> None:
    coordinator.join("plant-x", None)
    state = open_state(coordinator.site_state("plant-x"))
    coordinator.command("coordinator", "revoke", "plant-x", "--state", str(coordinator.coordinator_state))
    async with Connection.of(load_identity(state)) as connection:
        with pytest.raises(Refused, match="revoked"):
            await renew(state, load_identity(state), connection)


def test_an_answer_that_is_no_certificate_is_told(authority: Any) -> None:
    invitation = decode_token(token_of(authority))
    _, pem = authority.issue("coordinator", dns=COORDINATOR_NAME)
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    of_version_10 = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09")
    for answer in (b"0\x03nothing", of_version_10):
        with pytest.raises(IntegrityError, match="is not the coordinator that made this token"):
            check_coordinator(answer, "c:1", invitation, datetime.now(UTC))
