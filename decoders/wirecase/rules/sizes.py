"""Rules on messages that stop early, are too large, or are too few."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wirecase.grpc import status as s
from wirecase.grpc.messages import MessageReader
from wirecase.http2.facts import Reset, error_name
from wirecase.model import CLIENT, SERVER, Excerpt, Who
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import (
    ending_context,
    ending_words,
    is_grpc_call,
    plural,
    request_context,
    response_context,
    says_too_large,
)
from wirecase.rules.clients.table import DEFAULT_LIMIT
from wirecase.rules.deadline import deadline_met
from wirecase.rules.foreign import length_text
from wirecase.rules.limits import call_seen
from wirecase.rules.messages import PH2_MESSAGE, stands_for_page
from wirecase.rules.payloads import cardinality
from wirecase.session.call import Call

_AT_ONCE = 250_000_000
"""ns within which a reset still counts as the answer to a message."""
_NO_ERROR, _CANCEL, _ENHANCE_YOUR_CALM = 0, 8, 11
_NUMBERS = re.compile(
    r"\((\d{1,20}) vs\.? (\d{1,20})\)|found (\d{1,20}) bytes, the limit is: (\d{1,20})|size (\d{1,20}): (\d{1,20})"
)
_NO_MESSAGE = re.compile(r"exactly one request|no request message|received no message|cardinality", re.I)


def _truncated(call: Call) -> Iterator[Match]:
    if not is_grpc_call(call) or not call_seen(call):
        return
    if call.request_body is not None:
        yield from _truncated_request(call, call.request_body)
    if call.response_body is not None and not stands_for_page(call):
        yield from _truncated_response(call, call.response_body)


def _stopped(declared: int | None, got: int, prefix: bytes) -> str:
    if declared is None:
        return f"{plural(len(prefix), 'byte')} of a five-byte message prefix"
    return f"{got:,} of the {declared:,} bytes that the message's prefix declares"


def _truncated_response(call: Call, body: MessageReader) -> Iterator[Match]:
    pending, ending = body.pending(), call.ending
    if pending is None or ending is None or length_text(pending.prefix) is not None:
        return
    by_client = ending.by == CLIENT and ending.how in ("rst", "fin", "tcp-rst")
    huge = pending.declared is not None and pending.declared > DEFAULT_LIMIT
    if not call.response_complete and not (by_client and (huge or deadline_met(call) is not None)):
        return
    ended = call.response_complete
    stopped = _stopped(pending.declared, pending.got, pending.prefix)
    sees = (
        clients.truncated(pending.declared, pending.got, call.grpc_status, messages=body.messages)
        if ended
        else clients.deadline(headers=True)
    )
    large = ""
    if huge and pending.declared is not None:
        limitless = clients.broken_off(pending.declared, pending.got) if ended else []
        sees = [*clients.message_too_large(pending.declared, None), *limitless]
        large = " The length is over the 4 MiB that clients take by default, so they report that instead."
    where = f"After {plural(body.messages, 'message')} the" if body.messages else "The"
    yield Match(
        severity="error" if ended else "warning",
        certainty="certain",
        who=["server", "proxy"] if ended else ["server", "network"],
        title=f"{where} response ends inside a message: {stopped}",
        explanation=(
            f"The response stops after {stopped}; {ending_words(call)}. "
            + (
                "END_STREAM says that nothing was lost on the way: whoever wrote the response stopped in the middle, "
                "or "
                "wrote a wrong length."
                if ended
                else "The client gave up when no more than that had come."
            )
            + large
        ),
        evidence=[
            show(pending.excerpt, "the unfinished message"),
            *ending_context(call),
            *response_context(call),
        ],
        details={
            "declared": pending.declared,
            "got": pending.got,
            "missing": None if pending.declared is None else pending.declared - pending.got,
            "after_messages": body.messages,
            "grpc_status": call.grpc_status,
            "missing_status": call.status_text is None,
            "by": "server",
        },
        client_sees=sees,
        retry_safe="unknown",
        retry_why="Messages before the break were delivered and the call may have been processed.",
        fix="Look into the log of whoever wrote the response for an exception while it wrote; check proxies for a "
        "limit on response sizes or times.",
        key=("response", ended),
    )


def _truncated_request(call: Call, body: MessageReader) -> Iterator[Match]:
    pending, ending = body.pending(), call.ending
    if pending is None or ending is None or length_text(pending.prefix) is not None:
        return
    ended = call.stream.ended[CLIENT]
    end = call.session.first_end()
    cut = end is not None and end[0] == CLIENT and _client_reset(call) is None and deadline_met(call) is None
    if not ended and not cut:
        return
    stopped = _stopped(pending.declared, pending.got, pending.prefix)
    answer = f" The server answered {s.status_name(call.grpc_status)}." if call.grpc_status is not None else ""
    how = "with END_STREAM" if ended else "by closing the connection"
    yield Match(
        severity="error" if ended else "warning",
        certainty="certain",
        who=["client"],
        title=f"The request ends inside a message: {stopped}",
        explanation=(
            f"The client stops its request after {stopped}, {how}. The server cannot have read that message.{answer}"
            + (" Servers often report it as a missing message or an unimplemented method." if call.grpc_status else "")
        ),
        evidence=[show(pending.excerpt, "the unfinished message"), *request_context(call), *ending_context(call)],
        details={
            "declared": pending.declared,
            "got": pending.got,
            "after_messages": body.messages,
            "grpc_status": call.grpc_status,
            "by": "client",
        },
        retry_safe="yes" if not body.messages else "unknown",
        retry_why="No whole message reached the server."
        if not body.messages
        else "Earlier messages reached the server.",
        fix="Look for the error that stopped the client while it wrote the message.",
        key="request",
    )


def _client_reset(call: Call) -> Reset | None:
    for reset in call.stream.resets:
        if reset.side == CLIENT:
            return reset
    return None


def _rejected(call: Call, body: MessageReader) -> tuple[Reset, int, Excerpt, bool] | None:
    """Return (reset, message size, its place, is it likely) of a response message that the client threw away."""
    reset = _client_reset(call)
    if (
        reset is None
        or (call.response_complete and not call.stream.ended[CLIENT])
        or deadline_met(call) is not None
        or body.bad is not None
        or body.inflations
        or body.lost
    ):
        return None
    if body.compressed or reset.code not in (_NO_ERROR, _CANCEL, _ENHANCE_YOUR_CALM):
        return None
    pending, largest = body.pending(), body.largest
    if pending is not None and pending.declared is not None and pending.declared > DEFAULT_LIMIT:
        return reset, pending.declared, pending.excerpt, True
    if largest is None or (call.response_complete and call.grpc_status != 0):
        return None
    if reset.code == _ENHANCE_YOUR_CALM or largest.declared > DEFAULT_LIMIT:
        return reset, largest.declared, largest.excerpt, True
    last = call.stream.last_mark(SERVER)
    at_once = last is not None and 0 <= reset.excerpt.mark.time - last.time <= _AT_ONCE
    return (reset, largest.declared, largest.excerpt, False) if call.response_complete and at_once else None


LARGEST_MESSAGE = (1 << 31) - 1
"""Bytes at which protobuf and most gRPC libraries end."""
_LIMIT_FIX = (
    "Raise the client's limit (tonic: max_decoding_message_size; grpc-go: MaxCallRecvMsgSize; grpc-core: "
    "grpc.max_receive_message_length; grpc-java: maxInboundMessageSize; grpc-js: grpc.max_receive_message_length) or "
    "let the server send smaller messages."
)


def _too_large(call: Call) -> Iterator[Match]:
    if not is_grpc_call(call):
        return
    yield from _too_large_by_status(call)
    if call.response_body is None or stands_for_page(call) or not call_seen(call) or call.response is None:
        return
    if call.response_complete and call.response_body.pending() is not None:
        return  # it is truncated first of all
    found = _rejected(call, call.response_body)
    if found is None:
        return
    reset, size, excerpt, likely = found
    after = " after the whole response had come" if call.response_complete else ""
    unfinished = call.response_body.pending()
    cut = unfinished is not None and unfinished.declared == size
    what = f"a prefix that declares {size:,} bytes" if cut else f"a message of {size:,} bytes"
    name = error_name(reset.code)
    absurd = cut and size > LARGEST_MESSAGE
    who: list[Who] = ["client", "server"]
    if absurd:
        who = ["server", "proxy"]
        title = f"The response's message prefix declares {size:,} bytes, and the client rejects it ({name})"
        sure = "Protobuf and most gRPC libraries end at 2 GiB: these four bytes are hardly meant as a length."
    elif likely:
        title = f"The client rejects {what} as too large ({name})"
        sure = "That is what gRPC clients do with a message over their limit; the limit itself is not on the wire."
    else:
        title = f"The client throws away a complete response ({name}) whose largest message has {size:,} bytes"
        sure = (
            "A client that resets a complete response threw it away: a size limit below the default, or a message "
            "that it could not decode, are the usual reasons; an application's own cancel is possible."
        )
    yield Match(
        severity="warning",
        certainty="probable" if likely else "possible",
        who=who,
        title=title,
        explanation=f"The response holds {what}; the client reset the stream with {name}{after}. {sure}",
        evidence=[
            show(excerpt, f"prefix of a message of {size:,} bytes"),
            show(reset.excerpt, f"RST_STREAM {name} by the client", role="context"),
            *response_context(call),
        ],
        details={
            "declared": size,
            "error_code": reset.code,
            "error_name": name,
            "by": "client",
            "grpc_status": call.grpc_status,
            "after_messages": call.response_body.messages,
        },
        client_sees=clients.message_too_large(size, None) if likely else [],
        retry_safe="no",
        retry_why="The same message would be rejected again, and the call was processed.",
        fix="Mend the framing of whoever writes this body." if absurd else _LIMIT_FIX,
        key=("response", reset.code, likely, absurd),
    )


def _too_large_by_status(call: Call) -> Iterator[Match]:
    trailers = call.trailers
    if trailers is None:
        return
    message = s.percent_decode(trailers.block.get(b"grpc-message") or b"")
    if not says_too_large(call.grpc_status, message):
        return
    declared, limit = _sizes(message)
    largest = call.request_body.largest if call.request_body is not None else None
    fits = largest is not None and declared is not None and abs(largest.declared - declared) <= 5
    evidence = [show(trailers.excerpt, f'grpc-status {call.grpc_status}: "{message[:80]}"')]
    if fits and largest is not None:
        evidence.append(show(largest.excerpt, "the message that was refused", role="context"))
    size = f" of {declared:,} bytes" if declared is not None else ""
    above = f" (its limit is {limit:,})" if limit is not None else ""
    yield Match(
        severity="warning",
        certainty="certain",
        who=["client", "server"],
        title=f"The server refuses a message{size} as too large{above}",
        explanation=(
            f'The server ended the call with {s.status_name(call.grpc_status or 0)} and the words "{message[:200]}". '
            + ("The request's largest message has that size. " if fits else "")
            + "The wire is sound; the receiver's limit is smaller than what it is sent."
        ),
        evidence=[*evidence, *request_context(call)],
        details={
            "declared": declared,
            "limit": limit,
            "grpc_status": call.grpc_status,
            "grpc_message": message,
            "by": "server",
        },
        retry_safe="no",
        retry_why="The same message would be refused again.",
        fix="Raise the server's limit (tonic: max_decoding_message_size; grpc-go: MaxRecvMsgSize; grpc-core: "
        "grpc.max_receive_message_length; grpc-java: maxInboundMessageSize), or split the message.",
        key="request",
    )


def _sizes(message: str) -> tuple[int | None, int | None]:
    """Return (declared, limit) as a server's message names them."""
    match = _NUMBERS.search(message)
    if match is None:
        return None, None
    a, b, c, d, e, f = match.groups()
    if a is not None:
        return int(a), int(b)
    if c is not None:
        return int(c), int(d)
    return int(f), int(e)  # grpc-java names the limit first


