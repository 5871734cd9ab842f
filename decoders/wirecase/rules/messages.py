"""Rules on the chain of length-prefixed messages: a prefix that is none, and what stands there instead.

Theory. Where a message prefix is due stands a byte that is neither 0 nor 1. Then the rest of the body is either
something of its own (a page, a sentence, another protocol: somebody else answered) or gRPC at the wrong offset (bytes
too many, or missing: the stream lost its step). The first is told by what the bytes are, the second by messages that
came before and by a chain of valid prefixes further on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wirecase.grpc.facts import BadPrefix
from wirecase.grpc.messages import MessageReader
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, ClientSees, Severity, Who
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import (
    ended_on_data,
    ending_context,
    ending_words,
    is_grpc_call,
    plural,
    request_context,
    response_context,
    response_is_grpc,
)
from wirecase.rules.clients.table import DEFAULT_LIMIT
from wirecase.rules.foreign import Foreign, ascii_of, classify, length_text, show_byte, tonic_polls
from wirecase.rules.proxies import Writer, who_wrote
from wirecase.session.call import Call

PH2_MESSAGE = "gRPC PROTOCOL-HTTP2, Length-Prefixed-Message"
HEX_SHOWN = 1024
"""Bytes of a foreign body without words that are kept in the details, as hex digits."""


def foreign_of(call: Call, side: int, bad: BadPrefix) -> Foreign:
    """Name the foreign part of a body."""
    content_type = call.content_type if side == SERVER else None
    return classify(bytes(bad.foreign), content_type, whole=bad.foreign_length == len(bad.foreign))


def foreign_details(call: Call, side: int, bad: BadPrefix, foreign: Foreign) -> dict[str, Any]:
    """Return the facts about a foreign body that every rule on it carries."""
    head = bytes(bad.foreign[:5])
    details: dict[str, Any] = {
        "flag": bad.flag,
        "ascii": ascii_of(bad.flag),
        "offset": bad.after_bytes,
        "after_messages": bad.after_messages,
        "by": SIDE_NAMES[side],
        "foreign": foreign.kind,
        "foreign_bytes": bad.foreign_length,
        "text": foreign.text or None,
        "declared": int.from_bytes(head[1:5], "big") if len(head) == 5 else None,
        "length_text": length_text(head),
    }
    if not foreign.text:
        details["hex"] = bytes(bad.foreign[:HEX_SHOWN]).hex()
    if side == SERVER:
        details["http_status"] = call.http_status
        details["content_type"] = call.content_type
        details["grpc_status"] = call.grpc_status
        details["tonic_polls"] = tonic_polls(bytes(bad.foreign[:64]))
        writer = who_wrote(call.response_block, foreign.text)
        if writer:
            details["proxy"] = writer.name
            details["proxy_why"] = writer.why
    if bad.resumed is not None:
        details["resumed_after"], details["resumed_messages"] = bad.resumed
    return details


def culprits(foreign: Foreign, writer: Writer | None, side: int) -> list[Who]:
    """Return who is at fault for a foreign body, the likeliest first."""
    if side == CLIENT:
        return ["client"]
    if writer is not None:
        return ["proxy"] if writer.proxy else ["server", "proxy"]
    if foreign.kind in ("protobuf", "binary"):
        return ["server", "proxy"]
    return ["proxy", "server"]


def bad_bodies(call: Call) -> Iterator[tuple[int, MessageReader, BadPrefix]]:
    """Yield (side, reader, bad prefix) of a native gRPC call's bodies that went wrong."""
    if not is_grpc_call(call):
        return
    for side, body in ((CLIENT, call.request_body), (SERVER, call.response_body)):
        if body is not None and body.bad is not None:
            yield side, body, body.bad


def severity_of(call: Call, side: int) -> Severity:
    """Return how loud a finding on a side's body may be: only a note where bytes of that side are missing."""
    return "info" if call.session.side(side).missing else "error"


def stands_for_page(call: Call) -> bool:
    """Tell whether HTTP already says that the response is no gRPC: the flag is then a consequence."""
    return not response_is_grpc(call) and (call.http_status is not None or call.content_type is not None)


def _place(bad: BadPrefix, side: int) -> str:
    body = "Response" if side == SERVER else "Request"
    if not bad.after_bytes:
        return f"{body} body begins with byte {show_byte(bad.flag)} where 0 or 1 is due"
    where = f"After {plural(bad.after_messages, 'message')} the {body.lower()} body goes on with byte"
    return f"{where} {show_byte(bad.flag)} where 0 or 1 is due"


def _numbers(bad: BadPrefix, details: dict[str, Any]) -> str:
    text, declared = details["length_text"], details["declared"]
    if text is not None:
        return f' The four bytes behind it, "{text}", read as a length are {declared}: some clients report that number.'
    if declared is not None and declared > DEFAULT_LIMIT:
        return f" The four bytes behind it read as a length are {declared}: some clients report that number instead."
    return ""


