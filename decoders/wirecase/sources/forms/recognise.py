"""Which form an input has that is no packet capture, told by its content."""

from __future__ import annotations

from wirecase.sources.reading import PacketReader, Reading
from wirecase.sources.window import Window

LOOK = 1 << 12
"""Bytes of an input that are looked at."""


def form_reader(window: Window, reading: Reading, size: int | None) -> tuple[str, PacketReader] | None:
    """Return the name of an input's form and its reader, or None if it has no form that is known here.

    `size` is that of the whole (decompressed) input in bytes where it is known.
    """
    while window.end - window.start < LOOK and window.fill():
        pass
    head = bytes(window.view[window.start : min(window.end, window.start + LOOK)])
    if window.final:
        size = window.end - window.start
    first = head.lstrip(b" \t\r\n\x1e\xef\xbb\xbf")[:1]
    if first.isdigit():
        from wirecase.sources.forms import mitmproxy

        if mitmproxy.recognise(head):
            return "mitmproxy flows", mitmproxy.MitmproxyReader(window, reading)
    if first == b"{":
        from wirecase.sources.forms import har

        if har.recognise(head):
            return "har", har.HarReader(window, reading)
    from wirecase.sources.forms import envoy

    encoding = envoy.recognise(head, size)
    if encoding:
        tap = envoy.EnvoyTapReader(window, reading, encoding, head)
        return f"{'envoy socket tap' if tap.facts.level == 'bytes' else 'envoy http tap'} ({_NAMES[encoding]})", tap
    from wirecase.sources.forms import binlog

    framing = binlog.recognise(head, size)
    if framing:
        return f"grpc binary log ({_NAMES[framing]})", binlog.BinaryLogReader(window, reading, framing)
    return None


_NAMES = {
    "json": "json",
    "text": "text",
    "protobuf": "protobuf",
    "delimited": "protobuf, delimited",
    "prefixed": "protobuf, length-prefixed",
}
