"""How the legs of a call ended, and which of them first."""

from __future__ import annotations

from wirecase.comparing.model import Clock, LegCall
from wirecase.http2.facts import error_name
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Evidence, Excerpt
from wirecase.rules.base import point, show

_TICK = 50_000
"""Packets closer together than this may have been captured in another order than they were sent, ns."""


def client_left(front: LegCall, back: LegCall, clock: Clock) -> bool:
    """Tell whether the client itself ended the call before anything ended it behind."""
    if front.by != CLIENT or front.how not in ("rst", "fin", "tcp-rst"):
        return False
    if front.ended is None or back.ended is None or back.by == CLIENT:
        return True
    return front.ended.time <= back.ended.time - clock.offset + (clock.uncertainty or 0)


def gave_up(front: LegCall, back: LegCall, clock: Clock) -> bool:
    """Tell whether the proxy ended the call for the client before anything ended it behind."""
    if front.by != SERVER or front.ended is None or back.ended is None:
        return False
    # The back clock is at most so far ahead, so what happened behind happened at that time or later.
    ahead = clock.offset + (clock.uncertainty or 0)
    if back.response is not None and back.response.excerpt.mark.time - ahead <= front.ended.time:
        return False  # an answer had begun: the proxy may have had its reasons
    return front.ended.time < back.ended.time - ahead - _TICK


def ending_of(call: LegCall, note: str) -> list[Evidence]:
    """Return the frame or packet that ended a leg."""
    last: Excerpt | None = call.ending
    if last is not None:
        return [show(last, f"{note}: {how_words(call)}")]
    return point(call.ended, f"{note}: {how_words(call)}", side=call.by)


def how_words(call: LegCall) -> str:
    """Say how a leg ended, the end of a sentence."""
    who = "somebody" if call.by is None else f"the {SIDE_NAMES[call.by]}"
    code = "" if call.code is None else f" ({error_name(call.code)})"
    return {
        "trailers": "the stream ends with trailers",
        "trailers-only": "the stream ends with its response headers",
        "data": "the stream ends on a DATA frame, without trailers",
        "rst": f"{who} resets the stream{code}",
        "goaway": f"a GOAWAY shuts the stream out{code}",
        "fin": f"{who} closes the connection",
        "tcp-rst": f"{who} resets the connection",
        "open": "the stream is still open when the capture ends",
    }[call.how]
