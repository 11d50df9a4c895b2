"""Connections to a real coordinator that are no gRPC: garbage, half handshakes, HTTP/2 against its rules, silence.

A case is over when the coordinator has hung up or has been left alone; in between a well-behaved site is still served.
"""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import grpc

from protos.v1 import work_pb2
from protos.v1.work_pb2_grpc import WorkStub
from tests.fuzz.mutations import EDGES
from tests.fuzz.requests import GROWTH_BYTES
from tests.fuzz.target import Target, target
from tests.fuzz.trials import Tally

SERVED_S = 1.0  # in which a well-behaved site gets its answer meanwhile
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, RST, PING, CONTINUATION = 4, 1, 3, 6, 9
OPEN_AT_ONCE = 40  # connections of earlier cases that are kept open, silent


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream % 2**32) + payload


def http2(random: Random) -> bytes:
    """What follows the preface: floods that are known from other servers, or frames of chance."""
    hello = PREFACE + frame(SETTINGS, 0, 0, b"")
    headers = b"\x83\x87\x84\x41\x01x"  # POST https / x, from the static table
    match random.randrange(9):
        case 0:
            return hello + b"".join(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31 - 1)) for _ in range(2000))
        case 1:
            return hello + frame(PING, 0, 0, bytes(8)) * 2000
        case 2:  # rapid reset
            streams = range(1, 2000, 2)
            return hello + b"".join(frame(HEADERS, 5, i, headers) + frame(RST, 0, i, bytes(4)) for i in streams)
        case 3:  # headers without an end
            more = frame(CONTINUATION, 0, 1, b"\x40\x01a\x7f\x80\x10" + b"x" * 9000)
            return hello + frame(HEADERS, 1, 1, headers) + more * 100
        case 4:  # thousands of streams
            return hello + b"".join(frame(HEADERS, 4, 2 * i + 1, headers) for i in range(3000))
        case 5:  # a header table of references to one long value
            long = frame(HEADERS, 4, 1, b"\x40\x01a\x7f\x81\x1e" + b"x" * 4000 + b"\xbe" * 12_000)
            return hello + long
        case 6:
            return random.randbytes(random.randrange(1, 5000))
        case 7:
            return PREFACE + random.randbytes(random.randrange(1, 5000))
        case _:
            return hello + b"".join(_any_frame(random) for _ in range(200))


def _any_frame(random: Random) -> bytes:
    payload = random.randbytes(random.choice((0, 4, 8, 99)))
    return frame(random.randrange(256), random.randrange(256), random.choice(EDGES), payload)


def _context(attacked: Target, kind: str, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if kind != "nobody":
        file = folder / f"{kind}.pem"
        file.write_bytes(b"".join(attacked.credentials[kind]))
        context.load_cert_chain(file)
    return context


def attack(attacked: Target, random: Random, folder: Path) -> socket.socket:
    """Opens a connection and says something wrong on it; gives the connection."""
    host, _, port = attacked.address.rpartition(":")
    plain = socket.create_connection((host, int(port)), timeout=5)
    kind = random.choice(("plain", "half", "nobody", "stranger", "enrolment", "site", "site"))
    if kind == "plain":
        plain.sendall(random.choice((random.randbytes(3000), b"GET / HTTP/1.1\r\n\r\n", PREFACE, b"\x16\x03\x01", b"")))
        return plain
    if kind == "half":  # a client that begins its handshake and then says no more
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        began = _context(attacked, "nobody", folder).wrap_bio(incoming, outgoing)
        try:
            began.do_handshake()
        except ssl.SSLWantReadError:
            plain.sendall(outgoing.read()[: random.choice((1, 50, 5000))])
        return plain
    try:
        secure = _context(attacked, kind, folder).wrap_socket(plain)
    except OSError:  # hung up: the right answer to who has no certificate
        return plain
    with suppress(OSError):
        secure.sendall(http2(random))
    return secure


def run_connections(count: int) -> Tally:
    """Attacks `count` times; a site that is not served meanwhile is a hang, and growth a fault of memory."""
    tally, began = Tally("connections"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, target(Path(folder)) as attacked:
        grown = _attack_often(attacked, count, Path(folder), tally)
        if grown > GROWTH_BYTES:
            tally.note(count, "greedy", 0.0, f"the coordinator grew by {grown >> 20} MiB")
        for block in attacked.tracebacks:
            tally.note(count, "crashed", 0.0, f"in the log: {block}")
    tally.seconds = time.monotonic() - began
    return tally


def _attack_often(attacked: Target, count: int, folder: Path, tally: Tally) -> int:
    """By how many bytes the coordinator has grown in the end, with the latest connections still open."""
    options = [("grpc.ssl_target_name_override", "edgefed-coordinator")]
    credentials = grpc.ssl_channel_credentials(attacked.ca, *attacked.credentials["other"])
    open_ones: list[socket.socket] = []
    with grpc.secure_channel(attacked.address, credentials, options) as channel:
        site = WorkStub(channel)
        site.Hello(_HELLO, timeout=10)
        before = attacked.resident_bytes
        for number in range(count):
            open_ones.append(attack(attacked, Random(f"connections {number}"), folder))
            if len(open_ones) > OPEN_AT_ONCE:
                open_ones.pop(0).close()
            _serve(site, tally, number)
        grown = attacked.resident_bytes - before
    for one in open_ones:
        one.close()
    return grown


_HELLO = work_pb2.HelloRequest(min_protocol=1, max_protocol=1)


def _serve(site: WorkStub, tally: Tally, number: int) -> None:
    asked = time.monotonic()
    try:
        site.Hello(_HELLO, timeout=10)
    except grpc.RpcError as error:
        tally.note(number, "crashed", 0.0, f"the site was not served: {error}"[:300])
        return
    spent = time.monotonic() - asked
    tally.note(number, "refused" if spent < SERVED_S else "slow", spent, f"the site waited {spent:.1f} s")
