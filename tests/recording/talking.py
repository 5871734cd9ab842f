"""Both ends of an HTTP/2 connection, by the h2 library, whose bytes become records of the proxy's ring."""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived

from wirecase.model import PacketBatch
from wirecase.recording.inputs import Packets
from wirecase.recording.transcript import Transcript
from wirecase.sources.live.ring import Kind, Record

NS = 1_000_000_000
BEGAN = 1_750_000_000 * NS


def message(body: bytes) -> bytes:
    """Return one message of gRPC."""
    return b"\0" + len(body).to_bytes(4, "big") + body


class Talk:
    """One connection that both sides speak by the book, unless they are told otherwise."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.now = BEGAN + number * 600 * NS
        self._packets = Packets()
        self._transcript = Transcript(self._packets)
        self._count = 1
        self._sides = (
            H2Connection(H2Configuration(client_side=True, header_encoding=None)),
            H2Connection(H2Configuration(client_side=False, header_encoding=None)),
        )
        self._sent = [0, 0]
        self.tell(Kind.opened, 0, f"127.0.0.1:{4000 + number} 127.0.0.1:5000".encode())
        self.tell(Kind.established, 1)
        for side in (0, 1):
            self._sides[side].initiate_connection()
            self._flow(side)

    def tell(self, kind: Kind, side: int, data: bytes = b"", acked: int | None = None) -> None:
        self._transcript.take(Record(kind, side, self.number, self.now, acked, memoryview(data)))

    def send(self, side: int, data: bytes) -> None:
        """Send bytes as they are."""
        self.now += 1000
        self.tell(Kind.data, side, data, acked=self._sent[1 - side])
        self._sent[side] += len(data)

    def _flow(self, side: int) -> None:
        """Let what `side` has to say reach the other, and the other answer."""
        data = self._sides[side].data_to_send()
        if not data:
            return
        self.send(side, data)
        other = self._sides[1 - side]
        for event in other.receive_data(data):
            if isinstance(event, DataReceived) and event.flow_controlled_length:
                other.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self._flow(1 - side)

    def begin(self, path: str, request: bytes = b"ask", *, end: bool = True) -> int:
        """Begin a call."""
        client = self._sides[0]
        stream = client.get_next_available_stream_id()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "echo.example:443"),
                   ("content-type", "application/grpc"), ("te", "trailers"), ("x-number", str(stream))]  # fmt: skip
        client.send_headers(stream, headers)
        client.send_data(stream, message(request), end_stream=end)
        self._flow(0)
        return stream

    def answer(self, stream: int) -> None:
        """Send response headers."""
        self._sides[1].send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        self._flow(1)

    def body(self, stream: int, data: bytes) -> None:
        """Send bytes of a response, a frame at a time as the windows allow."""
        server = self._sides[1]
        while data:
            size = min(server.local_flow_control_window(stream), server.max_outbound_frame_size, len(data))
            assert size > 0, "the window is closed"
            server.send_data(stream, data[:size])
            data = data[size:]
            self._flow(1)

    def end(self, stream: int, status: str = "0") -> None:
        """Send trailers."""
        self._sides[1].send_headers(stream, [("grpc-status", status)], end_stream=True)
        self._flow(1)

    def call(self, path: str, body: bytes) -> int:
        """Make a call that goes well."""
        stream = self.begin(path)
        self.answer(stream)
        self.body(stream, message(body))
        self.end(stream)
        return stream

    def page(self, path: str) -> int:
        """Make a call that is answered with a gateway's page."""
        stream = self.begin(path)
        self._sides[1].send_headers(stream, [(":status", "502"), ("content-type", "text/html")])
        self._sides[1].send_data(stream, b"<html><body>502 Bad Gateway</body></html>", end_stream=True)
        self._flow(1)
        return stream

    def batch(self) -> PacketBatch:
        """Return what was sent since the last time."""
        batch = self._packets.batch(self._count)
        self._count += len(batch.starts)
        self._packets.clear()
        return batch
