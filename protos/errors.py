"""Errors that a user or a peer can cause, with their exit codes and their form on the wire.

    EdgeFedError
    ├── InvalidInput         the caller's file, image, job or option        exit 2
    ├── Unavailable          nobody answers, a port is taken; try again     exit 3
    ├── BackendMissing       a backend or provider that was asked for       exit 4
    ├── ParityError          a compiled model decides unlike the trained    exit 5
    ├── AccuracyError        a precision costs more than its gate allows    exit 6
    ├── IntegrityError       a digest, signature or CA that does not match  exit 7
    ├── EngineError          an engine cannot be built or loaded here       exit 8
    ├── Refused              a policy, contract or certificate says no      exit 9
    └── StateError           the state folder: version, lock, full disk     exit 10

The message says what happened, to which file or site, and what to do next. On the wire an error is a gRPC status
with the message as its details and the class name under `edgefed-error` in the trailing metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a worker process and `--help` know errors, and need not load gRPC for them
    import grpc

ERROR_KEY = "edgefed-error"


class EdgeFedError(Exception):
    """Something a user or a peer caused; the message is written for them."""

    exit_code = 1


class InvalidInput(EdgeFedError):
    """The caller's file, image, configuration or option is at fault."""

    exit_code = 2


class Unavailable(EdgeFedError):
    """The other side cannot be reached now; trying again later is right."""

    exit_code = 3


class BackendMissing(EdgeFedError):
    """A backend or provider that was asked for is not on this machine; nothing else is taken in its place."""

    exit_code = 4


class ParityError(EdgeFedError):
    """A compiled model does not decide as the trained one does."""

    exit_code = 5


class AccuracyError(EdgeFedError):
    """A precision costs more accuracy than its gate allows."""

    exit_code = 6


class IntegrityError(EdgeFedError):
    """Bytes, a signature or a certificate authority are not what was promised."""

    exit_code = 7


class EngineError(EdgeFedError):
    """A compiled model or an engine cannot be built, loaded or run on this device."""

    exit_code = 8


class Refused(EdgeFedError):
    """A policy, a data contract or a certificate forbids it; trying again will not help."""

    exit_code = 9


class StateError(EdgeFedError):
    """The state folder cannot be used: another version, another process, no room."""

    exit_code = 10


# What a machine's own accelerator cannot do is told at that machine and never on the wire.
_STATUS: dict[type[EdgeFedError], str] = {
    InvalidInput: "INVALID_ARGUMENT",
    Unavailable: "UNAVAILABLE",
    IntegrityError: "DATA_LOSS",
    Refused: "PERMISSION_DENIED",
    StateError: "RESOURCE_EXHAUSTED",
}
_CLASSES = {kind.__name__: kind for kind in _STATUS}


def status_of(error: EdgeFedError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]:
    """The gRPC status, public details and trailing metadata that carry an error to the peer."""
    import grpc

    return grpc.StatusCode[_STATUS[type(error)]], str(error), ((ERROR_KEY, type(error).__name__),)


def error_from_rpc(rpc_error: Any, peer: str) -> EdgeFedError:
    """The error that a failed call stands for: the peer's own, or `Unavailable` where nobody answered.

    Args:
        rpc_error: what a stub raised, `grpc.RpcError` or `grpc.aio.AioRpcError`.
        peer: HOST:PORT, for the message.
    """
    code, details = rpc_error.code(), rpc_error.details() or ""
    kind = dict(rpc_error.trailing_metadata() or ()).get(ERROR_KEY)
    if kind in _CLASSES:
        return _CLASSES[kind](details)
    if code.name == "UNAVAILABLE":
        return Unavailable(f"the coordinator at {peer} cannot be reached: {details}")
    if code.name == "DEADLINE_EXCEEDED":
        return Unavailable(f"the coordinator at {peer} did not answer in time")
    if code.name == "UNIMPLEMENTED":
        return Refused(f"the coordinator at {peer} does not offer this call; is it older than this client?")
    return Unavailable(f"the coordinator at {peer} failed: {code.name}: {details}")
