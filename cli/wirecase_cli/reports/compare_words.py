"""What the comparisons for people share: phrases. Nothing here is escaped yet."""

from __future__ import annotations

from dataclasses import replace

from wirecase.comparing.model import Clock, Comparison, Latency, Single
from wirecase.model import Evidence
from wirecase_cli.reports import masking, words

HOPS = {
    "client": "the client's side", "proxy": "the proxy", "server": "behind the proxy", "unknown": "not certain where",
}  # fmt: skip
_WAYS = {
    "request": "request headers, front to back", "response": "response headers, back to front",
    "end": "end of the answer, back to front",
}  # fmt: skip
_REASONS = {
    "no counterpart": "nothing on the other leg can be it",
    "several fit": "it is not told apart from others that are alike",
    "outside": "the other capture does not cover its time",
    "not readable": "the other capture has parts that cannot be read, so it may be there",
}


def milliseconds(ns: int) -> str:
    """Write a length of time in ms: ``3.003 ms``."""
    return f"{ns / 1e6:,.3f} ms"


def clock(one: Clock) -> str:
    """Say how the clocks of the two captures differ."""
    if one.same:
        return "one capture, one clock"
    ahead = "ahead of" if one.offset >= 0 else "behind"
    text = f"the back capture's clock is {milliseconds(abs(one.offset))} {ahead} the front capture's"
    if one.uncertainty is None:
        return f"{text}, or less: only requests could be measured"
    text += f", ± {milliseconds(one.uncertainty)}, from {words.plural(one.samples, 'frame')}"
    return text if one.consistent else f"{text}; no single offset fits all of them: a clock drifts, or was set"


def latency(one: Latency, clock_: Clock) -> tuple[str, str]:
    """Return the name of a direction, and what the way adds there."""
    sure = "" if not clock_.uncertainty else f", each ± {milliseconds(clock_.uncertainty)}"
    if one.calls == 1:
        return _WAYS[one.direction], milliseconds(one.median) + sure
    told = f"{milliseconds(one.median)} (from {milliseconds(one.least)} to {milliseconds(one.most)})"
    return _WAYS[one.direction], f"{told}, {words.plural(one.calls, 'call')}{sure}"


def totals(found: Comparison) -> list[str]:
    """Say how many calls were compared, one phrase a line."""
    t = found.totals
    seen = f"{words.plural(t.front, 'call')} in front, {t.back:,} behind, {t.matched:,} matched"
    told = [f"{seen}: {t.same:,} unbroken, {t.broken:,} broken"]
    if t.only_front:
        told.append(f"{words.plural(t.only_front, 'call')} never went on behind the proxy")
    if t.only_back:
        told.append(f"{words.plural(t.only_back, 'call')} behind came from no call in front")
    if t.retries:
        told.append(f"{words.plural(t.retries, 'call')} behind repeated one in front")
    if t.ambiguous:
        told.append(f"{words.plural(t.ambiguous, 'call')} not told apart from others that are alike")
    if t.beyond:
        told.append(f"{words.plural(t.beyond, 'call')} not compared, since there are too many: narrow with --path")
    return told


def single(one: Single) -> str:
    """Say which call was on one leg only, and why."""
    leg = one.leg
    where = f"call {leg.call}, connection {leg.ref.index}, stream {leg.stream}, packet {leg.opened.packet}"
    why = _REASONS[one.reason]
    if one.attempt_of is not None:
        why = f"a further attempt of call {one.attempt_of} in front"
    return f"{leg.path} ({where}): {why}"


def shown(one: Evidence) -> Evidence:
    """Return evidence for showing: without its bytes where they hold what looks like a credential."""
    if masking.text(one.data) == one.data:
        return one
    return replace(one, data=b"", note=f"{one.note} (its bytes hold a credential and are not shown)")


def place(one: Evidence, found: Comparison) -> str:
    """Say where evidence stands: capture, packet, offset."""
    parts = []
    if one.source is not None and len(found.sources) > 1 and one.source < len(found.sources):
        parts.append(found.sources[one.source].path)
    if one.packet is not None:
        parts.append(f"packet {one.packet:,}")
    if one.offset is not None and one.offset >= 0 and one.data:
        parts.append(f"offset {one.offset:,}")
    if one.direction is not None:
        parts.append(f"sent by the {one.direction}")
    return ", ".join(parts)
