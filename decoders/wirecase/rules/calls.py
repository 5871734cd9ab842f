"""What several rules ask of a call: does it speak gRPC, what do its headers say for sure, how did it end."""

from __future__ import annotations

import re

from wirecase.grpc.status import OUT_OF_RANGE, RESOURCE_EXHAUSTED
from wirecase.http2.facts import DATA, HeaderBlock, error_name
from wirecase.model import SERVER, SIDE_NAMES, Evidence
from wirecase.rules.base import point, show
from wirecase.rules.clients.status import is_grpc
from wirecase.session.call import Call

_TOO_LARGE = re.compile(
    r"larger than max|exceeds maximum size|message length too large|maximum configured message size|"
    r"larger than configured max",
    re.I,
)


def is_grpc_call(call: Call) -> bool:
    """Tell whether native gRPC was asked for: by the request, or by the response where the request was not seen."""
    return call.kind == "grpc" or (call.kind == "unknown" and is_grpc(call.content_type))


def absent(block: HeaderBlock | None, name: bytes) -> bool:
    """Tell whether a field is certainly not in a block (a late join may hide it)."""
    return block is not None and not block.unknown and name not in block.names


def told_statuses(call: Call) -> list[bytes]:
    """Return every grpc-status of the block that ends a call: one, if all is well."""
    trailers = call.trailers
    return trailers.block.values(b"grpc-status") if trailers is not None else []


def encoding_text(value: bytes | None) -> str:
    """Return a grpc-encoding for a sentence."""
    return "absent" if value is None else value.decode("latin-1")


def response_is_grpc(call: Call) -> bool:
    """Tell whether the response is 200 with a gRPC content-type."""
    return call.http_status == 200 and is_grpc(call.content_type)


def response_context(call: Call) -> list[Evidence]:
    """Return the response's headers as context, if there were any."""
    frame = call.response
    if frame is None:
        return []
    parts = [f":status {call.http_status}" if call.http_status is not None else "no :status"]
    if call.content_type is not None:
        parts.append(f"content-type {call.content_type}")
    return [show(frame.excerpt, f"response headers: {', '.join(parts)}", role="context")]


def request_context(call: Call) -> list[Evidence]:
    """Return the request's headers as context, if they were seen."""
    frame = call.request
    return (
        []
        if frame is None
        else [show(frame.excerpt, f"request headers: {call.path or 'path unknown'}", role="context")]
    )


def ending_context(call: Call) -> list[Evidence]:
    """Return the frame or packet that ended the call, as context."""
    ending = call.ending
    if ending is None:
        return []
    kept = call.stream.ending[SERVER]
    if ending.how in ("data", "trailers", "trailers-only") and kept is not None:
        return [show(kept, "END_STREAM of the server", role="context")]
    if ending.how == "rst" and ending.reset is not None:
        name = error_name(ending.reset.code)
        return [show(ending.reset.excerpt, f"RST_STREAM {name} by the {SIDE_NAMES[ending.reset.side]}", role="context")]
    return point(ending.mark, f"the call ends here ({ending.how})", side=ending.by, role="context")


def ending_words(call: Call) -> str:
    """Return how a call ended as the end of a sentence: ``the server ended the stream on a DATA frame``."""
    ending = call.ending
    if ending is None or ending.how == "open":
        return "the stream was still open when the capture ended"
    who = "a side that cannot be told" if ending.by is None else f"the {SIDE_NAMES[ending.by]}"
    if ending.how == "data":
        return "the server ended the stream on a DATA frame, without trailers"
    if ending.how in ("trailers", "trailers-only"):
        status = call.status_text
        said = "without a grpc-status" if status is None else f"with grpc-status {status.decode('latin-1')[:20]!r}"
        return f"the server ended the stream with trailers, {said}"
    if ending.how == "rst" and ending.reset is not None:
        return f"{who} reset the stream ({error_name(ending.reset.code)})"
    if ending.how == "goaway":
        return "a GOAWAY shut the stream out"
    if ending.how == "fin":
        return f"{who} closed the connection"
    return f"{who} reset the connection"


def ended_on_data(call: Call) -> bool:
    """Tell whether the server's END_STREAM stood on a DATA frame."""
    return call.stream.ended[SERVER] and call.stream.ended_by[SERVER] == DATA


def plural(count: int, noun: str) -> str:
    """Return ``1 message``, ``2 messages``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def says_too_large(status: int | None, message: str) -> bool:
    """Tell whether a status and its message say that the receiver refused a message for its size."""
    return status in (RESOURCE_EXHAUSTED, OUT_OF_RANGE) and _TOO_LARGE.search(message) is not None