def _framed_well(bad: BadPrefix, details: dict[str, Any]) -> str:
    if bad.foreign_length < 5 or details["declared"] != bad.foreign_length - 5:
        return ""
    rest = plural(bad.foreign_length - 5, "byte")
    return f" But for that byte it is a well-framed message: {rest} are declared and follow."


def _polls(details: dict[str, Any]) -> str:
    polls = details.get("tonic_polls") or []
    if len(polls) < 2:
        return ""
    shown = ", ".join(map(str, polls))
    return f" A tonic caller that polls again logs the bytes behind it one by one as flags: {shown}."


def _resumption(bad: BadPrefix) -> str:
    if bad.resumed is None:
        return ""
    after, messages = bad.resumed
    return (
        f" {plural(after, 'byte')} further on a chain of {plural(messages, 'valid message')} begins that lasts to the "
        f"end "
        f"of the body: either {plural(after, 'byte')} were put in here, or the message before lost bytes and this is "
        f"the "
        "rest of the one that filled it up."
    )


def _invalid_flag(call: Call) -> Iterator[Match]:
    for side, _, bad in bad_bodies(call):
        foreign = foreign_of(call, side, bad)
        details = foreign_details(call, side, bad, foreign)
        writer = who_wrote(call.response_block, foreign.text) if side == SERVER else None
        sees: list[ClientSees] = []
        if side == SERVER:
            sees = clients.bad_flag(
                bad.flag,
                details["declared"],
                bad.foreign_length - 1,
                http_status=200 if call.http_status is None else call.http_status,
                content_type=call.content_type,
                status=call.grpc_status,
                on_data=ended_on_data(call),
                messages=bad.after_messages,
            )
            if call.status_text is None:
                details["missing_status"] = True
        what = f"The bytes are {foreign.name}" + (f": {foreign.quote}." if foreign.headline else ".")
        author = writer.sentence if writer else ""
        end = f" In the end {ending_words(call)}." if side == SERVER else ""
        server_took = ""
        if side == CLIENT and call.grpc_status == 0:
            server_took = " The server answered OK all the same: it does not look at the flag."
        page = side == SERVER and stands_for_page(call)
        severity = severity_of(call, side)
        hole = "" if severity == "error" else " Bytes of this side are missing from the capture: take it as a hint."
        yield Match(
            severity=severity,
            certainty="certain" if severity == "error" else "probable",
            who=culprits(foreign, writer, side),
            title=_place(bad, side) + (f": {foreign.quote}"[:90] if foreign.recognised else ""),
            explanation=(
                f"Every gRPC message begins with a byte that is 0 or 1. "
                f"{what}{_framed_well(bad, details)}{author}{_numbers(bad, details)}"
                f"{_resumption(bad)}{_polls(details)}{end}{server_took}{hole}"
            ),
            evidence=[
                show(bad.excerpt, f"byte {show_byte(bad.flag)} where a message prefix is due"),
                *(response_context(call) if side == SERVER else request_context(call)),
                *(ending_context(call) if side == SERVER else []),
            ],
            details=details,
            client_sees=sees,
            retry_safe="unknown",
            retry_why=(
                "The answer is lost; whether the call was processed before is not on the wire."
                if side == SERVER
                else "The server may have taken the message as it stood."
            ),
            fix=_flag_fix(foreign, side, page),
            key=(side, bad.flag, foreign.kind),
        )


def _flag_fix(foreign: Foreign, side: int, page: bool) -> str:
    if side == CLIENT:
        return "Mend the client's framing: one byte 0 or 1, four bytes of length, then exactly so many bytes."
    if foreign.kind in ("grpc-web", "grpc-web-text"):
        return "Route native gRPC past the gRPC-Web filter: the answer was translated for a browser."
    if page:
        return (
            "Look at the HTTP answer that these bytes belong to; let the client check :status and content-type before "
            "it reads the body."
        )
    if foreign.kind == "tls":
        return "One hop forwards TLS as if it were plain text: compare the scheme (grpcs/grpc, h2/h2c) of its upstream."
    if foreign.kind in ("html", "json", "text", "xml", "gzip", "http1"):
        return (
            "Find the hop that wrote these words and let it answer gRPC calls in gRPC (nginx: error_page with "
            "grpc_status; Envoy: local_reply_config; HAProxy: http-errors with an empty body), then mend what it "
            "reports."
        )
    return "Mend the server's framing: one byte 0 or 1, four bytes of length, then exactly so many bytes."


