"""What Wireshark's dissectors count in a capture: HTTP/2 frames by type and gRPC messages, by TCP stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from wirecase.sources.raw import shown
from wirecase.sources.tshark.program import Child, Tshark, TsharkError, preference_arguments

OTHER = 10
"""Place in `StreamCounts.frames` of the frame types that RFC 9113 does not define."""
_FIELDS = ("frame.number", "tcp.stream", "http2.type", "grpc.message_length")
_PREFERENCES = (
    "tcp.desegment_tcp_streams:TRUE",
    "tcp.reassemble_out_of_order:TRUE",
    "tcp.analyze_sequence_numbers:TRUE",
)
_OFTEN = 1024
"""Packets between two looks at whether to stop."""
_ENOUGH = 10_000_000
"""TCP streams of one capture that are counted apart."""


@dataclass(slots=True)
class StreamCounts:
    """One TCP stream as Wireshark numbers them."""

    first: int
    """``frame.number`` of its first packet."""
    frames: list[int] = field(default_factory=lambda: [0] * (OTHER + 1))
    """HTTP/2 frames by type; the last place is for all other types."""
    messages: int = 0
    """gRPC messages."""


@dataclass(slots=True)
class TsharkCounts:
    """One capture as Wireshark sees it."""

    streams: dict[int, StreamCounts] = field(default_factory=dict)
    problem: str = ""
    """Why tshark stopped before the end, one line; empty if it did not."""


def count(
    program: Tshark,
    path: str,
    *,
    ports: Iterable[int] = (),
    keylog: str | None = None,
    preferences: Sequence[str] = (),
    stop: Callable[[], bool] | None = None,
) -> TsharkCounts:
    """Let tshark dissect the file at `path`; memory here depends on the number of connections only.

    `ports` carry HTTP/2 in cleartext; under TLS, Wireshark goes by ALPN. Raises `TsharkError` if no packet was read.
    """
    arguments = ["-n", "-r", path, *preference_arguments([*_PREFERENCES, *preferences])]
    if keylog is not None:
        arguments += preference_arguments([f"tls.keylog_file:{keylog}"])
    for port in sorted(set(ports)):
        arguments += ["-d", f"tcp.port=={port},http2"]
    # What is inside of messages is not counted, and a bomb in there would end the dissection of its frame.
    arguments += ["--disable-protocol", "protobuf", "--disable-protocol", "json"]
    arguments += ["-Y", "tcp and not icmp and not icmpv6", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    arguments += ["-E", "aggregator=,", "-E", "quote=n"]
    for name in _FIELDS:
        arguments += ["-e", name]
    counts = TsharkCounts()
    with Child(program, arguments) as child:
        for row, line in enumerate(child.lines()):
            if line is not None:
                _take(line, counts.streams)
            if (line is None or row % _OFTEN == 0) and stop is not None and stop():
                counts.problem = "interrupted"
                return counts
        counts.problem = child.finish()
    if counts.problem and not counts.streams:
        raise TsharkError(f"{shown(path)}: tshark: {counts.problem}")
    return counts


def _take(line: bytes, streams: dict[int, StreamCounts]) -> None:
    parts = line.split(b"\t")
    if len(parts) != len(_FIELDS):
        return
    number, indices, types, messages = parts
    stream = None
    for index in indices.split(b","):
        if index.isdigit() and len(streams) < _ENOUGH:
            stream = streams.setdefault(int(index), StreamCounts(int(number)))
    # Where a frame carries several TCP segments (aggregated 802.11 frames), nothing says whose the HTTP/2 frames are.
    if stream is None:
        return
    if types:
        for kind in types.split(b","):
            at = int(kind) if kind.isdigit() else OTHER
            stream.frames[min(at, OTHER)] += 1
    if messages:
        stream.messages += messages.count(b",") + 1
