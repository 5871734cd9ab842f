"""What ``wirecase record`` prints while it runs: one line for each thing that comes up, and where it stands."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from wirecase.live import Hint
from wirecase.model import Finding
from wirecase.recording.cases import Outcome
from wirecase.recording.session import State
from wirecase_cli.reports.escape import line

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def finding(one: Finding, count: int) -> str:
    """Return a finding in one line; `count` is how often it was met by now."""
    where = f" {line(one.path)}" if one.path else ""
    ends = f" {one.connection.client} > {one.connection.server}" if one.connection is not None else ""
    stream = f" stream {one.stream}" if one.stream else ""
    again = f" (met {count:,} times)" if count > 1 else ""
    return f"{clock(one.time)}  {one.severity:<7} {one.rule}{where}{ends}{stream}: {line(one.title)}{again}"


def hint(one: Hint, now: int, seconds: float, *, over: bool) -> str:
    """Return what stands still for so many seconds, or no longer does, in one line: it is no verdict."""
    where = f" {line(one.path)}" if one.path else ""
    ends = f" {one.connection.client} > {one.connection.server}"
    stream = f" stream {one.stream}" if one.stream else ""
    word = "over" if over else "hint"
    return f"{clock(now)}  {word:<7} {one.kind}{where}{ends}{stream}: {line(one.text)} (for {seconds:.1f} s)"


def case(outcome: Outcome) -> str:
    """Return what became of a case in one line."""
    rules = ", ".join(outcome.rules)
    if outcome.case is None:
        return f"          no case of {rules}: {line(outcome.why)}"
    return f"          case {line(outcome.case)} ({amount(outcome.size)}): {line(outcome.headline)}"


def standing(state: State, calls: int, failed: int, kept: str = "") -> str:
    """Return where a session stands, without a line's end."""
    parts = [
        f"{state.open} of {state.accepted:,} connections open",
        f"{amount(state.client_bytes)} up, {amount(state.server_bytes)} down",
        f"{calls:,} calls, {failed:,} failed",
    ]
    if state.written:
        parts.append(f"{amount(state.written)} recorded")
    if kept:
        parts.append(kept)
    if state.lag >= 0.5 or state.behind > 1 << 20:
        parts.append(f"diagnosis {state.lag:.1f} s behind ({amount(state.behind)})")
    if state.lost_bytes or state.lost_records:
        parts.append(f"{amount(state.lost_bytes)} and {state.lost_records:,} events not recorded")
    if state.refused:
        parts.append(f"{state.refused:,} connections not taken by the server")
    if state.tls_failed:
        parts.append(f"{state.tls_failed:,} TLS handshakes failed")
    return ", ".join(parts)


def not_kept(reasons: Mapping[str, int]) -> list[str]:
    """Return what no case was made of."""
    return [f"no case of {count:,} faults: {line(reason)}" for reason, count in sorted(reasons.items())]


def amount(count: int) -> str:
    """Return bytes as people say them."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{count} B" if not unit else f"{value:.3g} {_UNITS[unit]}"


def clock(time: int | None) -> str:
    """Return the time of day (UTC) of a capture time."""
    if time is None:
        return "--:--:--"
    moment = datetime.datetime.fromtimestamp(time / 1e9, datetime.UTC)
    return moment.strftime("%H:%M:%S")
