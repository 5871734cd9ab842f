"""What the capture lets us say: the observer's limits, in one place for all rules.

After a gap, a mid-connection start, a short snaplen or with one direction only, no peer is accused of what those could
explain. A rule asks `blind` (why can this not be told?), `sure` (how certain may I be?) or, for one side's bytes,
`whole`. Which protocol a side really spoke is told here too, since every rule on HTTP/2 frames rests on it.
"""

from __future__ import annotations

from typing import Literal

from wirecase.http2.facts import FRAME_NAMES, HEADERS
from wirecase.model import CLIENT, SERVER, Certainty, Excerpt, Mark
from wirecase.session.call import Call
from wirecase.session.session import Session

SECOND = 1_000_000_000
"""ns."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113 §3.4."""
HTTP1_METHODS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")
DEFAULT_MAX_FRAME = 16384
"""RFC 9113 §6.5.2: no first frame is longer, since nobody has raised the limit yet."""


def whole(session: Session, side: int) -> bool:
    """Tell whether every byte that `side` sent is in the capture, with its frame boundaries."""
    half = session.h2.halves[side]
    return begun(session, side) and not session.side(side).missing and not half.gaps and half.synced


def begun(session: Session, side: int) -> bool:
    """Tell whether the first bytes that `side` sent are in the capture."""
    return session.from_start and not _headless(session, side) and not session.one_direction


def stray(session: Session, side: int) -> Excerpt | None:
    """Return the bytes that `side` sent where a frame was due and that are none; None where a hole may explain them."""
    found = session.h2.halves[side].stray
    if found is None or session.protocol != "h2" or not begun(session, side) or not speaks_http2(session, side):
        return None
    return found


def http1_between_frames(session: Session) -> Excerpt | None:
    """Return the HTTP/1 status line that the server's side sent where a frame was due, and what follows it."""
    found = stray(session, SERVER)
    return found if found is not None and found.data.startswith(b"HTTP/1.") else None


def _headless(session: Session, side: int) -> bool:
    """Tell whether a side's first packets are missing although the connection's SYN was seen."""
    facts = session.side(side)
    return session.tcp.syn_seen and facts.syn is None and facts.packets > 0


def blind(session: Session) -> list[str]:
    """Return why the connection was not seen in full, one phrase each; empty if it was."""
    reasons = []
    if session.one_direction:
        hidden = session.tls is not None and session.tls.one_sided
        reasons.append("the keys open one direction only" if hidden else "only one direction was captured")
    if not session.from_start:
        reasons.append("the capture begins in the middle of the connection")
    elif _headless(session, CLIENT) or _headless(session, SERVER):
        reasons.append("part of the handshake is missing")
    cut = session.client.cut + session.server.cut
    if cut:
        reasons.append("packets were cut by the snaplen")
    if session.client.missing + session.server.missing > cut:
        reasons.append("packets are missing from the capture")
    if not all(half.synced for half in session.h2.halves):
        reasons.append("frame boundaries were lost")
    return reasons


def sure(session: Session, best: Certainty = "certain") -> Certainty:
    """Return `best`, or one step less where the connection was not seen in full."""
    if not blind(session):
        return best
    return "probable" if best == "certain" else "possible"


def call_seen(call: Call) -> bool:
    """Tell whether the frames of a call were all seen, both ways, so that its ending can be judged."""
    return not call.blurred and not call.session.one_direction and not call.session.has_gaps


def answered(session: Session) -> bool | None:
    """Tell whether the only call had response headers; None where there were more calls."""
    return session.h2.halves[SERVER].frames.by_type[HEADERS] > 0 if only_call(session) else None


def only_call(session: Session) -> bool:
    """Tell whether the client opened one stream; whatever a server opens in breach does not count."""
    return session.h2.halves[CLIENT].frames.by_type[HEADERS] == 1


def speaks_http2(session: Session, side: int) -> bool:
    """Tell whether a side's first bytes are HTTP/2 (or cannot be judged because they were not seen)."""
    kept = session.first_bytes[side]
    if kept is None or not session.tcp.syn_seen or session.h2.upgraded:
        return True
    data = kept.data
    if side == CLIENT:
        return data[: len(PREFACE)] == PREFACE[: len(data)]
    return looks_like_frame(data)


def looks_like_frame(data: bytes) -> bool:
    """Tell whether bytes can begin with an HTTP/2 frame header (RFC 9113 §4.1)."""
    if len(data) < 9:
        return bool(data) and not data[0]
    return int.from_bytes(data[:3], "big") <= DEFAULT_MAX_FRAME and data[3] < len(FRAME_NAMES) and data[5] < 0x80


def looks_like_tls(data: bytes) -> bool:
    """Tell whether bytes begin with a TLS record: handshake or alert, version 3.x (RFC 8446 §5.1)."""
    return len(data) >= 3 and data[0] in (0x15, 0x16) and data[1] == 3 and data[2] <= 4


def looks_like_http1_request(data: bytes) -> bool:
    """Tell whether bytes begin with an HTTP/1 request line (RFC 9112 §3)."""
    return data.startswith(HTTP1_METHODS)


def acknowledged(session: Session, side: int) -> bool:
    """Tell whether the peer's TCP has acknowledged all that `side` sent: the silence is then not the network's."""
    facts = session.side(side)
    return facts.acked is not None and facts.acked >= facts.sent and not facts.tail_retransmissions


def first_end(session: Session) -> tuple[int, Literal["fin", "rst"], Mark] | None:
    """Return (side, how, mark) of the FIN or RST that ended the connection; None if the other side's was not captured.

    An acknowledgement beyond the last byte that was seen is that of a FIN, or of bytes, which the capture has not.
    """
    end = session.first_end()
    if end is None:
        return None
    other = session.side(OTHER[end[0]])
    return None if other.fin is None and other.acked is not None and other.acked > other.sent else end


def seconds(start: Mark | int | None, stop: Mark | int | None) -> float:
    """Return the seconds between two marks or times; 0.0 if one is unknown or they run backwards."""
    if start is None or stop is None:
        return 0.0
    began = start.time if isinstance(start, Mark) else start
    ended = stop.time if isinstance(stop, Mark) else stop
    return max(0, ended - began) / SECOND


def span(value: float) -> str:
    """Return a duration for a sentence: ``12 ms``, ``3.2 s``, ``5 min 20 s``."""
    if value < 1:
        return f"{value * 1000:.0f} ms" if value >= 0.001 else "less than 1 ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes = int(value // 60)
    return f"{minutes} min {value - 60 * minutes:.0f} s"


def last_time(session: Session) -> int | None:
    """Return the time of the connection's last packet, ns."""
    times = [facts.last.time for facts in (session.client, session.server) if facts.last]
    return max(times) if times else None


def first_time(session: Session) -> int | None:
    """Return the time of the connection's first packet, ns."""
    times = [facts.first.time for facts in (session.client, session.server) if facts.first]
    return min(times) if times else None


def grpc_timeout(call: Call) -> float | None:
    """Return the request's grpc-timeout in seconds; None if it is absent, unknown or malformed (PH2, Timeout)."""
    block = call.request_block
    raw = block.get(b"grpc-timeout") if block else None
    if raw is None or not 2 <= len(raw) <= 9 or not raw[:-1].isdigit():
        return None
    unit = TIMEOUT_UNITS.get(raw[-1:])
    return None if unit is None else int(raw[:-1]) * unit


TIMEOUT_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
"""Seconds per TimeoutUnit."""
OTHER = (SERVER, CLIENT)
"""The other side, by side."""
