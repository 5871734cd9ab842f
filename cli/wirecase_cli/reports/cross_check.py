"""How Wireshark's counts compare with ours, in words and for machines. Text of a capture is not yet escaped here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirecase_cli.reports import words

if TYPE_CHECKING:
    from wirecase.model import Compared, CrossCheck, Difference

MAX_LINES = 8
"""Differences that a report for people lists; the JSON report has the first hundred."""


def headline(check: CrossCheck) -> str:
    """Say in one sentence whether Wireshark sees the same."""
    frames, messages, connections = check.frames, check.messages, check.connections
    same = (
        f"{words.plural(frames.ours, 'HTTP/2 frame')}, {words.plural(messages.ours, 'gRPC message')}, "
        f"{words.plural(connections.ours, 'TCP connection')}"
    )
    if check.agrees:
        return f"confirmed by {check.engine}: {same}"
    counted = [
        f"{words.number(both.ours)} or {words.number(both.theirs)} {noun}s" if not both.agrees else
        words.plural(both.ours, noun)
        for both, noun in ((frames, "HTTP/2 frame"), (messages, "gRPC message"), (connections, "TCP connection"))
    ]  # fmt: skip
    text = f"{check.engine} counts differently (wirecase or Wireshark): {', '.join(counted)}"
    if not check.differing:
        return text
    differ = f"{words.plural(check.differing, 'difference')}"
    if not check.unexplained:
        return f"{text}; {differ}, each with a known reason"
    return f"{text}; {differ}, {words.number(check.unexplained)} without a known reason"


def lines(check: CrossCheck) -> list[str]:
    """Tell the differences, one a line, those without a known reason first, and what tshark complained about."""
    told = [_line(one) for one in sorted(check.differences, key=lambda one: bool(one.reason))[:MAX_LINES]]
    if check.differing > len(told):
        told.append(f"and {words.plural(check.differing - len(told), 'more difference')}")
    return told + [f"tshark: {note}" for note in check.notes[:MAX_LINES]]


def _line(one: Difference) -> str:
    if one.connection is None:
        where = "a stream"
    else:
        where = f"connection {one.connection.index}, {one.connection.client} to {one.connection.server},"
    counts = f"{words.number(one.ours)} {one.what} here, {words.number(one.theirs)} in Wireshark"
    return f"{where} from packet {one.packet} on: {counts}: {one.reason or 'no reason is known'}"


def as_json(check: CrossCheck) -> dict[str, Any]:
    """Return it as `cross_check` of ``wirecase/report/1``."""
    return {
        "engine": check.engine,
        "agrees": check.agrees,
        "summary": headline(check),
        "connections": _compared(check.connections),
        "frames": _compared(check.frames),
        "frames_by_type": {name: _compared(both) for name, both in check.by_type.items()},
        "messages": _compared(check.messages),
        "differing": check.differing,
        "unexplained": check.unexplained,
        "differences": [
            {
                "connection": one.connection
                and {
                    "index": one.connection.index,
                    "client": one.connection.client,
                    "server": one.connection.server,
                },
                "source": one.source,
                "packet": one.packet,
                "what": one.what,
                **_compared(one),
                "reason": one.reason or None,
            }
            for one in check.differences
        ],
        "notes": check.notes,
    }


def _compared(both: Compared | Difference) -> dict[str, int]:
    return {"wirecase": both.ours, "wireshark": both.theirs}
