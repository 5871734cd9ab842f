"""Rules on RST_STREAM: by whom, with which code, after how much of the answer (RFC 9113 §5.4.2, §7)."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.http2.facts import Reset, error_name
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Certainty, RetrySafe, Severity, Who
from wirecase.rules import clients, knobs
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.limits import grpc_timeout, sure
from wirecase.rules.progress import age, aged, around, far, far_details, retry
from wirecase.session.call import Call

NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL, CANCEL = 0, 1, 2, 3, 8
REFUSED, CALM, HTTP11 = 7, 11, 13
OWN_RULE = {
    PROTOCOL: "rst-protocol-error",
    FLOW_CONTROL: "rst-flow-control",
    REFUSED: "rst-refused-stream",
    CALM: "rst-enhance-your-calm",
    HTTP11: "rst-http11-required",
}
"""Codes that have a rule of their own."""
HINTS = {
    NO_ERROR: "NO_ERROR says that nothing is wrong; Envoy resets with it by default when its upstream breaks off, and "
    "some clients (tonic before 0.14.6) take it for a clean end of the body and report success.",
    INTERNAL: "INTERNAL_ERROR is what nginx sends when its upstream breaks off after the response has begun, and what "
    "servers send when a handler fails.",
    CANCEL: "CANCEL from the server is how proxies end a stream that ran into their timeout, and how servers drop a "
    "call whose handler was cancelled; some clients (tonic before 0.14.6) take it for a clean end of the body.",
}
FIX_RESET = (
    "Look at the log of the hop that answers on this connection at this time. Timeouts that end streams: "
    f"{knobs.WAITS}. If that hop is a proxy, capture its upstream side too."
)


def _telling_reset(call: Call) -> Reset | None:
    """Return the reset that ended a call or followed its response; one behind TCP's end or a GOAWAY tells nothing."""
    ending = call.ending
    return ending.reset if ending is not None and ending.how not in ("fin", "tcp-rst", "goaway") else None


def check_rst_midbody(call: Call) -> Iterator[Match]:
    """The server resets the stream after its headers and before the status."""
    yield from _reset_by_server(call, after_headers=True)


def check_rst_before_headers(call: Call) -> Iterator[Match]:
    """The server resets the stream before any response headers."""
    yield from _reset_by_server(call, after_headers=False)


def _reset_by_server(call: Call, *, after_headers: bool) -> Iterator[Match]:
    ending = call.ending
    if ending is None or ending.how != "rst" or ending.reset is None or ending.reset.side != SERVER:
        return
    code = ending.reset.code
    if code in OWN_RULE or (call.response is not None) != after_headers:
        return
    hidden = call.blurred or call.session.server.missing
    if hidden and (not after_headers or code == NO_ERROR):
        return  # the response headers, or the trailers, may have fallen into the hole
    name = error_name(code)
    safe, why = retry(call)
    where = far(call)
    yield Match(
        severity="error",
        certainty="probable" if hidden else "certain",
        who=["server", "proxy"],
        title=f"The server reset the stream with {name} ({code}) {where}",
        explanation=f"RST_STREAM {name} came from the server's side {aged(call, ending.mark)} after the request, "
        f"{where} and before any "
        f"status. The frame is certain; why it was sent is not on the wire. {HINTS.get(code, '')}".rstrip(),
        evidence=[show(ending.reset.excerpt, f"RST_STREAM, error code {code}: {name}"), *around(call)],
        details={
            "error_code": code,
            "error_name": name,
            "by": "server",
            "http_status": call.http_status,
            "seconds": age(call, ending.mark),
            **far_details(call),
        },
        client_sees=clients.rst_midbody(code) if after_headers else clients.rst_before_headers(code),
        retry_safe=safe,
        retry_why=why,
        fix=FIX_RESET,
        key=code,
    )


def check_refused(call: Call) -> Iterator[Match]:
    """RST_STREAM REFUSED_STREAM: never processed."""
    yield from _with_code(
        call,
        REFUSED,
        severity="warning",
        certainty="certain",
        safe="yes",
        why="REFUSED_STREAM promises that the request was not processed (RFC 9113 §8.7).",
        text="The receiver refused the stream before any processing: too many concurrent streams, or it is shutting "
        "down.",
        fix="Retry on another connection; spread calls over more connections, or raise MAX_CONCURRENT_STREAMS: "
        f"{knobs.CONCURRENCY}.",
    )


