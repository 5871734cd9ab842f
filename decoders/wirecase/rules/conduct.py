"""Rules on how clients behave: content with broken bytes, or failing on legal ones. Blame is two-sided."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.grpc.messages import MessageReader
from wirecase.http2.facts import error_name, is_informational
from wirecase.model import CLIENT, SERVER, Evidence, Mark
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, point, show
from wirecase.rules.limits import SECOND, blind, call_seen, first_end
from wirecase.session.call import Call
from wirecase.session.session import Session

REACTION = SECOND
"""A client's error this soon after an unusual frame is taken for its answer to it, ns."""
MESSAGE_LIMIT = 4 << 20
"""Bytes of a message that clients take by default; a longer one is refused whatever its flag is."""
CORE, JS, TONIC = "grpc-c/", "grpc-node-js/", "tonic/"
"""Words of user agents whose libraries let some broken bytes pass (grpcio 1.85.1, grpc-js 1.14.7, tonic 0.14.9)."""
STRICT = ("grpc-go/", "grpc-java-", "grpc-dotnet/", "grpc-go-connect/", "grpc-python-grpclib/")
"""Those of libraries that fail calls on any."""
COMPLAINTS = (1, 2, 6)
"""Codes by which a client calls a frame wrong: PROTOCOL_ERROR, INTERNAL_ERROR, FRAME_SIZE_ERROR."""


def _is_content(body: MessageReader, agent: str) -> bool | None:
    """Tell whether a client of this name was seen to succeed on such a body; None where that is not known."""
    library = next((name for name in (CORE, JS, TONIC) if name in agent), None)
    if library is None:
        return False if any(name in agent for name in STRICT) else None
    bad, pending = body.bad, body.pending()
    whole = False
    if bad is not None:
        if library == TONIC:
            return False
        if library == CORE:  # it drops all of the body, if nothing whole stands before
            return None if body.messages else True
        declared = int.from_bytes(bad.foreign[1:5], "big")
        whole = declared <= bad.foreign_length - 5
    elif pending is not None:
        declared = pending.declared or 0
    else:
        return False  # compressed
    if declared > MESSAGE_LIMIT:
        return False
    if whole or library == CORE:
        return True
    return True if body.messages else None  # without any message a unary call fails


def check_accepts(call: Call) -> Iterator[Match]:
    """The status says OK, the body is broken, and the client carries on."""
    body, ending = call.response_body, call.ending
    if body is None or ending is None or call.grpc_status != 0 or not call.response_complete or not call_seen(call):
        return
    if ending.reset is not None and ending.reset.side == CLIENT:
        return
    pending = body.pending()
    failed = [inflation for inflation in body.inflations if inflation.kind in ("corrupt", "short", "crc")]
    if body.bad is not None:
        what, excerpt = f"a message prefix that begins with byte {body.bad.flag}", body.bad.excerpt
    elif pending is not None:
        what, excerpt = "a message that is cut short", pending.excerpt
    elif failed:
        what, excerpt = "a compressed message that does not inflate", failed[0].excerpt
    else:
        return
    agent = (call.request_block.text(b"user-agent") or "") if call.request_block else ""
    known = _is_content(body, agent)
    if known is False:
        return
    trailers = call.trailers
    yield Match(
        severity="info",
        certainty="probable" if known else "possible",
        who=["client"],
        title=f"grpc-status 0 over {what}: "
        + ("this client reports success on such bytes" if known else "a client may report success on broken bytes"),
        explanation=f"The response holds {what}, and its trailers say OK. The client did not reset the stream. "
        + (
            f"It calls itself {agent[:80]!r}, a library that was seen to return an empty or partial result as a "
            "success from such a response; its own report would prove it."
            if known
            else "Some clients then return an empty or partial result as a success (C-core, grpc-js); others fail the "
            "call. Which of both happened is not on the wire: ask the client."
        ),
        evidence=[
            show(excerpt, what),
            *([show(trailers.excerpt, "trailers with grpc-status 0", role="context")] if trailers else []),
        ],
        details={"grpc_status": 0, "by": "client", "user_agent": agent[:200] or None},
        retry_safe="no",
        retry_why="The server holds the call to be done.",
        fix="Check what the client returned for this call: compare message counts or sums with the server's. A client "
        "that hides such a response should be updated; mend whatever broke the bytes first.",
    )


def _unusual(call: Call) -> list[tuple[str, Evidence | None]]:
    """Return what the server sent on a call that is legal and that some clients fail on."""
    found: list[tuple[str, Evidence | None]] = []
    padded = call.stream.padded[SERVER]
    if padded:
        shown = show(call.response.excerpt, "response HEADERS", role="context") if call.response else None
        found.append((f"{padded} PADDED frames", shown))
    for frame in call.stream.headers:
        if frame.side == SERVER and is_informational(frame.block) and not frame.end_stream:
            status = frame.block.text(b":status")
            found.append(
                (
                    f"an informational {status} response",
                    show(frame.excerpt, f"HEADERS with :status {status}", role="context"),
                )
            )
            break
    unknown = call.session.h2.halves[SERVER].frames.unknown
    if unknown:
        found.append((f"{unknown} frames of unknown types", None))
    return found


