"""Rules on a call's status: missing, malformed or misplaced (PH2 Responses; statuscodes.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wirecase.grpc import status as s
from wirecase.http2.facts import error_name, is_informational
from wirecase.model import SERVER, ClientSees, Severity, Who
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import (
    absent,
    ended_on_data,
    is_grpc_call,
    plural,
    request_context,
    response_context,
    response_is_grpc,
    told_statuses,
)
from wirecase.rules.proxies import who_wrote
from wirecase.session.call import Call

PH2_RESPONSES = "gRPC PROTOCOL-HTTP2, Responses"
_NO_ERROR, _CANCEL = 0, 8
_TRAILER_FIX = (
    "Find the hop that drops trailers: let it speak HTTP/2 to its upstream and pass trailers on (nginx: grpc_pass, not "
    "proxy_pass; HAProxy: proto h2 on the server line; Apache: h2c:// in ProxyPass; ALB: protocol version gRPC; a CDN: "
    "gRPC turned on)."
)


def _missing(call: Call) -> Iterator[Match]:
    body = call.response_body
    if not is_grpc_call(call) or not response_is_grpc(call) or call.blurred or call.session.has_gaps:
        return
    if body is not None and (body.bad is not None or body.lost or body.pending() is not None):
        return
    if any(frame.side == SERVER and b"grpc-status" in frame.block.names for frame in call.stream.headers):
        return
    if call.response_complete:
        yield from _missing_at_end(call)
    else:
        yield from _missing_by_reset(call)


def _missing_at_end(call: Call) -> Iterator[Match]:
    kept = call.stream.ending[SERVER]
    trailers = call.trailers
    if kept is None:
        return
    messages = call.response_body.messages if call.response_body is not None else 0
    if ended_on_data(call):
        empty = kept.length <= 9
        why = "data"
        title = "The response ends on a DATA frame: no trailers, no grpc-status"
        text = (
            f"After {plural(messages, 'message')} the server set END_STREAM on {'an empty' if empty else 'a'} DATA "
            f"frame, so "
            "no trailers can follow and the call has no status. A gRPC server always ends with trailers: a proxy "
            "dropped "
            "them, or ended the stream itself when its upstream broke off."
        )
        if empty:
            text += " An empty one with END_STREAM is what proxies write when their upstream is gone or too slow."
        sees = clients.missing_status("data", last_data_empty=empty)
        if ("closed-stream", SERVER) in call.session.h2.violations_seen:  # grpclib fails on what follows instead
            sees = [row for row in sees if row.client != "grpclib"]
        note = "END_STREAM on DATA"
        names: list[str] = []
    elif trailers is not None and absent(trailers.block, b"grpc-status"):
        only = trailers is call.response
        why = "trailers-only" if only else "trailers"
        names = [name.decode("latin-1") for name, _ in trailers.block.fields if name is not None]
        title = "The response's only headers carry no grpc-status" if only else "The trailers carry no grpc-status"
        text = (
            f"The stream ends with {'headers alone' if only else 'trailers'} ({', '.join(names)[:200]}), but "
            f"grpc-status is "
            "not among them. Whoever wrote them is no gRPC server, or a hop removed the field."
        )
        sees = clients.missing_status(why)
        note = "trailers without grpc-status"
    else:
        return
    yield _missing_match(call, title, text, why, show(kept, note), sees, {"trailers": names, "messages": messages})


def _missing_by_reset(call: Call) -> Iterator[Match]:
    ending = call.ending
    if ending is None or ending.how != "rst" or ending.reset is None or ending.by != SERVER:
        return
    code = ending.reset.code
    if code not in (_NO_ERROR, _CANCEL):
        return
    messages = call.response_body.messages if call.response_body is not None else 0
    name = error_name(code)
    text = (
        f"After {plural(messages, 'message')} the server reset the stream with {name} instead of ending it with "
        "trailers. "
    )
    if code == _NO_ERROR:
        text += (
            "hyper (under tonic) takes that for a clean end of the body: tonic from 0.14.6 reports a missing status, "
            "earlier versions report success with the messages that had come."
        )
    else:
        text += (
            "Older versions of hyper (under tonic) take that for a clean end of the body: tonic then reports a missing "
            "status, or success with the messages that had come; newer ones and other clients report the reset."
        )
    yield _missing_match(
        call,
        f"The response ends with RST_STREAM {name}: clients that take it for an end miss the grpc-status",
        text,
        "rst",
        show(ending.reset.excerpt, f"RST_STREAM {name} by the server"),
        clients.rst_midbody(code),
        {"error_code": code, "error_name": name, "messages": messages},
        severity="error" if code == _NO_ERROR else "warning",
    )


def _missing_match(
    call: Call,
    title: str,
    text: str,
    why: str,
    primary: Any,
    sees: list[ClientSees],
    more: dict[str, Any],
    *,
    severity: Severity = "error",
) -> Match:
    writer = who_wrote(call.response_block)
    author = writer.sentence if writer and writer.proxy else ""
    who: list[Who] = ["proxy", "server"]
    return Match(
        severity=severity,
        certainty="certain",
        who=who,
        title=title,
        explanation=text + author,
        evidence=[primary, *response_context(call), *request_context(call)],
        details={
            "why": why,
            "http_status": call.http_status,
            "content_type": call.content_type,
            "after_messages": more["messages"],
            "by": "server",
            "proxy": writer.name if writer and writer.proxy else None,
            **more,
        },
        client_sees=sees,
        retry_safe="unknown",
        retry_why="The call may have been processed, and part of its messages were delivered.",
        fix=_TRAILER_FIX,
        key=(why, more.get("error_code")),
    )


def check_malformed(call: Call) -> Iterator[Match]:
    """A grpc-status that is no status, or more than one."""
    yield from _twice(call)
    yield from _malformed(call)


def _twice(call: Call) -> Iterator[Match]:
    trailers, told = call.trailers, [value.decode("latin-1")[:80] for value in told_statuses(call)]
    if trailers is None or not is_grpc_call(call) or len(told) < 2:
        return
    alike = len(set(told)) == 1
    often = "twice" if len(told) == 2 else f"{len(told)} times"
    first, last = told[0], told[-1]
    yield Match(
        severity="warning" if alike else "error",
        certainty="certain",
        who=["proxy", "server"],
        title=f"grpc-status stands {often} in one block: {', '.join(told)}",
        explanation="A call has one grpc-status. "
        + (
            "Most clients take either of these equal ones; grpc-js joins them and reports a code that is no number."
            if alike
            else f"Clients disagree about which one counts: tonic and connect-go take the first ({first}), grpc-go, "
            f"grpc-java, grpcio and grpclib the last ({last}), grpc-js joins them and reports a code that is no "
            "number. So the same call has succeeded for one client and failed for another."
        )
        + " A hop that adds a status of its own beside the server's writes such a block.",
        evidence=[show(trailers.excerpt, f"grpc-status: {', '.join(told)}"), *request_context(call)],
        details={"value": ", ".join(told), "by": "server", "http_status": call.http_status},
        client_sees=clients.status_twice(first, last)
        if s.is_status(first.encode()) and s.is_status(last.encode())
        else [],
        retry_safe="unknown",
        retry_why="The call may have been processed.",
        fix="Find the hop that adds a grpc-status to the server's (a filter, an extension, a script in a proxy), and "
        "have it replace the field or leave it alone.",
        key=tuple(told),
    )


def _malformed(call: Call) -> Iterator[Match]:
    if not is_grpc_call(call):
        return
    trailers, raw = call.trailers, call.status_text
    if trailers is None or raw is None or s.is_status(raw):
        return
    value = raw.decode("latin-1")[:80]
    number = raw.isdigit()
    what = f"{value} is no gRPC status code" if number else f'"{value}" is no number'
    yield Match(
        severity="warning" if number else "error",
        certainty="certain",
        who=["server", "proxy"],
        title=f"grpc-status is {value!r}" if value else "grpc-status is empty",
        explanation=(
            "A grpc-status is one of the numbers 0 to 16 in decimal digits; "
            + (f"{what}. " if value else "this one has no digits at all. ")
            + "Clients disagree about what that means: some fail the call, some call it success."
        ),
        evidence=[show(trailers.excerpt, f"grpc-status: {value}"), *request_context(call)],
        details={"value": value, "by": "server", "http_status": call.http_status},
        client_sees=clients.malformed_status(value, s.percent_decode(trailers.block.get(b"grpc-message") or b"")),
        retry_safe="unknown",
        retry_why="The call may have been processed.",
        fix="Mend the server or the hop that writes the status: decimal digits, 0 to 16.",
        key=value,
    )


def _open_headers(call: Call) -> Iterator[Match]:
    frame = call.response
    if frame is None or not is_grpc_call(call) or frame.end_stream or b"grpc-status" not in frame.block.names:
        return
    value = frame.block.text(b"grpc-status") or ""
    final = call.status_text
    if final is None:
        end = "No other grpc-status came."
    else:
        end = f"The trailers say grpc-status {final.decode('latin-1')[:20]}."
    body = call.response_body
    yield Match(
        severity="error",
        certainty="certain",
        who=["server", "proxy"],
        title=f"grpc-status {value!r} stands in response headers that leave the stream open",
        explanation=(
            "A grpc-status belongs into the block that ends the stream (trailers, or trailers-only headers with "
            f"END_STREAM). This one came first. {end} tonic takes it for the end and drops the messages behind it; "
            f"other "
            "clients ignore it."
        ),
        evidence=[show(frame.excerpt, f"grpc-status: {value} without END_STREAM"), *request_context(call)],
        details={
            "grpc_status": int(value) if value.isdigit() and len(value) < 10 else None,
            "value": value,
            "final_status": None if final is None else final.decode("latin-1")[:20],
            "after_messages": body.messages if body is not None else 0,
            "by": "server",
        },
        client_sees=clients.status_in_open_headers(
            int(value) if value.isdigit() and len(value) < 10 else None,
            frame.block.text(b"grpc-message") or "",
            on_data=final is None and ended_on_data(call),
        ),
        retry_safe="unknown",
        retry_why="The call was processed at least in part.",
        fix="Send trailers-only (END_STREAM on the HEADERS), or put the status into the trailers.",
        key=value,
    )


def _not_final(call: Call) -> Iterator[Match]:
    if not is_grpc_call(call):
        return
    seen = 0
    for frame in call.stream.headers:
        if frame.side != SERVER or is_informational(frame.block):
            continue
        seen += 1
        if seen < 2 or frame.end_stream:
            continue
        raw = frame.block.get(b"grpc-status")
        yield Match(
            severity="error",
            certainty="certain" if not call.blurred else "probable",
            who=["server", "proxy"],
            title="A second HEADERS frame of the response does not end the stream",
            explanation=(
                "After the response headers only one more header block may come: trailers, with END_STREAM "
                "(RFC 9113 §8.1). This block leaves the stream open, so it is neither; most clients fail the call here."
            ),
            evidence=[show(frame.excerpt, "second HEADERS without END_STREAM"), *response_context(call)],
            details={
                "by": "server",
                "grpc_status": int(raw) if raw is not None and s.is_status(raw) else None,
            },
            client_sees=clients.trailers_not_final(),
            retry_safe="unknown",
            retry_why="The call may have been processed.",
            fix="Set END_STREAM on the trailers.",
            key="headers",
        )  # fmt: skip
        return


RULES: tuple[Rule, ...] = (
    Rule(
        "grpc-status-missing",
        "A response without a grpc-status",
        "The response was 200 and application/grpc, but its end carries no grpc-status.",
        (PH2_RESPONSES, "RFC 9113 §8.1"),
        "call",
        _missing,
    ),
    Rule(
        "grpc-status-malformed",
        "A grpc-status that is no status",
        "grpc-status is not one of the numbers 0 to 16, or stands more than once in one block.",
        (PH2_RESPONSES, "gRPC statuscodes.md"),
        "call",
        check_malformed,
    ),
    Rule(
        "grpc-status-in-open-headers",
        "A grpc-status in headers that do not end the stream",
        "grpc-status stands in response headers without END_STREAM.",
        (PH2_RESPONSES,),
        "call",
        _open_headers,
    ),
    Rule(
        "grpc-trailers-not-final",
        "Trailers that do not end the stream",
        "A second HEADERS frame of the response has no END_STREAM.",
        ("RFC 9113 §8.1", PH2_RESPONSES),
        "call",
        _not_final,
    ),
)
