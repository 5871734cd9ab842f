"""One whole HTTP exchange at once, gRPC-Web as the gRPC that it stands for."""

from __future__ import annotations

from dataclasses import dataclass

from wirecase.model import CLIENT, SERVER
from wirecase.sources.forms import grpc_web
from wirecase.sources.forms.http2_writer import Fields
from wirecase.sources.forms.http_exchange import Exchange


@dataclass(slots=True)
class Message:
    """A request or a response."""

    fields: Fields
    body: bytes = b""
    truncated: bool = False
    """More of the body came than is there."""
    trailers: Fields | None = None
    began: int = 0
    ended: int = 0
    """Times in ns since the epoch."""
    whole: bool = True
    """It is known to have come to its end."""


def write(exchange: Exchange, request: Message, response: Message | None, number: int, *, has_trailers: bool) -> None:
    """Write both; `has_trailers` tells whether the evidence has a place for HTTP trailers.

    The exchange is not closed: how it broke off, if it did, is the caller's to say.
    """
    web = grpc_web.content_type(request.fields) if not request.truncated else None
    asked = grpc_web.take_apart(web, request.body) if web else None
    if asked is not None:
        request.fields, request.body = grpc_web.as_grpc(request.fields, request=True), asked.messages
    lacking = False
    kind = grpc_web.content_type(response.fields) if response is not None and asked is not None else None
    if response is not None and kind and not response.truncated:
        answered = grpc_web.take_apart(kind, response.body)
        if answered is not None:
            status = any(name.lower() == b"grpc-status" for name, _ in response.fields)
            lacking = answered.trailers is None and not status
            response.fields, response.body = grpc_web.as_grpc(response.fields, request=False), answered.messages
            response.trailers = answered.trailers or response.trailers
    for side, message in ((CLIENT, request), (SERVER, response)):
        if message is None:
            continue
        exchange.headers(side, message.fields, number, message.began)
        if message.body or message.truncated:
            exchange.body(side, message.body, number, message.ended, truncated=message.truncated)
        if message.trailers:
            exchange.trailers(side, message.trailers, number, message.ended)
        elif side == CLIENT and message.whole:
            exchange.end(side, number, message.ended)
        elif side == SERVER and message.whole and lacking:
            exchange.broken(number, message.ended, "its body has no frame of trailers")
        elif side == SERVER and message.whole and has_trailers:
            exchange.end(side, number, message.ended)
        elif side == SERVER and message.whole:
            exchange.end_untold(number, message.ended)
