"""What a connection speaks, told from its first bytes, and who is the client.

Ports say nothing: proxies, sidecars and tests put HTTP/2 anywhere. The client is the side that sent the connection
preface or the SYN; where a capture shows neither, the side that sent requests.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from wirecase.http2.facts import FRAME_NAMES, SETTINGS
from wirecase.http2.sync import FRAME_HEADER, PREFACE, find_frames, plausible_header, sender_of_frames
from wirecase.model import CLIENT

Answer = Literal["h2", "tls", "http1", "other"]

_HTTP1_REQUEST = re.compile(
    rb"(?:GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH|CONNECT|TRACE) [^\r\n ]+ HTTP/1\.[01]\r?\n", re.I
)
_HTTP1_REQUEST_START = re.compile(rb"(?:GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH|CONNECT|TRACE) ")
_HTTP1_RESPONSE = b"HTTP/1."
_ENOUGH = 64 * 1024
"""Bytes of a side after which no more is waited for."""
_MOST_SETTINGS = 6 * 64
"""Octets of a SETTINGS frame that is believed."""
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*\bh2c\b", re.I)


class Decision(NamedTuple):
    """What the first bytes say."""

    protocol: Answer
    client: int | None
    """Which side (0 or 1, as TCP numbers them) is the client; None if the bytes do not tell."""
    how: Literal["preface", "content"] | None
    skip: tuple[int, int] = (0, 0)
    """Bytes of each side before its HTTP/2 begins (an HTTP/1.1 upgrade)."""
    late: tuple[bool, bool] = (False, False)
    """Sides whose first HTTP/2 bytes are not in the capture."""
    foreign: tuple[bool, bool] = (False, False)
    """Sides that speak something else than the other one's HTTP/2."""
    upgraded: bool = False


def is_tls(data: bytes) -> bool:
    """Tell whether bytes begin with a TLS record (RFC 8446 §5.1)."""
    return (
        len(data) >= 5 and 0x14 <= data[0] <= 0x17 and data[1] == 3 and data[2] <= 4
        and int.from_bytes(data[3:5], "big") <= 0x4800
    )  # fmt: skip


def is_http1(data: bytes) -> bool:
    """Tell whether bytes begin with an HTTP/1 request or response."""
    return data.startswith(_HTTP1_RESPONSE) or _HTTP1_REQUEST.match(data) is not None


def hello_sender(first: list[bytes]) -> int | None:
    """Return which side begins with a ClientHello, or the one opposite to a ServerHello (RFC 8446 §4.1)."""
    for side in (0, 1):
        data = first[side]
        if is_tls(data) and data[0] == 0x16 and len(data) > 5 and data[5] in (1, 2):
            return side if data[5] == 1 else 1 - side
    return None


def begins_with_frame(data: bytes) -> bool:
    """Tell whether bytes begin with a plausible frame header."""
    if len(data) < 9:
        return False
    high, low, kind, flags, stream = FRAME_HEADER.unpack_from(data)
    return plausible_header(high << 8 | low, kind, flags, stream)


def begins_with_settings(data: bytes) -> bool:
    """Tell whether bytes begin like SETTINGS, be its length or its stream illegal (RFC 9113 §6.5).

    Enough only for the very first bytes of a server whose client sent the preface: SETTINGS is what has to come there.
    """
    if len(data) < FRAME_HEADER.size:
        return False
    high, low, kind, flags, stream = FRAME_HEADER.unpack_from(data)
    return kind == SETTINGS and flags <= 1 and high << 8 | low <= _MOST_SETTINGS and not stream >> 31


def can_begin_frames(data: bytes, *, from_start: bool = True) -> bool:
    """Tell whether a side's first bytes, however few, can be HTTP/2: SETTINGS (RFC 9113 §3.4), or another frame.

    `from_start` says that nothing came before them on the connection.
    """
    if len(data) >= FRAME_HEADER.size:
        return begins_with_frame(data) or (from_start and begins_with_settings(data))
    return data[:1] == b"\x00" and (len(data) < 4 or data[3] < len(FRAME_NAMES))


def _is_preface(data: bytes) -> bool:
    return data.startswith(PREFACE)


def _may_be_preface(data: bytes) -> bool:
    return len(data) < len(PREFACE) and PREFACE.startswith(data)


def _upgrade(first: list[bytes]) -> Decision | None:
    """Recognise h2c by HTTP/1.1 Upgrade (RFC 7540 §3.2): 101, then frames; the client goes on with the preface."""
    for side in (0, 1):
        request, response = first[side], first[1 - side]
        if not _HTTP1_REQUEST.match(request) or not response.startswith(b"HTTP/1.1 101"):
            continue
        end = response.find(b"\r\n\r\n")
        begin = request.find(PREFACE)
        if end < 0 or begin < 0 or not _UPGRADE.search(request[:begin]):
            continue
        skip = [0, 0]
        skip[side], skip[1 - side] = begin, end + 4
        return Decision("h2", side, "preface", skip=(skip[0], skip[1]), upgraded=True)
    return None


