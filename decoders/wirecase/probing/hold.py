"""What time shows: a connection held with PINGs on it, and idle ones that something may cut.

Both run at once, each connection on its own: one with PINGs at intervals (does the server take them, how long does it
keep the connection), and three without anything for a quarter, a half and the whole of the time (is an idle connection
still there, was it closed, or does nobody answer any more).
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wirecase.http2.facts import error_name
from wirecase.probing.model import Probe
from wirecase.probing.peer import Goaway, Peer

_POLL = 0.2
_SHARES = (0.25, 0.5, 1.0)
"""Of the idle time: when each idle connection is asked whether it is still there."""
_PATIENCE = 10.0
"""Seconds for the ACK of a PING, at most."""


@dataclass(slots=True)
class _Held:
    peer: Peer
    due: float
    """When it is asked next, seconds after its beginning."""
    sent: int = 0
    """PINGs sent."""
    late: bool = False
    """One was not answered."""
    times: list[float] = field(default_factory=list)
    """Seconds to each ACK."""


def hold(probe: Probe, connect: Callable[[], Peer | None]) -> None:
    """Run both for their time, and note what they show."""
    request = probe.request
    patience = min(request.timeout, _PATIENCE)
    kept: _Held | None = None
    idle: list[_Held] = []
    if request.hold:
        first = connect()
        kept = _Held(first, request.every) if first is not None else None
    if request.idle:
        for share in _SHARES:
            silent = connect()
            if silent is not None:
                idle.append(_Held(silent, request.idle * share))
    everything = [one for one in (kept, *idle) if one is not None]
    began = time.monotonic()
    over = last = False
    try:
        while not over:
            open_ = [one.peer for one in everything if not one.peer.ended]
            if open_:
                select.select(open_, [], [], _POLL)
            for peer in open_:
                peer.read()
            now = time.monotonic() - began
            over = True
            if kept is not None and not kept.peer.ended and not kept.late and not last:
                over = False
                last = now >= request.hold
                if (now >= kept.due or last) and not kept.peer.goaways:
                    _ask(kept, patience)
                    kept.due += request.every
            for one in idle:
                if one.peer.ended or one.sent:
                    continue
                over = False
                if now >= one.due:
                    _ask(one, patience)
    finally:
        if kept is not None:
            _tell_kept(probe, kept, min(time.monotonic() - began, request.hold))
        if idle:
            _tell_idle(probe, idle)
        for one in everything:
            one.peer.close()


def _ask(one: _Held, patience: float) -> None:
    took = one.peer.ping(patience)
    one.sent += 1
    if took is None:
        one.late = not one.peer.ended
    else:
        one.times.append(took)


def goaway_words(goaway: Goaway) -> str:
    """Say what a GOAWAY was."""
    debug = f" {goaway.debug.decode('utf-8', 'backslashreplace')!r}" if goaway.debug else ""
    return f"GOAWAY {error_name(goaway.code)}{debug} after {goaway.at:.1f} s"


def _tell_kept(probe: Probe, one: _Held, seconds: float) -> None:
    peer = one.peer
    every = f"PINGs every {probe.request.every:g} s"
    slowest = max(one.times, default=None)
    facts: dict[str, Any] = {
        "pings": one.sent,
        "answered": len(one.times),
        "slowest": slowest,
        "server_pings": peer.asked,
    }
    if peer.goaways:
        first = peer.goaways[0]
        closed = f"; closed after {peer.ended_at:.1f} s" if peer.ended_at is not None else "; not closed since"
        facts |= {"goaway": error_name(first.code), "debug": first.debug.decode("utf-8", "backslashreplace"),
                  "after": round(first.at, 3)}  # fmt: skip
        if first.code == 11 and b"too_many_pings" in first.debug:
            text = f"{goaway_words(first)}: the server allows fewer than {every}{closed}"
            probe.add("hold", "bad", text, **facts)
        else:
            probe.add("hold", "note" if first.code == 0 else "bad", goaway_words(first) + closed, **facts)
    elif peer.ended:
        at = peer.ended_at or 0.0
        how = {"rst": "reset", "fin": "closed without a GOAWAY"}.get(peer.ended, peer.ended)
        probe.add("hold", "bad", f"the connection was {how} after {at:.1f} s, with {every}", **facts)
    elif one.late:
        probe.add("hold", "bad", f"PING number {one.sent} was not answered: nobody is there any more", **facts)
    elif not one.sent:
        probe.add("hold", "ok", f"open for {seconds:.1f} s, no PING was due", **facts)
    else:
        asked = "the PING at its end was answered" if one.sent == 1 else f"all {one.sent} PINGs were answered"
        text = f"open for {seconds:.1f} s: {asked}, the slowest in {slowest or 0:.3f} s"
        probe.add("hold", "ok", text, **facts)


def _tell_idle(probe: Probe, held: list[_Held]) -> None:
    """Say between which lengths of silence an idle connection is lost, and how."""
    alive = max((one.due for one in held if one.times), default=0.0)
    lost = [one for one in held if (one.peer.ended and not one.times) or one.late]
    facts: dict[str, Any] = {"alive": alive or None}
    if not lost:
        told = [one for one in held if one.times]
        if told:
            probe.add("idle", "ok", f"still there after {alive:g} s without traffic", **facts)
        else:
            probe.add("idle", "untold", "interrupted before an idle connection was asked", **facts)
        return
    first = min(lost, key=lambda one: one.peer.ended_at if one.peer.ended_at is not None else one.due)
    peer = first.peer
    at = peer.ended_at
    if peer.goaways and peer.goaways[0].code == 0:
        closing = peer.goaways[0]
        probe.add("idle", "note", f"{goaway_words(closing)} of silence: the server ends idle connections, and says so",
                  **facts, cut=round(closing.at, 3), how="goaway")  # fmt: skip
    elif first.late:
        text = f"between {alive:g} and {first.due:g} s of silence the connection died: a PING then is not answered"
        probe.add("idle", "bad", text, **facts, cut=first.due, how="silent")
    elif peer.ended == "rst":
        after = f" a PING after {first.due:g} s of silence" if first.sent else f" {at or first.due:.1f} s of silence"
        probe.add(
            "idle", "bad", f"the connection was reset upon{after}", **facts, cut=round(at or first.due, 3), how="rst"
        )
    else:
        text = f"the connection was closed after {at or first.due:.1f} s of silence, without a GOAWAY"
        probe.add("idle", "bad", text, **facts, cut=round(at or first.due, 3), how="fin")
