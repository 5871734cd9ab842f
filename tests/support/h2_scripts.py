"""Connections as they were captured, right and wrong, for all that must not depend on how bytes come in pieces."""

from __future__ import annotations

from collections.abc import Callable

import h2.config
import h2.connection
from h2_bytes import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_FLAG,
    PUSH_PROMISE,
    REQUEST,
    RESPONSE,
    TRAILERS,
    Script,
    data,
    frame,
    goaway,
    message,
    padded,
    rst,
    settings,
    settings_ack,
    window_update,
)
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from wirecase.model import CLIENT, SERVER

MANY = tuple((f"x-field-{i}", "value" * i) for i in range(12))


def unary() -> Script:
    """A few calls, one after the other."""
    script = Script().hello()
    for stream in (1, 3, 5):
        script.request(stream, message(b"ask" * stream)).response(stream, message(b"answer" * stream))
    return script


def spread() -> Script:
    """DATA over several segments, several frames in one segment, header blocks over segments."""
    script = Script().hello()
    body = data(1, message(b"0123456789" * 500), END_STREAM)
    asked = script.peers[CLIENT].headers(1, (*REQUEST, *MANY))
    script.client(asked[:5]).client(asked[5:40]).client(asked[40:] + body[:7]).client(body[7:1000]).client(body[1000:])
    answer = (
        script.peers[SERVER].headers(1, RESPONSE)
        + data(1, message(b"abc"))
        + data(1, b"")
        + data(1, message(b"d" * 900))
    )
    answer += script.peers[SERVER].headers(1, TRAILERS, END_STREAM)
    return (
        script.server(window_update(0, 500) + answer[:3]).server(answer[3:200]).server(answer[200:]).client(settings())
    )


def paddings() -> Script:
    """PADDED DATA and HEADERS, with and without PRIORITY, padding of 0 and of all."""
    script = Script().hello()
    peer = script.peers[CLIENT]
    block = peer.block(REQUEST)
    flags = END_HEADERS | PADDED | PRIORITY_FLAG
    script.client(frame(HEADERS, flags, 1, padded(b"\x80\0\0\0\x10" + block, 7)))
    script.client(frame(DATA, PADDED, 1, padded(message(b"abc"), 200)), frame(DATA, PADDED, 1, padded(b"", 0)))
    script.client(
        frame(DATA, PADDED, 1, padded(b"", 30)), frame(DATA, PADDED | END_STREAM, 1, padded(message(b"d"), 0))
    )
    block = peer.block(REQUEST)
    script.client(frame(HEADERS, END_HEADERS | PADDED | END_STREAM, 3, padded(block, 0)))
    return script.response(1, message(b"x")).response(3, message(b"y"))


def continuations() -> Script:
    """Header blocks in 1, 2 and many parts, empty ones among them, also of a PUSH_PROMISE."""
    script = Script().hello()
    peer = script.peers[CLIENT]
    for stream, cuts in ((1, [3]), (3, [0, 0, 5, 5, 9]), (5, range(1, 60)), (7, [10_000])):
        script.client(*peer.continued(stream, (*REQUEST, *MANY), list(cuts), END_STREAM))
    promise = (2).to_bytes(4, "big") + script.peers[SERVER].block((*REQUEST[:3], MANY[3]))
    script.server(frame(PUSH_PROMISE, 0, 1, promise[:6]), frame(CONTINUATION, 0, 1, promise[6:9]))
    script.server(frame(CONTINUATION, END_HEADERS, 1, promise[9:]))
    script.response(2, message(b"pushed"))
    for stream in (1, 3, 5, 7):
        script.response(stream, message(b"x"))
    return script


def interleaved() -> Script:
    """Concurrent streams, DATA in turns, PING, PRIORITY, SETTINGS and unknown frames between."""
    script = Script().hello()
    for stream in range(1, 13, 2):
        script.client(script.peers[CLIENT].headers(stream, REQUEST), frame(PRIORITY, 0, stream + 100, bytes(5)))
    for turn in range(3):
        for stream in range(1, 13, 2):
            script.client(data(stream, message(bytes([turn, stream])), END_STREAM if turn == 2 else 0))
        script.server(frame(PING, 0, 0, bytes([turn] * 8)), frame(0x42, 0xFF, 7, b"unknown"), frame(0xFE, 1, 0, b""))
        script.client(frame(PING, ACK, 0, bytes([turn] * 8)))
    for stream in range(11, 0, -2):
        script.server(script.peers[SERVER].headers(stream, RESPONSE))
    script.server(settings((4, 1000), (3, 2))).client(settings_ack())
    for stream in range(1, 13, 2):
        script.server(data(stream, message(b"r" * stream)), script.peers[SERVER].headers(stream, TRAILERS, END_STREAM))
    return script.server(goaway(11, 0, b"bye"))