def decide(
    first: list[bytes], *, from_start: bool, initiator: int | None, final: bool, forced: bool
) -> Decision | None:
    """Return what a connection speaks, or None if more bytes are needed.

    `first` are the bytes of each side so far; `from_start` says that they begin where the connection did, `initiator`
    which side sent the SYN if that is known, `final` that no more will come, `forced` that it is HTTP/2 by decree.
    """
    final = final or max(len(first[0]), len(first[1])) > _ENOUGH
    for side in (0, 1):
        if _is_preface(first[side]):
            return _with_preface(first, side, from_start=from_start, final=final)
    if not final and any(data and _may_be_preface(data) for data in first):
        return None
    if any(_HTTP1_REQUEST.match(data) and _UPGRADE.search(data) for data in first):
        upgraded = _upgrade(first)
        if upgraded or (not final and not all(first)):
            return upgraded
        if not final and b" 101 " in (first[0][:16] + first[1][:16]):
            return None
    frames = [begins_with_frame(data) for data in first]
    if from_start and initiator is not None and not forced:
        return _from_start(first, initiator, frames, final=final)
    if from_start and initiator is not None and not first[initiator] and not final:
        return None  # servers may greet first: the client's preface is still to come
    return _from_middle(first, initiator, from_start=from_start, final=final, forced=forced)


def decide_half(first: list[bytes], *, client: int, final: bool) -> Decision | None:
    """Return what a connection speaks of which one side can be read, or None if more bytes are needed."""
    server = 1 - client
    if _is_preface(first[client]) or begins_with_frame(first[server]):
        late = _pair(client, not first[client])
        return Decision("h2", client, "preface" if first[client] else "content", late=late)
    if any(data and _may_be_preface(data) for data in first) and not final:
        return None
    if is_http1(first[client]) or is_http1(first[server]):
        return Decision("http1", client, None)
    if final or max(len(first[0]), len(first[1])) >= len(PREFACE):
        return Decision("other", client, None)
    return None


def _with_preface(first: list[bytes], client: int, *, from_start: bool, final: bool) -> Decision | None:
    server = 1 - client
    answer = first[server]
    if answer and len(answer) < FRAME_HEADER.size and can_begin_frames(answer) and not final:
        return None
    if not answer or can_begin_frames(answer, from_start=from_start):
        return Decision("h2", client, "preface")
    if is_tls(answer) or is_http1(answer) or from_start:
        return Decision("h2", client, "preface", foreign=_pair(server, True))
    return Decision("h2", client, "preface", late=_pair(server, True))


def _pair(side: int, value: bool) -> tuple[bool, bool]:
    return (value, False) if side == 0 else (False, value)


def _from_start(first: list[bytes], client: int, frames: list[bool], *, final: bool) -> Decision | None:
    server = 1 - client
    asked, answered = first[client], first[server]
    if is_tls(asked):
        if not final and len(answered) < 9 and not is_tls(answered):
            return None
        return Decision("tls", client, None)
    if frames[server] and (asked or final):
        if asked and not final and len(asked) < len(PREFACE):
            return None
        # The server speaks HTTP/2 and the client's first bytes are no preface.
        return Decision("h2", client, "content", foreign=_pair(client, bool(asked)))
    if _HTTP1_REQUEST_START.match(asked) and (len(answered) >= 9 or final):
        return Decision("http1", client, None)
    if is_tls(answered) and (asked or final):
        return Decision("tls", client, None)
    if final or (len(asked) >= len(PREFACE) and len(answered) >= 9):
        return Decision("http1" if is_http1(asked) or is_http1(answered) else "other", client, None)
    return None


def _from_middle(
    first: list[bytes], initiator: int | None, *, from_start: bool, final: bool, forced: bool
) -> Decision | None:
    found = [find_frames(data, frozenset((len(data),))) if len(data) >= 9 else None for data in first]
    if found[0] is None and found[1] is None:
        if forced and final:
            return Decision("h2", initiator, None, late=(True, True))
        if any(is_tls(data) for data in first):
            return Decision("tls", hello_sender(first) if initiator is None else initiator, None)
        if any(is_http1(data) for data in first):
            return Decision("http1", initiator, None)
        return Decision("other", initiator, None) if final else None
    client = initiator
    if client is None:
        for side in (0, 1):
            at = found[side]
            sender = sender_of_frames(first[side], at) if at is not None else None
            if sender is not None:
                client = side if sender == CLIENT else 1 - side
                break
    if client is None and not final:
        return None
    late = [True, True]
    if from_start and client is not None and begins_with_frame(first[1 - client]):
        late[1 - client] = False
    return Decision("h2", client, "content" if initiator is None else None, late=(late[0], late[1]))
