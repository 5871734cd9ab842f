"""What a live session says of findings, hints and counters: phrases that its screen, lines and JSON share."""

from __future__ import annotations

from wirecase.live import Board, Hint, Watch
from wirecase.model import Finding
from wirecase_cli.reports import words


def place(finding: Finding) -> str:
    """Say where a finding came up first, in one phrase; empty if it is about no connection."""
    parts = []
    if finding.connection is not None:
        parts.append(f"{finding.connection.client} to {finding.connection.server}")
    if finding.stream is not None:
        parts.append(f"stream {finding.stream}")
    if finding.path:
        parts.append(finding.path)
    packet = first_packet(finding)
    if packet is not None:
        parts.append(f"packet {packet}")
    return ", ".join(parts)


def first_packet(finding: Finding) -> int | None:
    """Return the packet of a finding's primary evidence."""
    return next((one.packet for one in finding.evidence if one.packet is not None), None)


def hint_place(hint: Hint) -> str:
    """Say where something stands still."""
    return f"{hint.connection.client} to {hint.connection.server}" + (f", {hint.path}" if hint.path else "")


def seconds(value: float) -> str:
    """Write a length of time: ``12 s``."""
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


def clock(value: float) -> str:
    """Write how long something has run: ``0:02:05``."""
    whole = int(value)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def lost(watch: Watch) -> str:
    """Say what was lost, and what waits; empty if nothing did."""
    parts = []
    if watch.dropped:
        parts.append(f"the capture tool lost {words.plural(watch.dropped, 'packet')}")
    if watch.behind:
        parts.append(f"{words.size(watch.behind)} wait to be looked at")
    if watch.waits:
        parts.append(f"the tool had to wait {words.plural(watch.waits, 'time')}")
    if watch.keep_problem:
        parts.append(f"the capture is no longer kept: {watch.keep_problem}")
    return "; ".join(parts)


def counters(board: Board) -> list[tuple[str, str]]:
    """Return the counters of a board as name and value, in a fixed order."""
    return [
        ("packets", str(board.packets)),
        ("bytes", str(board.bytes)),
        ("connections", str(board.connections)),
        ("streams", str(board.streams)),
        ("calls", str(board.calls)),
        ("ok", str(board.ok)),
        ("failed", str(board.failed)),
        ("rate", f"{board.rate:.1f}"),
        ("failing", f"{board.failing:.1f}"),
        ("missing", str(board.missing)),
    ]