def _cardinality(call: Call) -> Iterator[Match]:
    if not is_grpc_call(call) or not call_seen(call):
        return
    if call.method is not None:
        yield from cardinality(call, call.method)
        return
    request, response, trailers = call.request_body, call.response_body, call.trailers
    if trailers is None:
        return
    message = s.percent_decode(trailers.block.get(b"grpc-message") or b"")
    no_request = request is None or (not request.messages and not request.bytes)
    if (
        no_request
        and call.stream.ended[CLIENT]
        and call.grpc_status in (s.UNIMPLEMENTED, s.INTERNAL, s.INVALID_ARGUMENT)
    ):
        named = bool(_NO_MESSAGE.search(message))
        yield Match(
            severity="info",
            certainty="probable" if named else "possible",
            who=["client"],
            title="The request carries no message, and the server refuses it",
            explanation=(
                "The client ended its request without a single message; a unary or server-streaming method needs "
                "exactly "
                f'one. The server answered {s.status_name(call.grpc_status or 0)}: "{message[:200]}".'
            ),
            evidence=[
                show(trailers.excerpt, f"grpc-status {call.grpc_status}"),
                *request_context(call),
            ],
            details={"messages": 0, "by": "client", "grpc_status": call.grpc_status, "grpc_message": message},
            retry_safe="yes",
            retry_why="Nothing was processed.",
            fix="Send the request message before half-closing; check the method's kind on both sides.",
            key="request",
        )
    if (
        call.grpc_status == 0
        and (response is None or not response.bytes)
        and request is not None
        and request.messages == 1
    ):
        yield Match(
            severity="info",
            certainty="possible",
            who=["server"],
            title="Status OK without a response message",
            explanation=(
                "The call ended with OK but no message came back. That is fine for a streaming method and an error "
                "for a "
                "unary one; the method's kind is not on the wire."
            ),
            evidence=[show(trailers.excerpt, "grpc-status 0"), *request_context(call)],
            details={"messages": 0, "by": "server", "grpc_status": 0},
            client_sees=clients.no_message(),
            retry_safe="unknown",
            retry_why="The call was processed.",
            fix="If the method is unary, let the server send its message before the status.",
            key="response",
        )


RULES: tuple[Rule, ...] = (
    Rule(
        "grpc-message-truncated",
        "A stream that ends inside a message",
        "The stream ended inside a message prefix or before the declared length was there.",
        (PH2_MESSAGE,),
        "call",
        _truncated,
    ),
    Rule(
        "grpc-message-too-large",
        "A message over the receiver's limit",
        "A receiver rejected a message because of its size: by a reset right after it, or with a status that says so.",
        (PH2_MESSAGE, "gRPC statuscodes.md"),
        "call",
        _too_large,
    ),
    Rule(
        "grpc-cardinality",
        "Too few messages",
        "A call without the one message that a unary method needs.",
        ("gRPC statuscodes.md",),
        "call",
        _cardinality,
    ),
)
