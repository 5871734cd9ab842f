"""Frames and headers that RFC 9113 and RFC 7541 forbid, and windows that do not open."""

from __future__ import annotations

from wirecase.replay.gauntlet.fault import ERRORS, Fault, Kind

OR_OK = (*ERRORS, "OK")
"""Where a client may dial again before the application hears of it."""


def _frame(
    name: str, summary: str, rule: str, kind: Kind = "unary", basis: str = "h2", expect: tuple[str, ...] = ERRORS
) -> Fault:
    return Fault(name, summary, "frame", rule, (), expect, basis, kind, damaged=False)


def _window(name: str, summary: str, rule: str, expect: tuple[str, ...] = ERRORS, *, silent: bool = False) -> Fault:
    kind: Kind = "unary" if silent else "server-stream"
    basis = "status" if silent else "h2"
    return Fault(
        name, summary, "window", rule, (), expect, basis, kind, deadline=3.0 if silent else 5.0, damaged=silent
    )  # fmt: skip


SILENCE = ("DEADLINE_EXCEEDED",)
HEADERS, STATE, HPACK = "h2-malformed-headers", "h2-stream-state-violation", "h2-hpack-decode-error"
STREAM: Kind = "server-stream"
FAULTS = (
    _window("window-never-opened", "INITIAL_WINDOW_SIZE 1 and no WINDOW_UPDATE", "fc-stream-stalled", SILENCE,
            silent=True),
    _window("window-overflow-stream", "a stream's window over 2^31-1", "fc-overflow"),
    _window("window-overflow-connection", "the connection's window over 2^31-1", "fc-overflow"),
    _window("window-update-0-stream", "a WINDOW_UPDATE of 0 for the stream", "fc-zero-increment"),
    _window("window-update-0-connection", "a WINDOW_UPDATE of 0 for the connection", "fc-zero-increment"),
    _frame("settings-window-too-big", "INITIAL_WINDOW_SIZE 2^31", "fc-overflow", expect=OR_OK),
    _frame("settings-length-5", "SETTINGS of five octets", "h2-frame-size", expect=OR_OK),
    _frame("settings-not-first", "PING before SETTINGS", "h2-first-frame-not-settings", expect=OR_OK),
    _frame("ssh-banner", "the banner of an SSH server", "h2-not-http2", expect=OR_OK),
    _frame("tls-alert-in-cleartext", "a TLS alert to a cleartext client, then FIN", "tls-plaintext-mismatch",
           expect=OR_OK),
    _frame("hpack-index", "an index outside of the table", HPACK, basis="hpack"),
    _frame("hpack-huffman", "a Huffman string of ones", HPACK, basis="hpack"),
    _frame("hpack-cut", "a header block that ends inside a field", HPACK, basis="hpack"),
    _frame("hpack-table-too-big", "a table size over the client's", HPACK, basis="hpack"),
    _frame("headers-uppercase", "an upper-case field name", HEADERS),
    _frame("headers-connection", "connection: close", HEADERS),
    _frame("headers-pseudo-late", ":status after a plain field", HEADERS),
    _frame("headers-pseudo-unknown", "the pseudo-header :made-up", HEADERS),
    _frame("headers-status-twice", "two :status fields", HEADERS),
    _frame("headers-newline", "a line feed in a value", HEADERS),
    _frame("headers-empty-name", "a field without a name", HEADERS),
    _frame("content-length-short", "less DATA than content-length says", "h2-content-length-mismatch"),
    _frame("content-length-long", "more DATA than content-length says", "h2-content-length-mismatch"),
    _frame("padding-too-long", "a pad length over the frame's", "h2-frame-size", STREAM),
    _frame("data-on-stream-0", "DATA on stream 0", STATE, STREAM),
    _frame("data-on-idle-stream", "DATA on a stream that nobody opened", STATE, STREAM),
    _frame("headers-on-even-stream", "HEADERS on a stream of the server's", STATE, STREAM),
    _frame("continuation-interleaved", "DATA inside a header block", "h2-continuation-violation"),
    _frame("continuation-orphan", "CONTINUATION without HEADERS", "h2-continuation-violation", STREAM),
    _frame("rst-length-3", "RST_STREAM of three octets", "h2-frame-size", STREAM),
    _frame("ping-length-4", "PING of four octets", "h2-frame-size", STREAM),
    _frame("window-update-length-3", "WINDOW_UPDATE of three octets", "h2-frame-size", STREAM),
    _frame("data-end-then-trailers", "END_STREAM on DATA, then trailers", STATE),
)  # fmt: skip
