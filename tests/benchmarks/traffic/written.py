"""Traffic that is written rather than recorded: what no library at hand sends, but others in the field do."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from traffic.http2 import Headers, Http2Connection, message
from traffic.sidecar import Sidecar
from traffic.wire import CLIENT, SERVER, PcapFile

HUFFMAN_CALLS = 100_000
HUFFMAN_CONNECTIONS = 4
SMALL_FRAMES = 800_000
SMALL_FRAME_STREAMS = 4
"""Streaming calls on each of the two connections."""

_RESPONSE: Headers = [(":status", "200"), ("content-type", "application/grpc"), ("server", "orders/4.2")]
_TRAILERS: Headers = [("grpc-status", "0"), ("grpc-message", "")]


@dataclass(frozen=True, slots=True)
class WrittenCapture:
    """One capture of written traffic."""

    name: str
    port: int
    about: str
    write: Callable[[PcapFile, int, float], tuple[int, int]]
    """Takes the file, the port and the scale; returns the numbers of calls and messages."""


def write(capture: WrittenCapture, folder: Path, scale: float) -> Sidecar:
    """Write *capture* into *folder*."""
    path = folder / f"{capture.name}.pcap"
    try:
        with PcapFile(path, seed=len(capture.name)) as pcap:
            calls, messages = capture.write(pcap, capture.port, scale)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    sidecar = Sidecar(capture.name, path.name, capture.port, f"Written: {capture.about}.", calls, messages, scale=scale)
    sidecar.packets, sidecar.size, sidecar.made_with = pcap.packets, path.stat().st_size, {"hpack": version("hpack")}
    return sidecar


def _hex(source: random.Random, digits: int) -> str:
    return f"{source.getrandbits(4 * digits):0{digits}x}"


def _body(source: random.Random, least: int, most: int) -> bytes:
    """A protobuf message of *least* to *most* bytes, below 130: one field of random bytes."""
    size = source.randint(least, most) - 2
    return b"\x0a" + bytes([size]) + source.randbytes(size)


def _request(path: str, port: int, source: random.Random) -> Headers:
    """Request headers whose traceparent and x-request-id no other call has."""
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", f"orders.internal:{port}"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "grpc-go/1.62.1"),
        ("traceparent", f"00-{_hex(source, 32)}-{_hex(source, 16)}-01"),
        ("x-request-id", "-".join(_hex(source, digits) for digits in (8, 4, 4, 4, 12))),
        ("grpc-timeout", f"{source.randrange(900_000, 1_000_000)}u"),
    ]


def _write_huffman(pcap: PcapFile, port: int, scale: float) -> tuple[int, int]:
    """Unary calls, one to six at once on a connection, answered in any order."""
    source = pcap.random
    calls = max(1, round(HUFFMAN_CALLS * scale))
    client, server = "10.0.0.1", ("10.0.0.2", port)
    connections = [Http2Connection(pcap, (client, 40_000 + n), server) for n in range(HUFFMAN_CONNECTIONS)]
    streams = [1] * HUFFMAN_CONNECTIONS
    paths = [f"/orders.v1.Orders/{verb}" for verb in ("Get", "List", "Place", "Cancel", "Track")]
    left = calls
    while left:
        chosen = source.randrange(HUFFMAN_CONNECTIONS)
        connection = connections[chosen]
        at_once = min(left, source.randint(1, 6))
        left -= at_once
        opened = []
        for _ in range(at_once):
            stream = streams[chosen]
            streams[chosen] += 2
            opened.append(stream)
            connection.headers(CLIENT, stream, _request(source.choice(paths), port, source))
            connection.data(CLIENT, stream, message(_body(source, 10, 40)), end=True)
            if source.random() < 0.7:  # most calls leave in a segment of their own, some together with the next
                connection.flush(CLIENT)
        connection.flush(CLIENT)
        source.shuffle(opened)
        for stream in opened:
            connection.headers(SERVER, stream, [*_RESPONSE, ("x-served-by", f"orders-{source.randrange(20):02d}")])
            connection.data(SERVER, stream, message(_body(source, 20, 80)))
            connection.headers(SERVER, stream, _TRAILERS, end=True)
            connection.close_stream(stream)
            if source.random() < 0.7:
                connection.flush(SERVER)
        connection.flush(SERVER)
    for connection in connections:
        connection.tcp.close()
    return calls, 2 * calls


def _small_pieces(source: random.Random, frames: int) -> tuple[list[bytes], int]:
    """Payloads of *frames* DATA frames, and the number of messages in them.

    Eight of ten frames hold one message of 15 to 50 bytes and its prefix; the other two share one of 40 to 75, cut
    anywhere, now and then inside of the prefix.
    """
    pieces: list[bytes] = []
    messages = 0
    while len(pieces) < frames:
        messages += 1
        if len(pieces) + 2 <= frames and source.random() < 1 / 9:
            whole = message(_body(source, 40, 75))
            cut = source.randint(3, len(whole) - 15)
            pieces += [whole[:cut], whole[cut:]]
        else:
            pieces.append(message(_body(source, 15, 50)))
    return pieces, messages


def _write_small_frames(pcap: PcapFile, port: int, scale: float) -> tuple[int, int]:
    """Eight long calls: on one connection the client streams, on the other the server; all streams interleaved."""
    source = pcap.random
    each = max(2, round(SMALL_FRAMES * scale / (2 * SMALL_FRAME_STREAMS)))
    messages = 0
    for number, sender in enumerate((CLIENT, SERVER)):
        connection = Http2Connection(pcap, ("10.0.0.1", 41_000 + number), ("10.0.0.2", port))
        streams = [2 * n + 1 for n in range(SMALL_FRAME_STREAMS)]
        for stream in streams:
            verb = "Publish" if sender == CLIENT else "Subscribe"
            connection.headers(CLIENT, stream, _request(f"/orders.v1.Feed/{verb}", port, source))
            if sender == SERVER:
                connection.data(CLIENT, stream, message(b"\x0a\x03all"), end=True)
                messages += 1
        connection.flush(CLIENT)
        if sender == SERVER:
            for stream in streams:
                connection.headers(SERVER, stream, _RESPONSE)
        waiting = []
        for stream in streams:
            pieces, inside = _small_pieces(source, each)
            waiting.append((stream, iter(pieces)))
            messages += inside
        while waiting:
            chosen = source.randrange(len(waiting))
            stream, queue = waiting[chosen]
            piece = next(queue, None)
            if piece is None:
                del waiting[chosen]
            else:
                connection.data(sender, stream, piece)
        for stream in streams:
            if sender == CLIENT:
                connection.data(CLIENT, stream, b"", end=True)
        connection.flush(CLIENT)
        for stream in streams:
            if sender == CLIENT:
                connection.headers(SERVER, stream, _RESPONSE)
                connection.data(SERVER, stream, message(b"\x08\x01"))
                messages += 1
            connection.headers(SERVER, stream, _TRAILERS, end=True)
        connection.tcp.close()
    return 2 * SMALL_FRAME_STREAMS, messages


_PAGE = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)


def _write_tiny(pcap: PcapFile, port: int, _scale: float) -> tuple[int, int]:
    """Three calls that go well and one that a proxy answers with its page, whatever the scale."""
    connection = Http2Connection(pcap, ("10.0.0.1", 42_000), ("10.0.0.2", port))
    for stream in (1, 3, 5, 7):
        connection.headers(CLIENT, stream, _request("/orders.v1.Orders/Get", port, pcap.random))
        connection.data(CLIENT, stream, message(b"\x08\x01"), end=True)
        connection.flush(CLIENT)
        if stream == 7:
            page: Headers = [(":status", "502"), ("server", "nginx/1.22.1"), ("content-type", "text/html")]
            connection.headers(SERVER, stream, [*page, ("content-length", str(len(_PAGE)))])
            connection.data(SERVER, stream, _PAGE, end=True)
        else:
            connection.headers(SERVER, stream, _RESPONSE)
            connection.data(SERVER, stream, message(b"\x0a\x02ok"))
            connection.headers(SERVER, stream, _TRAILERS, end=True)
        connection.flush(SERVER)
    connection.tcp.close()
    return 4, 7


WRITTEN_CAPTURES = (
    WrittenCapture(
        "huffman", 50061, "unary calls, Huffman coded, each with its own traceparent and x-request-id", _write_huffman
    ),
    WrittenCapture(
        "small-frames", 50062, "small DATA frames of eight calls, not aligned with segments", _write_small_frames
    ),
    WrittenCapture("tiny", 50063, "four calls, one of them answered by a proxy's page", _write_tiny),
)
