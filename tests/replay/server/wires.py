"""Clients for replay servers: one made of bare frames, one of grpcio, and a relay that records what passes."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from captures import PREFACE, Conversation, pcap
from h2_bytes import END_STREAM, HEADERS, REQUEST, Peer, data, message, settings
from hpack import Decoder

import grpc
from wirecase.model import CLIENT, SERVER
from wirecase.replay.plan import Data, More, Plan, RecordedCall

FIXTURES = Path(__file__).parents[3] / "fixtures"


def fixture(name: str) -> Path:
    """The capture of a fixture."""
    return next((FIXTURES / name).glob("capture*"))


def written(folder: Path, talk: Conversation) -> Path:
    """A capture of a conversation made by hand."""
    path = folder / "made.pcap"
    path.write_bytes(pcap(talk.packets))
    return path


def requests(call: RecordedCall) -> list[bytes]:
    """The messages that the recorded client sent."""
    body = b"".join(act.body.read() for act in call.asked if isinstance(act, Data | More))
    found = []
    while len(body) >= 5:
        size = int.from_bytes(body[1:5], "big")
        found.append(body[5 : 5 + size])
        body = body[5 + size :]
    return found


@dataclass
class Answer:
    """What grpcio made of a call."""

    code: grpc.StatusCode
    details: str
    messages: list[bytes] = field(default_factory=list)


def ask(channel: grpc.Channel, path: str, messages: list[bytes], timeout: float = 5) -> Answer:
    """Make a call with bytes as messages."""
    got: list[bytes] = []
    method = channel.stream_stream(path, request_serializer=bytes, response_deserializer=bytes)
    call = method(iter(messages), timeout=timeout)
    try:
        got.extend(call)
    except grpc.RpcError:
        return Answer(call.code(), call.details() or "", got)
    return Answer(call.code(), call.details() or "", got)


@contextlib.contextmanager
def channel(target: str) -> Iterator[grpc.Channel]:
    """A channel of its own that dials again soon."""
    options = [
        ("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.enable_retries", 0),
        ("grpc.max_receive_message_length", -1),
    ]  # fmt: skip
    with grpc.insecure_channel(target, options=options) as made:
        yield made


def replayed(plan: Plan, target: str, speed: float = 1.0) -> dict[int, Answer]:
    """Make the recorded calls, as much at once as they were, with their delays; return the answers by call."""
    calls = sorted(plan.calls(), key=lambda call: call.started)
    answers: dict[int, Answer] = {}
    with channel(target) as made:

        def one(call: RecordedCall, wait: float) -> None:
            time.sleep(wait)
            answers[call.number] = ask(made, call.path, requests(call))

        first = calls[0].started
        threads = [threading.Thread(target=one, args=(call, (call.started - first) / 1e9 / speed)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return answers


class Bare:
    """A client that sends what it is told and collects frames."""

    def __init__(self, address: tuple[str, int], *, greet: bool = True) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self.peer = Peer()
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.ended: str | None = None
        self._decoder = Decoder()
        self._buffer = b""
        if greet:
            self.send(PREFACE, settings())

    def send(self, *parts: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(b"".join(parts))

    def request(self, stream: int, path: str, *messages: bytes, end: bool = True) -> None:
        """Send a request."""
        fields = tuple((name, path if name == ":path" else value) for name, value in REQUEST)
        body = b"".join(message(one) for one in messages)
        self.send(self.peer.headers(stream, fields), data(stream, body, END_STREAM if end else 0))

    def read(self, wait: float = 5.0) -> bool:
        """Take what comes next; False if nothing did within `wait` seconds, or the server has closed."""
        self.socket.settimeout(wait)
        try:
            got = self.socket.recv(1 << 16)
        except TimeoutError:
            return False
        except ConnectionResetError:
            self.ended = "rst"
            return False
        if not got:
            self.ended = "fin"
            return False
        self._buffer += got
        while len(self._buffer) >= 9:
            size = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + size:
                break
            kind, flags = self._buffer[3], self._buffer[4]
            stream = int.from_bytes(self._buffer[5:9], "big")
            self.frames.append((kind, flags, stream, self._buffer[9 : 9 + size]))
            self._buffer = self._buffer[9 + size :]
        return True

    def until(self, *kinds: int, stream: int | None = None, wait: float = 5.0) -> tuple[int, int, int, bytes] | None:
        """Read until a frame of one of these types has come (on this stream); return and take it."""
        end = time.monotonic() + wait
        while True:
            for place, one in enumerate(self.frames):
                if one[0] in kinds and (stream is None or one[2] == stream):
                    return self.frames.pop(place)
            if self.ended or not self.read(max(end - time.monotonic(), 0.01)):
                return None

    def fields(self, stream: int) -> dict[str, str]:
        """The next header block of a stream."""
        found = self.until(HEADERS, stream=stream)
        assert found is not None
        return {str(name): str(value) for name, value in self._decoder.decode(found[3])}

    def end(self, wait: float = 5.0) -> str | None:
        """Read until the server closes; how it did."""
        end = time.monotonic() + wait
        while self.ended is None and time.monotonic() < end:
            self.read(0.05)
        return self.ended

    def close(self) -> None:
        """Close."""
        self.socket.close()


class Relay:
    """Passes connections on to a server, and records them as a capture would; nothing of it blocks in a read."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.talks: list[Conversation] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: str = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select(0.02):
                if key.data is None:
                    self._accept()
                else:
                    self._pass(*key.data)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(self._target)
        talk = Conversation((40_000 + len(self.talks), 50_051), start=time.time_ns()).open()
        self.talks.append(talk)
        self._selector.register(client, selectors.EVENT_READ, (talk, CLIENT, client, server))
        self._selector.register(server, selectors.EVENT_READ, (talk, SERVER, server, client))

    def _pass(self, talk: Conversation, side: int, source: socket.socket, sink: socket.socket) -> None:
        talk.time = max(talk.time, time.time_ns())
        try:
            got = source.recv(1 << 16)
        except OSError:
            talk.reset(side)
            self._forget(source, sink)
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sink.close()
            source.close()
            return
        if got:
            talk.send(side, got)
            with contextlib.suppress(OSError):
                sink.sendall(got)
            return
        talk.fin(side)
        self._forget(source)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _forget(self, *sockets: socket.socket) -> None:
        for one in sockets:
            with contextlib.suppress(KeyError):
                self._selector.unregister(one)

    def stop(self) -> list[tuple[int, bytes]]:
        """Listen no more; return all packets."""
        time.sleep(0.05)
        self._stopped = True
        self._thread.join()
        self._listener.close()
        return sorted((packet for talk in self.talks for packet in talk.packets), key=lambda packet: packet[0])