def check_calm(call: Call) -> Iterator[Match]:
    """RST_STREAM ENHANCE_YOUR_CALM."""
    reset = _telling_reset(call)
    if reset is not None and reset.side == CLIENT:
        why = "The client threw the answer away, and would do so again."
        text = (
            "gRPC core sends ENHANCE_YOUR_CALM for a RESOURCE_EXHAUSTED of its own: a message or a header list over "
            "its limit."
        )
        fix = (
            "Raise the client's limits for messages and metadata (grpc.max_receive_message_length, "
            "grpc.max_metadata_size), or send less."
        )
    else:
        why = "The sender limits load; whether this call was processed is not told."
        text = (
            "ENHANCE_YOUR_CALM says that the peer causes too much load: too many frames, resets, pings or too large "
            "headers."
        )
        fix = (
            "Slow the caller down: fewer concurrent calls, larger keep-alive intervals, smaller metadata; or raise "
            "the limit."
        )
    yield from _with_code(
        call, CALM, severity="error", certainty="certain", safe="unknown", why=why, text=text, fix=fix
    )


def check_flow_control(call: Call) -> Iterator[Match]:
    """RST_STREAM FLOW_CONTROL_ERROR."""
    yield from _with_code(
        call,
        FLOW_CONTROL,
        severity="error",
        certainty="certain",
        safe="unknown",
        why="Whether the call was processed is not told.",
        text="FLOW_CONTROL_ERROR says that the peer sent more than the window allowed, or made a window overflow. "
        "Whether that is so is recomputed from the capture: see fc-violation and fc-overflow, if any.",
        fix="Look for a bug in the flow control of either end; a proxy that replays DATA is a candidate too.",
    )


def check_http11(call: Call) -> Iterator[Match]:
    """RST_STREAM HTTP_1_1_REQUIRED."""
    yield from _with_code(
        call,
        HTTP11,
        severity="error",
        certainty="certain",
        safe="no",
        why="The same request is refused again over HTTP/2.",
        text="HTTP_1_1_REQUIRED asks for HTTP/1.1, which gRPC cannot do: this endpoint does not take gRPC.",
        fix="Route the call to an endpoint that speaks gRPC over HTTP/2.",
    )


def check_protocol_error(call: Call) -> Iterator[Match]:
    """RST_STREAM PROTOCOL_ERROR: someone saw a breach of the protocol."""
    ending = call.ending
    reset = ending.reset if ending else None
    blames = "the client's" if reset is not None and reset.side == SERVER else "the server's"
    yield from _with_code(
        call,
        PROTOCOL,
        severity="error",
        certainty="certain",
        safe="unknown",
        why="Whether the call was processed is not told.",
        text=f"PROTOCOL_ERROR says that the sender found {blames} frames in breach of HTTP/2. Breaches that the "
        "capture shows are findings of their own; if there is none, the sender may be wrong, or uses the code for "
        "something else (nginx after a timeout, some servers for any bad request).",
        fix="Look at the frames just before, and at the log of the side that sent the reset.",
    )


def _with_code(
    call: Call, code: int, *, severity: Severity, certainty: Certainty, safe: RetrySafe, why: str, text: str, fix: str
) -> Iterator[Match]:
    """Yield the match for a reset with `code`, whoever sent it; after a complete response it is a warning at most."""
    reset = _telling_reset(call)
    if reset is None or reset.code != code:
        return
    side = reset.side
    name, by = error_name(code), SIDE_NAMES[side]
    complete = call.response_complete
    where = "after the complete response" if complete else far(call)
    who: list[Who] = ["server", "proxy", "client"] if side == SERVER else ["client", "server"]
    if complete:  # what the client threw away in full is told by grpc-message-too-large
        severity = "info" if code == CALM and side == CLIENT else "warning"
    yield Match(
        severity=severity,
        certainty=sure(call.session, certainty),
        who=who,
        title=f"The {by} reset the stream with {name} ({code}) {where}",
        explanation=f"RST_STREAM {name} from the {by}, {aged(call, reset.excerpt.mark)} after the request, {where}. "
        f"{text}",
        evidence=[show(reset.excerpt, f"RST_STREAM, error code {code}: {name}"), *around(call)],
        details={
            "error_code": code,
            "error_name": name,
            "by": by,
            "http_status": call.http_status,
            "seconds": age(call, reset.excerpt.mark),
            **far_details(call),
        },
        client_sees=[]
        if side == CLIENT
        else clients.rst_midbody(code)
        if call.response
        else clients.rst_before_headers(code),
        retry_safe=safe,
        retry_why=why,
        fix=fix,
        key=side,
    )


