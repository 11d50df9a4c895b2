"""Requests that are no messages: they reach the door, which tells the caller, and leave no traceback in the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from google.protobuf.message import DecodeError
from grpc import aio

UNDECODABLE: Final = object()
"""What a servicer gets in place of a request that is no message of the call."""


class Decoding(aio.ServerInterceptor):
    """Puts `UNDECODABLE` where gRPC would end the call itself, with a traceback for every such request."""

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """The handler of a call, with a decoder that does not raise; None where there is no such call."""
        handler = await continuation(details)
        return handler and handler._replace(request_deserializer=_lenient(handler.request_deserializer))


def _lenient(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def decoded(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:
            return UNDECODABLE

    return decoded