def check_rejects_call(call: Call) -> Iterator[Match]:
    """The client resets a stream as broken on which nothing illegal was sent."""
    ending, session = call.ending, call.session
    reset = ending.reset if ending else None
    if reset is None or reset.side != CLIENT or reset.code not in COMPLAINTS or not call_seen(call) or blind(session):
        return
    body = call.response_body
    if any(side == SERVER for _, side in session.h2.violations_seen) or (
        body is not None and (body.bad or body.inflations)
    ):
        return
    unusual = _unusual(call)
    if not unusual:
        return
    names = ", ".join(name for name, _ in unusual)
    name = error_name(reset.code)
    done = " The response was complete, so the call could have succeeded." if call.response_complete else ""
    yield Match(
        severity="error",
        certainty="probable",
        who=["client"],
        title=f"The client reset the stream with {name} over legal frames: {names}",
        explanation=f"The server sent {names}. All of that is legal, and no breach of HTTP/2 by the server was seen; "
        f"the client answered with RST_STREAM {name}.{done} That the client cannot take these frames is the best "
        "explanation, but an inference.",
        evidence=[show(reset.excerpt, f"RST_STREAM {name} from the client"), *(shown for _, shown in unusual if shown)],
        details={
            "by": "client",
            "error_code": reset.code,
            "error_name": name,
            "frames": names,
            "grpc_status": call.grpc_status,
        },
        client_sees=clients.legal_frames_rejected(
            call.stream.id,
            padded=bool(call.stream.padded[SERVER]),
            unknown=bool(session.h2.halves[SERVER].frames.unknown),
        ),
        retry_safe="no",
        retry_why="The server may have completed the call, and the client fails on the same frames again.",
        fix="Update the client (C-core fails on padded DATA, grpclib on unknown frame types); until then switch "
        "padding, GREASE frames or 1xx responses off at the server or proxy.",
        key=reset.code,
    )


def check_rejects_connection(session: Session) -> Iterator[Match]:
    """The client tears the connection down right after legal but unusual frames."""
    h2 = session.h2
    unknown = h2.halves[SERVER].frames.unknown
    if (
        session.protocol != "h2"
        or blind(session)
        or not unknown
        or session.rules_fired.get("client-rejects-legal-frame")
    ):
        return
    if any(side == SERVER for _, side in h2.violations_seen) or set(session.rules_fired) - QUIET:
        return
    end, heard = first_end(session), session.server.last_data
    complaint = next((g for g in h2.goaways if g.side == CLIENT and g.code in COMPLAINTS), None)
    mark: Mark | None = complaint.excerpt.mark if complaint else None
    if mark is None and end is not None and end[0] == CLIENT and end[1] == "rst":
        mark = end[2]
    if mark is None or heard is None or not -REACTION <= mark.time - heard.time <= REACTION:
        return
    how = f"GOAWAY {error_name(complaint.code)}" if complaint else "a TCP RST"
    yield Match(
        severity="warning",
        certainty="probable" if complaint else "possible",
        who=["client"],
        title=f"The client tore the connection down with {how} after {unknown} frames of unknown types",
        explanation=f"The server sent {unknown} frames of types that RFC 9113 does not define; a receiver must ignore "
        f"them (§4.1). The client ended the connection with {how} right after, and nothing else explains it. Some "
        "clients (grpclib) fail on such frames.",
        evidence=[show(complaint.excerpt, how)] if complaint else point(mark, how, side=CLIENT),
        details={
            "by": "client",
            "frames": f"{unknown} of unknown types",
            "error_code": complaint.code if complaint else None,
        },
        client_sees=clients.legal_frames_rejected(0, padded=False, unknown=True),
        retry_safe="unknown",
        retry_why="The server may have completed the calls.",
        fix="Update the client; until then switch GREASE and extension frames off at the server or proxy.",
    )


QUIET = {
    "h2-padded-data",
    "rst-cancel-by-client",
    "body-cut-connection",
    "grpc-status-missing",
    "proxy-fingerprint",
    "grpc-app-status",
}
"""Rules that do not explain why a client would tear a connection down."""


_REJECTS = (
    "A client that fails on legal frames",
    "The peer sent something legal (padding, unknown frame types, a 1xx response) and the client failed on it.",
    ("RFC 9113 §4.1", "RFC 9113 §6.1", "RFC 9113 §8.1"),
)
RULES: tuple[Rule, ...] = (
    Rule(
        "client-accepts-broken-bytes",
        "Success on broken bytes",
        "The response is broken but its status says OK, and the client carries on.",
        ("gRPC PROTOCOL-HTTP2, Length-Prefixed-Message",),
        "call",
        check_accepts,
    ),
    Rule("client-rejects-legal-frame", *_REJECTS, "call", check_rejects_call),
    Rule("client-rejects-legal-frame", *_REJECTS, "session", check_rejects_connection),
)
