"""Rules on compressed messages (gRPC compression.md)."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.grpc.facts import Inflation
from wirecase.grpc.messages import MessageReader
from wirecase.grpc.status import INTERNAL, UNIMPLEMENTED, percent_decode
from wirecase.http2.facts import HeaderBlock
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Severity
from wirecase.rules import clients, knobs
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import absent, encoding_text, is_grpc_call, request_context, response_context
from wirecase.session.call import Call

COMPRESSION = "gRPC compression.md"
_FAILURES = {
    "corrupt": "does not inflate",
    "short": "ends before its compressed data does",
    "crc": "inflates to data that its checksum does not fit",
    "trailing": "has bytes behind the end of its compressed data",
}

_CUT = {"short": True, "corrupt": False}


def _bodies(call: Call) -> Iterator[tuple[int, MessageReader, HeaderBlock]]:
    """Yield (side, reader, that side's headers) of the bodies whose messages could be walked."""
    if not is_grpc_call(call):
        return
    for side, body, block in (
        (CLIENT, call.request_body, call.request_block),
        (SERVER, call.response_body, call.response_block),
    ):
        if body is not None and block is not None:
            yield side, body, block


def _flag_without_encoding(call: Call) -> Iterator[Match]:
    for side, body, block in _bodies(call):
        name = SIDE_NAMES[side]
        encoding = block.get(b"grpc-encoding")
        kept = body.first_compressed
        if kept is None or (encoding is None and not absent(block, b"grpc-encoding")):
            continue
        if encoding not in (None, b"identity"):
            continue
        what = "request" if side == CLIENT else "response"
        yield Match(
            severity="error",
            certainty="certain",
            who=["client"] if side == CLIENT else ["server", "proxy"],
            title=f"A {what} message is flagged as compressed, but the grpc-encoding is {encoding_text(encoding)}",
            explanation=(
                f"Byte 1 stands where the message says whether it is compressed, but the {what}'s headers name no "
                "compression, so nobody can know how to inflate it. Either the flag is wrong or a hop removed the "
                "grpc-encoding header."
            ),
            evidence=[
                show(kept, "flag 1: compressed"),
                *(request_context(call) if side == CLIENT else response_context(call)),
            ],
            details={
                "flag": 1,
                "encoding": encoding_text(encoding),
                "compressed": body.compressed,
                "by": name,
                "grpc_status": call.grpc_status,
            },
            client_sees=clients.flag_without_encoding() if side == SERVER else [],
            retry_safe="no" if side == CLIENT else "unknown",
            retry_why=(
                "The same request would be sent again." if side == CLIENT else "The call may have been processed."
            ),
            fix="Send grpc-encoding with every compressed stream; let no proxy drop grpc-* headers.",
            key=side,
        )


def accepted(block: HeaderBlock | None) -> list[str] | None:
    """Return the encodings of a grpc-accept-encoding field; None if it is absent or unknown."""
    raw = block.text(b"grpc-accept-encoding") if block is not None else None
    return None if raw is None else [part.strip().lower() for part in raw.split(",") if part.strip()]


def _encoding_unsupported(call: Call) -> Iterator[Match]:
    for side, body, block in _bodies(call):
        encoding = block.text(b"grpc-encoding")
        if encoding is None or encoding.lower() in ("", "identity"):
            continue
        match = _refused_by_server(call, encoding) if side == CLIENT else _not_accepted(call, body, encoding)
        if match is not None:
            yield match


def _not_accepted(call: Call, body: MessageReader, encoding: str) -> Match | None:
    request, frame = call.request_block, call.response
    if request is None or frame is None:
        return None
    given_up = any(reset.side == CLIENT for reset in call.stream.resets)
    if not body.compressed and call.grpc_status == 0 and not given_up:
        return None
    takes = accepted(request)
    if takes is None and not absent(request, b"grpc-accept-encoding"):
        return None
    if takes is not None and encoding.lower() in takes:
        return None
    offered = f'offered only "{", ".join(takes)}"' if takes is not None else "offered none (no grpc-accept-encoding)"
    return Match(
        severity="error" if takes is not None else "warning",
        certainty="certain",
        who=["server", "proxy"],
        title=f"The response is encoded with {encoding}, which the client did not offer to accept",
        explanation=(
            f"The response's grpc-encoding is {encoding}; the request {offered}. A client without that decoder fails "
            "the call, some of them before the first message."
        ),
        evidence=[show(frame.excerpt, f"response headers: grpc-encoding {encoding}"), *request_context(call)],
        details={"encoding": encoding, "accepted": takes, "compressed": body.compressed, "by": "server"},
        client_sees=clients.encoding_unsupported(encoding, compressed=bool(body.compressed)),
        retry_safe="no",
        retry_why="The server would choose the same encoding again.",
        fix="Let the server compress only with an encoding of the request's grpc-accept-encoding, or register the "
        f"decoder in the client ({knobs.DECODERS}).",
        key=("server", encoding),
    )


def _refused_by_server(call: Call, encoding: str) -> Match | None:
    frame, status = call.request, call.grpc_status
    response, trailers = call.response_block, call.trailers
    if frame is None or status not in (UNIMPLEMENTED, INTERNAL) or trailers is None:
        return None
    message = percent_decode(trailers.block.get(b"grpc-message") or b"")
    takes = accepted(trailers.block) or accepted(response)
    listed = takes is not None and encoding.lower() not in takes
    if not listed and not any(word in message.lower() for word in ("encoding", "compress")):
        return None
    return Match(
        severity="error",
        certainty="certain" if listed else "probable",
        who=["client"],
        title=f"The server cannot read requests encoded with {encoding}",
        explanation=(
            f"The request's grpc-encoding is {encoding}; the server answered {status} with the words "
            f'"{message[:200]}". The client compresses with something the server was not built to read.'
        ),
        evidence=[
            show(frame.excerpt, f"request headers: grpc-encoding {encoding}"),
            show(trailers.excerpt, f"grpc-status {status}", role="context"),
        ],
        details={
            "encoding": encoding,
            "accepted": takes,
            "grpc_status": status,
            "grpc_message": message,
            "by": "client",
        },
        retry_safe="yes",
        retry_why="The server refused the request before it looked at its messages; retry without compression.",
        fix=f"Turn request compression off, or register {encoding} in the server ({knobs.DECODERS}).",
        key=("client", encoding),
    )


def _decompress_failed(call: Call) -> Iterator[Match]:
    for side, body, _ in _bodies(call):
        for inflation in body.inflations[:1]:
            if inflation.kind in _FAILURES:
                yield _failed(call, side, body, inflation)


def _failed(call: Call, side: int, body: MessageReader, inflation: Inflation) -> Match:
    encoding = encoding_text(body.encoding)
    what = "request" if side == CLIENT else "response"
    failure = _FAILURES[inflation.kind]
    severity: Severity = "error"
    if inflation.kind == "trailing" or encoding not in ("gzip", "deflate"):
        severity = "warning"
    if body.lost or call.session.side(side).missing:
        severity = "info"
    status = 200 if call.http_status is None else call.http_status
    return Match(
        severity=severity,
        certainty="certain" if severity == "error" else "probable",
        who=["client"] if side == CLIENT else ["server", "proxy"],
        title=f"Message {inflation.message + 1} of the {what} {failure} ({encoding})",
        explanation=(
            f"The message is flagged as compressed with {encoding} and has the {inflation.declared:,} bytes that its "
            f"prefix declares, but it {failure}: {inflation.text}. Its framing is right, so the bytes were spoiled "
            "before they were framed, or by a hop that rewrites bodies."
        ),
        evidence=[
            show(inflation.excerpt, "the prefix and the compressed bytes"),
            *(request_context(call) if side == CLIENT else response_context(call)),
        ],
        details={
            "flag": 1,
            "encoding": encoding,
            "after_messages": inflation.message,
            "declared": inflation.declared,
            "inflated": inflation.inflated,
            "problem": inflation.kind,
            "reason": inflation.text,
            "by": SIDE_NAMES[side],
        },
        client_sees=(
            clients.decompress_failed(
                encoding,
                http_status=status,
                zlib_error=inflation.kind in ("corrupt", "crc"),
                offered=encoding.lower() in (accepted(call.request_block) or ()),
                cut=_CUT.get(inflation.kind) if inflation.kind == "short" or not inflation.inflated else None,
            )
            if side == SERVER
            else []
        ),
        retry_safe="unknown",
        retry_why="The call may have been processed; the same data may fail again.",
        fix="Check the compressor (flushed and closed before framing, one member per message) and any hop that "
        "rewrites bodies; turn grpc-encoding off to tell them apart.",
        key=(side, inflation.kind),
    )


def _bomb(call: Call) -> Iterator[Match]:
    for side, body, _ in _bodies(call):
        for inflation in body.inflations:
            if inflation.kind != "bomb":
                continue
            what = "request" if side == CLIENT else "response"
            encoding = encoding_text(body.encoding)
            ratio = inflation.inflated // max(inflation.declared, 1)
            yield Match(
                severity="error",
                certainty="certain",
                who=["client"] if side == CLIENT else ["server"],
                title=(
                    f"A compressed message of {inflation.declared:,} bytes in the {what} inflates to more than "
                    f"{inflation.inflated:,}"
                ),
                explanation=(
                    f"The message is {encoding} and was inflated until the decoder's budget was spent: "
                    f"{inflation.text}. "
                    "A reader that inflates before it checks the size is driven out of memory by it."
                ),
                evidence=[
                    show(inflation.excerpt, "prefix and first bytes of the compressed message"),
                    *(request_context(call) if side == CLIENT else response_context(call)),
                ],
                details={
                    "encoding": encoding,
                    "declared": inflation.declared,
                    "inflated": inflation.inflated,
                    "ratio": ratio,
                    "after_messages": inflation.message,
                    "by": SIDE_NAMES[side],
                },
                client_sees=clients.bomb() if side == SERVER else [],
                retry_safe="no",
                retry_why="The same message would come again.",
                fix="Limit the inflated size in the reader (the receive limit counts after decompression in tonic, "
                "grpc-go, grpc-java and grpc-core); find out who sends such messages.",
                key=side,
            )
            break


RULES: tuple[Rule, ...] = (
    Rule(
        "grpc-flag-without-encoding",
        "A compressed message without a grpc-encoding",
        "Flag 1 says compressed, but the headers name no compression, or identity.",
        (COMPRESSION, "gRPC PROTOCOL-HTTP2, Length-Prefixed-Message"),
        "call",
        _flag_without_encoding,
    ),
    Rule(
        "grpc-encoding-unsupported",
        "An encoding that the receiver did not offer",
        "grpc-encoding is not among the receiver's grpc-accept-encoding.",
        (COMPRESSION,),
        "call",
        _encoding_unsupported,
    ),
    Rule(
        "grpc-decompress-failed",
        "A compressed message that does not inflate",
        "The framing is right, the compressed payload is not.",
        (COMPRESSION,),
        "call",
        _decompress_failed,
    ),
    Rule(
        "grpc-decompression-bomb",
        "A compressed message that inflates past every budget",
        "A small compressed message becomes so large that inflating it was stopped.",
        (COMPRESSION,),
        "call",
        _bomb,
    ),
)
