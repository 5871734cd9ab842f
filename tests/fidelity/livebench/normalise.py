"""The one normalisation under which a client's words are compared, live with live and live with replay.

What may differ between two runs of the same session, and nothing else, is replaced:

1. Addresses: ``127.0.0.1:40123``, ``[::1]:40123``, ``localhost:40123``, with whatever scheme or resolver stands before
   them (``ipv4:``, ``localhost/``), become ``<address>``.
2. Durations: a number directly before a unit of time (``1.499s``, ``0.0021 seconds``, ``12 ms``) becomes
   ``<duration>``; so do the delays that grpc-java writes as ``buffered_nanos=93414583``. grpc-js lists a phase of a
   call (``,LB pick: 0.001s``) only if it took a millisecond: the phases and their durations are left out.
3. Points in time (``2026-11-23T10:00:00.123Z``) become ``<time>``.
4. Identities of objects of one process: ``@1f2e3d4c``, ``0x7f…``, ``L:/127.0.0.1:1 - R:/127.0.0.1:2`` with the channel
   id of Netty (``[id: 0x…]``), and where Netty's read buffer stands (``unwrapped: PooledUnsafeDirectByteBuf(ridx: 45,
   …)``, which depends on how many frames one read brought), become ``<id>``.

Codes, stream ids, error codes, lengths, flags and all words stay as they are: they must be equal.
"""

from __future__ import annotations

import re

_STEPS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (
        re.compile(
            r"(\b(ipv4|ipv6|dns):(///?)?|\b[\w.-]+/|/)?(\[[0-9a-f:]+\]|%5B[0-9a-f:%A-F]+%5D|\b(localhost|127\.0\.0\.1)):\d{1,5}\b"
        ),
        "<address>",
    ),
    (re.compile(r"\b\d+(\.\d+)?([eE]-?\d+)? ?(ns|us|µs|ms|s|seconds?|milliseconds|nanos(econds)?)\b"), "<duration>"),
    (re.compile(r",(name resolution|metadata filters|time to current attempt start|LB pick): <duration>"), ""),
    (re.compile(r"\b(buffered_nanos|connecting_and_lb_delay|delay)=\d+\w*"), r"\1=<duration>"),
    (re.compile(r"unwrapped: \w+ByteBuf\([^()]*\)"), "unwrapped: <id>"),
    (re.compile(r"(?<=@)[0-9a-f]{5,16}\b|\b0x[0-9a-f]{6,16}\b"), "<id>"),
)


def words(text: str) -> str:
    """The text with what differs between two runs of the same session replaced."""
    for pattern, name in _STEPS:
        text = pattern.sub(name, text)
    return text