def _desync(call: Call) -> Iterator[Match]:
    for side, _, bad in bad_bodies(call):
        foreign = foreign_of(call, side, bad)
        if not bad.after_messages or foreign.recognised or (side == SERVER and stands_for_page(call)):
            continue
        name = "response" if side == SERVER else "request"
        details = foreign_details(call, side, bad, foreign)
        found = _resumption(bad) or " No chain of valid messages was found behind it."
        severity = severity_of(call, side)
        yield Match(
            severity=severity,
            certainty="certain" if severity == "error" else "possible",
            who=["server", "proxy"] if side == SERVER else ["client"],
            title=f"The {name} loses its message boundaries after {plural(bad.after_messages, 'message')}",
            explanation=(
                f"{plural(bad.after_messages, 'message')} of the {name} are framed well; then byte "
                f"{show_byte(bad.flag)} "
                f"stands where the next prefix is due, {bad.after_bytes:,} bytes into the body.{found} "
                "That is what two writers on one stream, or lost or inserted bytes, look like."
            ),
            evidence=[
                show(bad.excerpt, f"byte {show_byte(bad.flag)} where the next message is due"),
                *(response_context(call) if side == SERVER else request_context(call)),
            ],
            details=details,
            client_sees=(
                clients.bad_flag(
                    bad.flag,
                    details["declared"],
                    bad.foreign_length - 1,
                    status=call.grpc_status,
                    messages=bad.after_messages,
                )
                if side == SERVER
                else []
            ),
            retry_safe="unknown",
            retry_why="Messages before the break were delivered; a retry of the call would send them again.",
            fix="Serialise the writes on one stream; look for a proxy or a compressor that rewrites bodies.",
            key=(side, bad.flag),
        )


def _unframed(call: Call) -> Iterator[Match]:
    for side, _, bad in bad_bodies(call):
        if bad.after_bytes or (side == SERVER and stands_for_page(call)):
            continue
        foreign = foreign_of(call, side, bad)
        if foreign.kind != "protobuf":
            continue
        name = "Response" if side == SERVER else "Request"
        yield Match(
            severity="error",
            certainty="probable",
            who=["server"] if side == SERVER else ["client"],
            title=f"{name} body is protobuf without the five bytes of gRPC's message prefix",
            explanation=(
                f"The body begins with byte {show_byte(bad.flag)} and parses from there as {foreign.name}; "
                "as gRPC it is not framed at all. The writer serialised a message and sent it as a plain HTTP body."
            ),
            evidence=[show(bad.excerpt, "a protobuf field key where a message prefix is due"), *response_context(call)],
            details=foreign_details(call, side, bad, foreign),
            retry_safe="no",
            retry_why="The same code would frame the next answer the same way.",
            fix="Send the message through a gRPC server, or put flag 0 and four bytes of length before it.",
            key=side,
        )


def _length_is_text(call: Call) -> Iterator[Match]:
    if not is_grpc_call(call):
        return
    for side, body in ((CLIENT, call.request_body), (SERVER, call.response_body)):
        pending = body.pending() if body is not None else None
        text = length_text(pending.prefix) if pending is not None else None
        if body is None or pending is None or text is None or not text.isprintable() or pending.declared is None:
            continue
        name = SIDE_NAMES[side]
        yield Match(
            severity="warning",
            certainty="probable",
            who=["proxy", "server"] if side == SERVER else ["client"],
            title=f'A message of the {name} declares {pending.declared} bytes: its length bytes are the text "{text}"',
            explanation=(
                f"The prefix has a valid flag ({pending.prefix[0]}), but the four bytes of its length are printable "
                f'text, "{text}", and only {pending.got:,} bytes follow: words stand where a message is due.'
            ),
            evidence=[show(pending.excerpt, "the prefix and what follows"), *response_context(call)],
            details={
                "flag": pending.prefix[0],
                "declared": pending.declared,
                "length_text": text,
                "got": pending.got,
                "after_messages": body.messages,
                "by": name,
            },
            client_sees=[
                *clients.message_too_large(pending.declared, None),
                *clients.broken_off(pending.declared, pending.got),
            ]
            if side == SERVER
            else [],
            retry_safe="unknown",
            retry_why="The answer is lost; whether the call was processed is not on the wire.",
            fix="Find out who wrote the text: compare the body with the pages of the proxies on the way.",
            key=(side, text),
        )


RULES: tuple[Rule, ...] = (
    Rule(
        "grpc-invalid-compression-flag",
        "A message prefix that begins with neither 0 nor 1",
        "The first byte of a gRPC message says whether it is compressed. Any other value means that the bytes are no "
        "gRPC, or that the reader lost its place.",
        (PH2_MESSAGE, "gRPC compression.md"),
        "call",
        _invalid_flag,
    ),
    Rule(
        "grpc-desync-midstream",
        "Message boundaries lost in the middle of a stream",
        "Valid messages come first, then bytes that are no prefix and no page: bytes were inserted or lost.",
        (PH2_MESSAGE,),
        "call",
        _desync,
    ),
    Rule(
        "grpc-unframed-protobuf",
        "Protobuf without gRPC's message prefix",
        "The body parses as protobuf from its first byte, but the five bytes of the prefix are missing.",
        (PH2_MESSAGE,),
        "call",
        _unframed,
    ),
    Rule(
        "grpc-length-is-text",
        "A message length that spells words",
        "The flag is valid but the four length bytes are printable text: words stand where a message is due.",
        (PH2_MESSAGE,),
        "call",
        _length_is_text,
    ),
)
