"""What the two legs of one call differ in.

A difference is an error where it breaks the call: the client is left with less, or with something else, than what the
server had sent in order. What a proxy does as a matter of course (headers added, DATA cut anew, a reset told in its own
words) is a note.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from wirecase.comparing.endings import client_left, ending_of, gave_up, how_words
from wirecase.comparing.model import Block, Clock, LegBody, LegCall, Pair
from wirecase.grpc.status import status_name
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Evidence, Severity
from wirecase.rules.base import show

_RESERVED = (b":status", b"grpc-status", b"grpc-message", b":path")
"""Told by differences of their own, or the same by definition."""
_VERBS = {"added": "adds", "removed": "removes", "rewritten": "rewrites"}
_ABRUPT = ("rst", "fin", "tcp-rst", "goaway", "open")


@dataclass(slots=True)
class Difference:
    """One difference between the legs of one call."""

    kind: str
    severity: Severity
    title: str
    text: str
    front: list[Evidence]
    back: list[Evidence]
    details: dict[str, Any] = field(default_factory=dict)
    key: tuple[Any, ...] = ()
    """What tells two differences of one kind apart."""


def differences(pair: Pair, clock: Clock) -> Iterator[Difference]:
    """Yield what a pair differs in, and note in it which bodies are equal."""
    front, back = pair.front, pair.back
    pair.request_equal = _equal(front.request_body, back.request_body)
    pair.response_equal = _equal(front.response_body, back.response_body)
    left = client_left(front, back, clock)
    early = gave_up(front, back, clock)
    yield from _headers("request", front.request, back.request, front, back)
    yield from _body("request", CLIENT, pair, left=left)
    if early:
        yield _given_up(front, back, clock)
    else:
        yield from _answer(front, back, left=left)
        yield from _status(front, back, left=left)
    yield from _body("response", SERVER, pair, left=left or early)
    yield from _reframed(pair)
    if not early:
        yield from _ending(front, back, clock, left=left)


def _given_up(front: LegCall, back: LegCall, clock: Clock) -> Difference:
    assert front.ended is not None
    after = (front.ended.time - front.opened.time) / 1e6
    told = f"HTTP {front.http_status}, " if front.http_status not in (None, 200) else ""
    told += f"grpc-status {front.status}" if front.status is not None else how_words(front)
    return Difference(
        "ended-by-proxy", "error", f"The proxy ends the call before the server does: {told}",
        f"{after:,.1f} ms after the request the proxy ended the call for the client; behind it nothing had ended then: "
        f"later, {how_words(back)}.",
        ending_of(front, "the proxy ends the call"), ending_of(back, "later, behind"),
        {
            "front_http_status": front.http_status, "front_grpc_status": front.status, "front_how": front.how,
            "back_how": back.how, "back_grpc_status": back.status, "after_ms": round(after, 3),
        },
        (front.http_status, front.status, front.how),
    )  # fmt: skip


def _equal(front: LegBody, back: LegBody) -> bool | None:
    if front.digest is None or back.digest is None:
        return None
    if (front.size, front.digest) == (back.size, back.digest):
        return True
    return False if front.complete and back.complete else None


# ---- headers -------------------------------------------------------------------------------------------------------


def _shown(block: Block | None, note: str) -> list[Evidence]:
    return [] if block is None else [show(block.excerpt, note)]


def _headers(
    what: str, front: Block | None, back: Block | None, one: LegCall, two: LegCall
) -> Iterator[Difference]:  # fmt: skip
    """Compare two header lists; `what` is ``request``, ``response`` or ``trailers``."""
    if front is None or back is None or front.unknown or back.unknown:
        return
    here, there = _values(front), _values(back)
    for name in dict.fromkeys((*here, *there)):
        if name in _RESERVED or here.get(name) == there.get(name):
            continue
        # A request goes from front to back, an answer from back to front.
        before, after = (here, there) if what == "request" else (there, here)
        change = "added" if name not in before else "removed" if name not in after else "rewritten"
        text = name.decode("latin-1")
        severity, why = _weight(what, name, before.get(name), after.get(name), one, two)
        yield Difference(
            f"{what}-header-{change}" if what != "trailers" else f"trailer-{change}",
            severity,
            f"The proxy {_VERBS[change]} {text} in the {what if what == 'trailers' else what + ' headers'}",
            why,
            _shown(front, f"{what} headers in front"),
            _shown(back, f"{what} headers behind"),
            {"name": text, "front": _joined(here.get(name)), "back": _joined(there.get(name)), "change": change},
            (name,),
        )


def _values(block: Block) -> dict[bytes, list[bytes | None]]:
    found: dict[bytes, list[bytes | None]] = {}
    for name, value in block.fields:
        if name is not None:
            found.setdefault(name, []).append(value)
    return found


def _joined(values: list[bytes | None] | None) -> bytes | None:
    return None if values is None else b", ".join(value or b"" for value in values)[:1024]


def _weight(
    what: str, name: bytes, before: list[bytes | None] | None, after: list[bytes | None] | None, one: LegCall,
    two: LegCall,
) -> tuple[Severity, str]:  # fmt: skip
    """Say how much a changed field matters, and why."""
    if name == b"content-type":
        was, now = _joined(before) or b"", _joined(after) or b""
        if was.startswith(b"application/grpc") and not now.startswith(b"application/grpc"):
            return "error", "Without its content-type a gRPC message is none for the receiver (PH2, Content-Type)."
    if name == b"te" and what == "request" and before == [b"trailers"]:
        return (
            "warning",
            "Servers may refuse a gRPC request without te: trailers, or hold their trailers back.",
        )
    if name == b"grpc-encoding":
        body = two.request_body if what == "request" else one.response_body
        if body.compressed and (not after or after == [b"identity"]):
            return "error", "Messages are still compressed, and nothing says any more with what."
    if name == b"grpc-timeout" and after is None:
        return "warning", "The server does not learn of the client's deadline and works on after it."
    if name in (b"grpc-status-details-bin", b"grpc-accept-encoding") and after is None:
        return "warning", "The receiver does without what the other side wanted to tell it."
    return "info", ""


# ---- bodies --------------------------------------------------------------------------------------------------------


def _body(what: str, side: int, pair: Pair, *, left: bool) -> Iterator[Difference]:
    front, back = pair.front, pair.back
    one, two = (front.request_body, back.request_body) if side == CLIENT else (front.response_body, back.response_body)
    sent, got = (one, two) if side == CLIENT else (two, one)
    details = {
        "front_bytes": one.size, "back_bytes": two.size, "front_messages": one.messages,
        "back_messages": two.messages,
    }  # fmt: skip
    if one.foreign is not None and two.foreign is None and side == SERVER:
        yield Difference(
            "body-replaced",
            "error",
            "The client gets bytes that the server never sent",
            f"Behind the proxy the answer is a chain of gRPC messages ({two.messages} whole, {two.size:,} bytes); in "
            f"front of it stand bytes that are no message. The proxy put them there.",
            [show(one.foreign, "no gRPC message: not from the server")],
            _shown(back.response, "the answer behind begins here"),
            details,
        )
        return
    if pair.request_equal is not False if side == CLIENT else pair.response_equal is not False:
        return
    if sent.messages == got.messages and sent.compressed != got.compressed and not (one.foreign or two.foreign):
        yield Difference(
            f"{what}-recompressed", "info", f"The proxy changes the compression of {what} messages",
            f"{sent.messages} messages each, {sent.compressed} of them compressed before the proxy and "
            f"{got.compressed} after it: whether they hold the same is not compared.",
            _shown(front.request if side == CLIENT else front.response, f"{what} headers in front"),
            _shown(back.request if side == CLIENT else back.response, f"{what} headers behind"),
            details,
        )  # fmt: skip
        return
    if left:
        return
    lost = sent.messages - got.messages
    if lost > 0:
        kind, title = f"{what}-messages-lost", f"The proxy loses {what} messages"
    elif lost < 0:
        kind, title = f"{what}-messages-added", f"The proxy adds {what} messages"
    else:
        kind, title = f"{what}-bytes-changed", f"The proxy changes bytes of the {what} messages"
    yield Difference(
        kind, "error", title,
        f"Both legs hold the whole {what}, and it is not the same: {one.messages} messages, {one.size:,} bytes in "
        f"front, {two.messages} messages, {two.size:,} bytes behind.",
        _shown(front.request if side == CLIENT else front.response, f"{what} headers in front"),
        _shown(back.request if side == CLIENT else back.response, f"{what} headers behind"),
        details,
    )  # fmt: skip


def _reframed(pair: Pair) -> Iterator[Difference]:
    front, back = pair.front, pair.back
    for what, one, two, equal in (
        ("request", front.request_body, back.request_body, pair.request_equal),
        ("response", front.response_body, back.response_body, pair.response_equal),
    ):
        if equal and one.frames != two.frames:
            yield Difference(
                "data-reframed", "info", f"The proxy cuts the {what}'s DATA anew",
                f"The same {one.size:,} bytes stand in {one.frames} DATA frames in front and in {two.frames} behind.",
                [], [], {"by": what, "front_frames": one.frames, "back_frames": two.frames, "bytes": one.size},
                (what,),
            )  # fmt: skip


# ---- the answer ----------------------------------------------------------------------------------------------------


def _answer(front: LegCall, back: LegCall, *, left: bool) -> Iterator[Difference]:
    one, two = front.response, back.response
    if two is not None and one is None:
        if not left and not front.blurred:
            yield Difference(
                "answer-lost", "error", "The server's answer does not reach the client",
                f"Behind the proxy an answer began (HTTP {back.http_status}); in front of it there are no response "
                "headers at all.",
                ending_of(front, "how the call ends in front"), _shown(two, "the answer behind"),
                {"back_http_status": back.http_status, "back_grpc_status": back.status},
            )  # fmt: skip
        return
    if one is not None and two is None:
        if not back.blurred:
            yield Difference(
                "answered-by-proxy", "warning", "The proxy answers for the server",
                f"In front of the proxy there is an answer (HTTP {front.http_status}"
                + (f", grpc-status {front.status}" if front.status is not None else "")
                + "); behind it the server sent none.",
                _shown(one, "the proxy's own answer"), ending_of(back, "how the call ends behind"),
                {"front_http_status": front.http_status, "front_grpc_status": front.status, "back_how": back.how},
                (front.http_status, front.status),
            )  # fmt: skip
        return
    if one is None or two is None:
        return
    if front.http_status != back.http_status and None not in (front.http_status, back.http_status):
        yield Difference(
            "http-status-rewritten", "error",
            f"The proxy turns HTTP {back.http_status} into {front.http_status}",
            f"The server answered with :status {back.http_status}, the client gets {front.http_status}.",
            _shown(one, f":status {front.http_status} in front"), _shown(two, f":status {back.http_status} behind"),
            {"front": front.http_status, "back": back.http_status}, (front.http_status, back.http_status),
        )  # fmt: skip
    only_one = (one is front.trailers) != (two is back.trailers)
    if not only_one:
        yield from _headers("response", one, two, front, back)
    if front.trailers is not one and back.trailers is not two:
        yield from _headers("trailers", front.trailers, back.trailers, front, back)


def _status(front: LegCall, back: LegCall, *, left: bool) -> Iterator[Difference]:
    """Compare what both legs say about how the call ended, where a grpc-status says it."""
    if back.status is not None and front.status is None:
        if left or front.blurred or (front.trailers is not None and front.trailers.unknown):
            return
        yield Difference(
            "trailers-lost", "error", f"The proxy loses the trailers: {status_name(back.status)} ({back.status})",
            f"The server ended the call with grpc-status {back.status}; in front of the proxy {how_words(front)}, "
            "and no grpc-status is there.",
            ending_of(front, "the call ends here in front"), _shown(back.trailers, f"grpc-status {back.status} behind"),
            {"grpc_status": back.status, "front_how": front.how, "front_http_status": front.http_status},
            (back.status, front.how),
        )  # fmt: skip
        return
    if front.status is None or back.status is None:
        return
    if front.status != back.status:
        yield Difference(
            "status-rewritten", "error",
            f"The proxy turns {status_name(back.status)} ({back.status}) into {status_name(front.status)} "
            f"({front.status})",
            f"The server ended the call with grpc-status {back.status}, the client gets {front.status}.",
            _shown(front.trailers, f"grpc-status {front.status} in front"),
            _shown(back.trailers, f"grpc-status {back.status} behind"),
            {"front": front.status, "back": back.status}, (front.status, back.status),
        )  # fmt: skip
        return
    here = front.trailers.get(b"grpc-message") if front.trailers else None
    there = back.trailers.get(b"grpc-message") if back.trailers else None
    hidden = any(one is not None and one.unknown for one in (front.trailers, back.trailers))
    if here != there and not hidden:
        yield Difference(
            "message-rewritten", "info", "The proxy changes the grpc-message",
            "The status is the same, its words are not.",
            _shown(front.trailers, "in front"), _shown(back.trailers, "behind"),
            {"name": "grpc-message", "front": here, "back": there}, (here, there),
        )  # fmt: skip


# ---- endings -------------------------------------------------------------------------------------------------------


_TRANSLATED = {
    "rst": "reset-translated", "goaway": "goaway-translated", "fin": "close-translated", "tcp-rst": "close-translated",
}  # fmt: skip


def _ending(front: LegCall, back: LegCall, clock: Clock, *, left: bool) -> Iterator[Difference]:
    """Compare how both legs ended, where one of them ended abruptly."""
    if front.how == "open" or back.how == "open" or (front.how, front.code, front.by) == (back.how, back.code, back.by):
        return
    first = _first(front, back, clock)
    details = {
        "front_how": front.how, "front_code": front.code, "front_by": _name(front.by), "back_how": back.how,
        "back_code": back.code, "back_by": _name(back.by), "ended_first": first,
    }  # fmt: skip
    evidence = ending_of(front, "in front"), ending_of(back, "behind")
    key = (front.how, front.code, front.by, back.how, back.code, back.by)
    if left:
        if back.how in _ABRUPT:
            yield Difference(
                "cancel-translated", "info", f"The client left: {how_words(front)}; behind, {how_words(back)}",
                "The proxy passes on in its own words that the client left the call.", *evidence, details, key,
            )  # fmt: skip
        return
    if back.how not in _TRANSLATED or front.blurred or back.blurred:
        return
    kind = _TRANSLATED[back.how]
    if front.how == "data":
        yield Difference(
            kind, "error", f"The proxy hides a failure: {how_words(back)}; in front, {how_words(front)}",
            "Behind the proxy the call broke off. In front the stream ends as if all were well, but for the missing "
            "status.",
            *evidence, details, key,
        )  # fmt: skip
    elif front.in_order and not front.status:
        yield Difference(
            kind, "error", f"The proxy reports OK for a call that failed: behind, {how_words(back)}",
            "Behind the proxy the call broke off without a status; in front it ends with grpc-status 0.",
            *evidence, details, key,
        )  # fmt: skip
    else:
        told = f"grpc-status {front.status}" if front.in_order else how_words(front)
        yield Difference(
            kind, "info", f"Behind, {how_words(back)}; in front, {told}",
            "The call broke behind the proxy, which tells the client so in its own words.", *evidence, details, key,
        )  # fmt: skip


def _name(side: int | None) -> str | None:
    return None if side is None else SIDE_NAMES[side]


def _first(front: LegCall, back: LegCall, clock: Clock) -> str | None:
    """Say which leg ended first; None where the clocks do not tell."""
    if front.ended is None or back.ended is None or clock.uncertainty is None:
        return None
    apart = front.ended.time - (back.ended.time - clock.offset)
    if abs(apart) <= clock.uncertainty:
        return None
    return "back" if apart > 0 else "front"
