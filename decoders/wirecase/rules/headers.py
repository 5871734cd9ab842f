"""Rules on header blocks: HPACK, malformed fields, content-length, list sizes (RFC 7541; RFC 9113 §6.5.2, §8)."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.http2.facts import END_STREAM, HEADERS, Violation
from wirecase.model import CLIENT, SIDE_NAMES
from wirecase.rules import clients, knobs
from wirecase.rules.base import Match, Rule
from wirecase.rules.limits import OTHER
from wirecase.rules.violations import Told, grouped
from wirecase.session.session import Session

COMPRESSION_ERROR = 9
PROBLEMS = {
    "uppercase": ("has uppercase letters", "Field names are lower case in HTTP/2 (RFC 9113 §8.2)."),
    "connection-specific": (
        "is connection-specific",
        "Connection, Keep-Alive, Transfer-Encoding and the like do not exist in HTTP/2 (RFC 9113 §8.2.2).",
    ),
    "bad-te": ("is not 'trailers'", "TE may only hold 'trailers' in HTTP/2 (RFC 9113 §8.2.2)."),
    "pseudo-order": ("stands after a regular field", "Pseudo-headers come first (RFC 9113 §8.3)."),
    "pseudo-unknown": ("is no known pseudo-header", "Endpoints must not invent pseudo-headers (RFC 9113 §8.3)."),
    "pseudo-duplicate": ("appears twice", "A pseudo-header may appear once (RFC 9113 §8.3)."),
    "pseudo-missing": ("is missing", "A request needs :method, :scheme and :path, a response :status (RFC 9113 §8.3)."),
    "pseudo-in-trailers": ("stands in trailers", "Trailers carry no pseudo-headers (RFC 9113 §8.1)."),
    "control-characters": (
        "holds control characters",
        "NUL, CR and LF are forbidden in values (RFC 9113 §8.2.1): terminals, logs and HTTP/1 hops can be tricked.",
    ),
}


def _text(value: object) -> str:
    raw = value if isinstance(value, bytes) else str(value or "").encode("latin-1", "replace")
    return raw.decode("latin-1")


def _malformed(session: Session, violation: Violation) -> Told:
    problem = str(violation.facts.get("problem"))
    what, rule = PROBLEMS.get(problem, (f"is malformed ({problem})", "See RFC 9113 §8.2 and §8.3."))
    name = _text(violation.facts.get("name"))
    shown = name.encode("unicode_escape").decode("ascii") if not name.isprintable() else name
    side = SIDE_NAMES[violation.side]
    return Told(
        title=f"Header field {shown!r} from the {side} {what}",
        explanation=f"{rule} Such a message is malformed: peers answer with RST_STREAM PROTOCOL_ERROR, with 400, or "
        "let it pass.",
        note=f"header block with {shown!r}",
        fix=f"Find what sets this field at the {side}: application metadata, an interceptor, or a proxy that adds it.",
        severity="warning" if problem == "control-characters" else "error",
    )


def check_malformed(session: Session) -> Iterator[Match]:
    """Header fields that HTTP/2 forbids."""
    for match in grouped(session, {"malformed-headers": _malformed}, needs_whole=True):
        match.retry_safe, match.retry_why = "no", "The same headers fail again."
        yield match


def _hpack(session: Session, violation: Violation) -> Told:
    side = SIDE_NAMES[violation.side]
    text = _text(violation.facts.get("text")).rstrip(".")
    return Told(
        title=f"The {side}'s header block on stream {violation.stream} cannot be decoded: {text}",
        explanation=f"HPACK decoding fails: {text}. Both ends share the table, so the receiver must close the whole "
        "connection with COMPRESSION_ERROR (RFC 9113 §4.3), and every call on it dies.",
        note=f"HPACK: {text}",
        fix=f"Fix or replace the HPACK encoder of the {side}, or find what changes or reorders its header blocks.",
    )


def check_hpack(session: Session) -> Iterator[Match]:
    """A header block that HPACK forbids, on a side that was seen from its start."""
    for match in grouped(session, {"hpack": _hpack}, needs_whole=True):
        if match.details.pop("certain", True):
            yield match


def _complained(session: Session, side: int) -> bool:
    """Tell whether `side` ended the connection with COMPRESSION_ERROR."""
    return any(goaway.side == side and goaway.code == COMPRESSION_ERROR for goaway in session.h2.goaways)


def _size_ignored(session: Session, violation: Violation) -> Told:
    side, limit = SIDE_NAMES[violation.side], violation.facts.get("limit")
    return Told(
        title=f"The {side} ignores the lowered header table size ({limit} bytes)",
        explanation=f"The {SIDE_NAMES[OTHER[violation.side]]} lowered SETTINGS_HEADER_TABLE_SIZE to {limit}. The next "
        "header block must begin with a table size update (RFC 7541 §4.2); it does not. Strict receivers report "
        "COMPRESSION_ERROR, and where the encoder goes on using old entries the tables of both ends drift apart; "
        "others never notice.",
        note="header block without the due table size update",
        fix=f"Update the HTTP/2 library of the {side}, or do not lower HEADER_TABLE_SIZE at its peer.",
        severity="error" if _complained(session, OTHER[violation.side]) else "info",
    )


def check_size_ignored(session: Session) -> Iterator[Match]:
    """An encoder that did not follow a lowered HEADER_TABLE_SIZE."""
    yield from grouped(session, {"hpack-size-ignored": _size_ignored}, needs_whole=True)


def _list_too_large(session: Session, violation: Violation) -> Told:
    side = SIDE_NAMES[violation.side]
    size, limit = violation.facts.get("list_size", 0), violation.facts.get("limit")
    receiver = SIDE_NAMES[OTHER[violation.side]]
    bound = (
        f"The {receiver} announced no SETTINGS_MAX_HEADER_LIST_SIZE, but no peer takes this much"
        if limit is None
        else f"The {receiver} announced SETTINGS_MAX_HEADER_LIST_SIZE = {limit:,}"
    )
    return Told(
        title=f"Header list of {size:,} bytes from the {side}"
        + ("" if limit is None else f", the {receiver} takes {limit:,}"),
        explanation=f"{bound}; this list counts {size:,} (names and values plus 32 bytes each). Receivers answer with "
        "431, RST_STREAM or ENHANCE_YOUR_CALM, or drop the fields.",
        note=f"header block of {size:,} bytes when decoded",
        fix=f"Send less metadata (tokens, baggage, error details), or raise the receiver's limit: {knobs.METADATA}.",
        severity="warning",
        certainty="probable",
    )


def check_list_too_large(session: Session) -> Iterator[Match]:
    """A header list over the receiver's announced limit."""
    for match in grouped(session, {"header-list-too-large": _list_too_large}):
        match.retry_safe, match.retry_why = "no", "The same metadata is refused again."
        if match.details["by"] == "server":
            match.client_sees = clients.header_list_too_large()
        yield match