def broken() -> Script:
    """A connection on which nearly everything goes wrong."""
    script = Script().client(window_update(0, 0)).server(settings((5, 1), (4, 2**31), (2, 7)), frame(4, 0, 3, b"123"))
    script.request(1, message(b"a"), end=False).client(frame(CONTINUATION, 0, 1, b"x"), frame(HEADERS, 0, 3, b"\x82"))
    script.client(frame(PING, 0, 0, bytes(8))).client(data(99, b"idle"), data(0, b"zero"), frame(PING, 0, 5, b"123"))
    script.server(
        data(1, b"<html>before headers</html>"), rst(1, 2), data(1, b"after"), rst(7, 8), frame(3, 0, 0, bytes(4))
    )
    script.client(script.peers[CLIENT].headers(4, REQUEST), script.peers[CLIENT].headers(5, REQUEST, END_STREAM))
    script.client(data(5, b"closed"), frame(HEADERS, END_HEADERS, 3, b"\xff\xff\xff"), frame(DATA, PADDED, 4, b"\xff1"))
    script.server(frame(PUSH_PROMISE, END_HEADERS, 5, (3).to_bytes(4, "big") + b"\x82"), frame(8, 0, 4, b"123"))
    script.client(frame(PUSH_PROMISE, END_HEADERS, 5, (8).to_bytes(4, "big") + b"\x82"))
    return script.server(goaway(1, 2, b"!" * 50), frame(7, 0, 0, b"short"), frame(2, 0, 1, b"four")).client(rst(5, 8))


def resets() -> Script:
    """RST_STREAM from both sides, frames in flight behind it."""
    script = Script().hello()
    script.request(1, message(b"a")).server(script.peers[SERVER].headers(1, RESPONSE), data(1, message(b"x" * 50)[:30]))
    script.client(rst(1, 8)).server(data(1, b"in flight"), data(1, b"more"), rst(1, 2))
    script.request(3, message(b"a"), end=False).server(rst(3, 7)).client(data(3, b"in flight", END_STREAM))
    return script.request(5).response(5, message(b"ok")).client(rst(5, 0))


def too_long() -> Script:
    """DATA over SETTINGS_MAX_FRAME_SIZE, and a window used up by it."""
    script = Script().hello()
    script.request(1, message(b"a")).server(script.peers[SERVER].headers(1, RESPONSE))
    script.server(data(1, message(bytes(range(256)) * 65))).server(data(1, message(b"z" * 50_000), END_STREAM))
    return script


def cut_in_data() -> Script:
    """The capture ends inside of DATA."""
    script = Script().hello().request(1, message(b"a"))
    return script.server(script.peers[SERVER].headers(1, RESPONSE), data(1, message(b"q" * 600), END_STREAM)[:400])


def cut_in_headers() -> Script:
    """The capture ends inside of HEADERS."""
    script = Script().hello().request(1, message(b"a"))
    return script.server(script.peers[SERVER].headers(1, (*RESPONSE, *MANY))[:30])


def garbage() -> Script:
    """The server stops speaking HTTP/2."""
    script = Script().hello().request(1, message(b"a"))
    return script.server(script.peers[SERVER].headers(1, RESPONSE)).server(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")


def by_h2() -> Script:
    """What h2 makes of a call, with its windows and its table sizes."""
    script = Script()
    ends = [
        h2.connection.H2Connection(h2.config.H2Configuration(client_side=side == CLIENT, header_encoding="utf-8"))
        for side in (CLIENT, SERVER)
    ]

    def flush() -> None:
        for side in (CLIENT, SERVER):
            out = ends[side].data_to_send()
            if out:
                if out.startswith(b"PRI"):
                    out = out[24:]
                    ends[1 - side].receive_data(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                script.send(side, out)
                ends[1 - side].receive_data(out)

    ends[CLIENT].initiate_connection()
    ends[SERVER].initiate_connection()
    flush()
    flush()
    for stream in (1, 3):
        ends[CLIENT].send_headers(stream, REQUEST)
        ends[CLIENT].send_data(stream, message(b"q" * 3000), end_stream=True, pad_length=3)
        flush()
        ends[SERVER].send_headers(stream, RESPONSE)
        ends[SERVER].send_data(stream, message(b"r" * 3000))
        flush()
        ends[CLIENT].acknowledge_received_data(3005, stream)
        ends[SERVER].send_headers(stream, TRAILERS, end_stream=True)
        flush()
    ends[CLIENT].close_connection(additional_data=b"done")
    flush()
    return script


def by_hyperframe() -> Script:
    """Every frame type as hyperframe writes it."""
    script = Script()
    block = script.peers[CLIENT].block(REQUEST)
    answer = script.peers[SERVER].block(RESPONSE)

    def wire(made: Frame) -> bytes:
        return made.serialize()

    script.client(wire(SettingsFrame(0, settings={1: 4096, 4: 70_000}))).server(wire(SettingsFrame(0, flags=["ACK"])))
    script.client(wire(HeadersFrame(1, block[:10], flags=["PRIORITY"], stream_weight=3, depends_on=0)))
    script.client(wire(ContinuationFrame(1, block[10:], flags=["END_HEADERS"])))
    script.client(wire(DataFrame(1, message(b"abc"), pad_length=9, flags=["PADDED", "END_STREAM"])))
    script.server(wire(WindowUpdateFrame(1, window_increment=77)), wire(PingFrame(0, opaque_data=b"12345678")))
    script.server(wire(HeadersFrame(1, answer, flags=["END_HEADERS"])), wire(DataFrame(1, message(b"d"))))
    script.client(wire(PriorityFrame(1, depends_on=3, stream_weight=200, exclusive=True)))
    script.server(wire(RstStreamFrame(1, error_code=8)), wire(GoAwayFrame(0, last_stream_id=1, error_code=0)))
    return script


SCRIPTS: dict[str, Callable[[], Script]] = {
    made.__name__: made
    for made in (
        unary, spread, paddings, continuations, interleaved, broken, resets, too_long, cut_in_data, cut_in_headers,
        garbage, by_h2, by_hyperframe,
    )
}  # fmt: skip
