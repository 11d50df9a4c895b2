"""The door of every call: who calls, may they, is the request small enough; and how an error leaves."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from coordinator.certificates import Authority, Kind, Role
from coordinator.services.decoding import UNDECODABLE
from coordinator.sites import Sites, refusal
from protos.errors import EdgeFedError, InvalidInput, Refused, Unavailable, status_of

CONTROL_BYTES = 64 << 10
CALLS_AT_ONCE = 256  # of one site, over all its connections; an agent has fewer than ten
_DETAILS_CHARACTERS = 4000  # gRPC carries them in a header
_LOG = logging.getLogger("coordinator")

S = TypeVar("S", bound="Servicer")
Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)


class Door:
    """Knows the certificates of this coordinator, and the calls that are being answered."""

    def __init__(self, authority: Authority, sites: Sites) -> None:
        self._sites = sites
        self._role_of = functools.lru_cache(maxsize=4096)(authority.role_of)
        self._calls: dict[asyncio.Task[Any], Role] = {}
        self._expelled: set[asyncio.Task[Any]] = set()
        self._under_way = Counter[str]()  # calls by site

    @contextmanager
    def open(self, context: Any, kinds: tuple[Kind, ...]) -> Iterator[Role]:
        """Who is calling, for the length of a call, which ends the moment the certificate is revoked.

        Raises:
            Refused: the certificate is not good, not of one of the kinds, or was revoked meanwhile.
            Unavailable: the site has too many calls under way.
        """
        role = self._admit(context, kinds)
        if self._under_way[role.name] >= CALLS_AT_ONCE:
            raise Unavailable(f"{role.name} has {CALLS_AT_ONCE} calls under way already; wait for their answers")
        task = asyncio.current_task()
        assert task is not None, "calls are answered by tasks"
        self._calls[task] = role
        self._under_way[role.name] += 1
        try:
            yield role
        except asyncio.CancelledError:
            if task not in self._expelled:
                raise
            task.uncancel()
            raise refusal(role) from None
        finally:
            del self._calls[task]
            self._under_way[role.name] -= 1
            self._expelled.discard(task)

    def expel_revoked(self) -> None:
        """Ends the calls of revoked certificates. Raises `StateError` where the database cannot be read."""
        ended = self._sites.revoked({role.serial for role in self._calls.values()})
        for task in [task for task, role in self._calls.items() if role.serial in ended]:
            self._expelled.add(task)
            task.cancel()

    def check(self, role: Role) -> None:
        """Raises `Refused` where the certificate has expired or was revoked."""
        if time.time() >= role.expires:
            raise Refused(f"the certificate of {role.name or role.kind} has expired")
        if role.kind == "site":
            self._sites.check(role)

    def _admit(self, context: Any, kinds: tuple[Kind, ...]) -> Role:
        pems = list(context.auth_context().get("x509_pem_cert", ()))
        if not pems:
            raise Refused("this coordinator talks to callers with a certificate only; join first")
        role = self._role_of(bytes(pems[0]))
        if role.kind not in kinds:
            raise Refused(f"a certificate for {role.kind} may not make this call; it is for {' or '.join(kinds)}")
        self.check(role)
        if role.kind == "site":
            self._sites.seen(role.name)
        return role


class Servicer(Protocol):
    """A service with a door."""

    door: Door


def answers(
    *kinds: Kind, limit: int = CONTROL_BYTES
) -> Callable[[Callable[[S, Req, Role], Awaitable[Rep]]], Callable[[S, Req, Any], Awaitable[Rep]]]:
    """Makes a call of one answer out of `handler(self, request, role)`, for callers of the given kinds."""

    def wrap(handler: Callable[[S, Req, Role], Awaitable[Rep]]) -> Callable[[S, Req, Any], Awaitable[Rep]]:
        @functools.wraps(handler)
        async def call(self: S, request: Req, context: Any) -> Rep:
            try:
                _bound(request, limit)
                with self.door.open(context, kinds) as role:
                    return await handler(self, request, role)
            except Exception as error:
                failure = error
            return await _abort(context, failure)

        return call

    return wrap


def streams(
    *kinds: Kind,
) -> Callable[[Callable[[S, Req, Role], AsyncIterator[Rep]]], Callable[[S, Req, Any], AsyncIterator[Rep]]]:
    """Makes a call of many answers out of `handler(self, request, role)`, for callers of the given kinds."""

    def wrap(
        handler: Callable[[S, Req, Role], AsyncIterator[Rep]],
    ) -> Callable[[S, Req, Any], AsyncIterator[Rep]]:
        @functools.wraps(handler)
        async def call(self: S, request: Req, context: Any) -> AsyncIterator[Rep]:
            try:
                _bound(request, CONTROL_BYTES)
                with self.door.open(context, kinds) as role:
                    async for reply in handler(self, request, role):
                        yield reply
                return
            except Exception as error:
                failure = error
            await _abort(context, failure)

        return call

    return wrap


def plain(text: str, limit: int) -> str:
    """Text of a peer that is safe in logs and on terminals: printable and not long."""
    return "".join(character if character.isprintable() else " " for character in text[:limit])


def _bound(request: Message, limit: int) -> None:
    if request is UNDECODABLE:
        raise InvalidInput("the request is not a message of this call")
    if request.ByteSize() > limit:
        raise InvalidInput(f"a request of {request.ByteSize()} bytes is too large for this call; {limit} are possible")


async def _abort(context: Any, error: Exception) -> NoReturn:
    if isinstance(error, EdgeFedError):
        code, details, trailing = status_of(error)
        await context.abort(code, details[:_DETAILS_CHARACTERS], trailing)
    _LOG.error("a call failed", exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "the coordinator failed; its log says why")
    raise AssertionError("abort returned")