def _content_length(session: Session, violation: Violation) -> Told:
    declared, got = violation.facts.get("declared", 0), violation.facts.get("got", 0)
    side = SIDE_NAMES[violation.side]
    what = "request" if violation.side == CLIENT else "response"
    head = violation.excerpt.data
    ends = head[3] != HEADERS or head[4] & END_STREAM
    return Told(
        title=f"The {what} says content-length {declared:,} but its DATA holds {got:,} bytes",
        explanation=f"The sum of DATA on stream {violation.stream} differs from the content-length that the {side} "
        f"sent: the message is malformed (RFC 9113 §8.1.1). A {'shorter' if got < declared else 'longer'} body points "
        "to something between that rewrote or cut it.",
        note="the frame that ends the message"
        if ends
        else "the headers that say so; the stream was reset before its end",
        fix="Look for a proxy or filter that changes bodies (compression, buffering, rewriting) without fixing "
        "content-length.",
    )


def check_content_length(session: Session) -> Iterator[Match]:
    """DATA that does not add up to content-length."""
    yield from grouped(session, {"content-length": _content_length}, needs_whole=True)


RULES: tuple[Rule, ...] = (
    Rule(
        id="h2-malformed-headers",
        title="Header fields that HTTP/2 forbids",
        summary="Uppercase names, connection-specific fields, misplaced pseudo-headers or control characters.",
        references=("RFC 9113 §8.2", "RFC 9113 §8.3"),
        scope="session",
        check=check_malformed,
    ),
    Rule(
        id="h2-hpack-decode-error",
        title="A header block that cannot be decoded",
        summary="HPACK decoding fails on a connection that was seen from its start.",
        references=("RFC 7541 §3", "RFC 9113 §4.3"),
        scope="session",
        check=check_hpack,
    ),
    Rule(
        id="h2-hpack-size-ignored",
        title="A lowered header table size was ignored",
        summary="The encoder sends no table size update after the peer lowered SETTINGS_HEADER_TABLE_SIZE.",
        references=("RFC 7541 §4.2", "RFC 9113 §4.3.1"),
        scope="session",
        check=check_size_ignored,
    ),
    Rule(
        id="h2-header-list-too-large",
        title="A header list over the receiver's limit",
        summary="The decoded header list is larger than the SETTINGS_MAX_HEADER_LIST_SIZE that the receiver announced.",
        references=("RFC 9113 §6.5.2", "RFC 9113 §10.5.1"),
        scope="session",
        check=check_list_too_large,
    ),
    Rule(
        id="h2-content-length-mismatch",
        title="content-length and DATA disagree",
        summary="The DATA of a message does not add up to its content-length.",
        references=("RFC 9113 §8.1.1",),
        scope="session",
        check=check_content_length,
    ),
)