def check_cancel(call: Call) -> Iterator[Match]:
    """The client gives the call up with RST_STREAM."""
    reset = _telling_reset(call)
    if reset is None or reset.side != CLIENT:
        return
    code = reset.code
    if code in OWN_RULE or (call.response_complete and code in (NO_ERROR, CANCEL)):
        return
    name = error_name(code)
    usual = code in (NO_ERROR, CANCEL)
    where = "after the complete response" if call.response_complete else far(call)
    timeout = grpc_timeout(call)
    asked = f" Its grpc-timeout was {timeout:g} s." if timeout is not None else ""
    yield Match(
        severity="info" if usual else "warning",
        certainty="certain",
        who=["client"],
        title=f"The client reset the stream with {name} ({code}) {where}",
        explanation=f"RST_STREAM {name} came from the client {aged(call, reset.excerpt.mark)} after its request, "
        f"{where}.{asked} "
        + (
            "A cancelled call, a passed deadline and a client that can't read the answer all look like this."
            if usual
            else "The client met an error of its own or one in the answer."
        ),
        evidence=[show(reset.excerpt, f"RST_STREAM, error code {code}: {name}"), *around(call)],
        details={
            "error_code": code,
            "error_name": name,
            "by": "client",
            "grpc_timeout": timeout,
            "seconds": age(call, reset.excerpt.mark),
            **far_details(call),
        },
        retry_safe="unknown",
        retry_why="The client itself ended the call; the server may have acted on it.",
        fix="Look at the client's log; if calls are given up for slowness, raise the deadline or find out what is "
        "slow.",
        key=code,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="rst-midbody",
        title="The stream was reset in the middle of the response",
        summary="RST_STREAM from the server after response headers and before a final status.",
        references=("RFC 9113 §5.4.2", "RFC 9113 §7", "gRPC PROTOCOL-HTTP2, Errors"),
        scope="call",
        check=check_rst_midbody,
    ),
    Rule(
        id="rst-before-headers",
        title="The stream was reset before any response",
        summary="RST_STREAM from the server before response headers.",
        references=("RFC 9113 §5.4.2", "RFC 9113 §7", "gRPC PROTOCOL-HTTP2, Errors"),
        scope="call",
        check=check_rst_before_headers,
    ),
    Rule(
        id="rst-refused-stream",
        title="The stream was refused",
        summary="RST_STREAM REFUSED_STREAM: the request was not processed and may be repeated.",
        references=("RFC 9113 §7", "RFC 9113 §8.7"),
        scope="call",
        check=check_refused,
    ),
    Rule(
        id="rst-enhance-your-calm",
        title="The stream was reset for excessive load",
        summary="RST_STREAM ENHANCE_YOUR_CALM.",
        references=("RFC 9113 §7",),
        scope="call",
        check=check_calm,
    ),
    Rule(
        id="rst-flow-control",
        title="The stream was reset for flow control",
        summary="RST_STREAM FLOW_CONTROL_ERROR.",
        references=("RFC 9113 §6.9", "RFC 9113 §7"),
        scope="call",
        check=check_flow_control,
    ),
    Rule(
        id="rst-http11-required",
        title="The endpoint wants HTTP/1.1",
        summary="RST_STREAM HTTP_1_1_REQUIRED.",
        references=("RFC 9113 §7",),
        scope="call",
        check=check_http11,
    ),
    Rule(
        id="rst-protocol-error",
        title="The stream was reset for a breach of the protocol",
        summary="RST_STREAM PROTOCOL_ERROR, from either side.",
        references=("RFC 9113 §5.4", "RFC 9113 §7"),
        scope="call",
        check=check_protocol_error,
    ),
    Rule(
        id="rst-cancel-by-client",
        title="The client gave the call up",
        summary="RST_STREAM CANCEL (or another code without a rule of its own) from the client.",
        references=("RFC 9113 §7", "gRPC PROTOCOL-HTTP2, Errors"),
        scope="call",
        check=check_cancel,
    ),
)
