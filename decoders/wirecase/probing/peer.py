"""One HTTP/2 connection of our own over h2, with every byte recorded: opened, asked, held, closed.

Sockets do not block; `wait` reads until something holds or the time is over. Breaches of the protocol end the
connection for h2, not for the recording: our own pipeline says what they were.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from wirecase.http2.facts import SETTING_NAMES, error_name
from wirecase.model import CLIENT, SERVER
from wirecase.probing.model import Answer
from wirecase.replay.caller.tap import Tape, TooMuchError

KEPT_MESSAGES, KEPT_MESSAGE, KEPT_BODY = 64, 1 << 20, 4096
_PIECE = 1 << 16
_POLL = 0.1


@dataclass(slots=True)
class Goaway:
    """A GOAWAY of the server."""

    at: float
    """Seconds after the connection was opened."""
    code: int
    debug: bytes
    last_stream: int


@dataclass(slots=True)
class _Stream:
    answer: Answer = field(default_factory=Answer)
    pending: bytearray = field(default_factory=bytearray)
    over: bool = False
    skip: int = 0


class Peer:
    """A live connection."""

    def __init__(self, sock: socket.socket, tape: Tape) -> None:
        self._sock = sock
        self._tape = tape
        sock.setblocking(False)
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True, header_encoding=None, validate_inbound_headers=False,
                normalize_inbound_headers=False, validate_outbound_headers=False,
            )
        )  # fmt: skip
        self.began = time.monotonic()
        self.settings: dict[int, int] | None = None
        """The server's first SETTINGS."""
        self.goaways: list[Goaway] = []
        self.ended = ""
        """``fin``, ``rst``, ``protocol`` (not HTTP/2 any more) or ``flood``, once it is over."""
        self.ended_at: float | None = None
        """Seconds after the connection was opened."""
        self.problem = ""
        """What h2 says broke the protocol."""
        self.first = b""
        """The first bytes of the server."""
        self.pings: deque[bytes] = deque(maxlen=100)
        """PINGs that were acknowledged."""
        self.asked = 0
        """PINGs that the server sent."""
        self._streams: dict[int, _Stream] = {}
        self._number = 0

    # ---- opening and closing -----------------------------------------------------------------------------------

    def greet(self, timeout: float) -> bool:
        """Send preface and SETTINGS; tell whether the server's SETTINGS came."""
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(1 << 20)
        self._flush()
        return self.wait(lambda: self.settings is not None, timeout)

    def close(self) -> None:
        """Say goodbye, as a client does that is done."""
        if not self.ended:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.close_connection()
                self._flush()
        if not self.ended:
            self._tape.ended(CLIENT, "fin")
            self._end("fin", by_server=False)
        with contextlib.suppress(OSError):
            self._sock.close()

    # ---- asking ------------------------------------------------------------------------------------------------

    def call(
        self, path: str, message: bytes | None, authority: str, scheme: str, timeout: float,
        metadata: list[tuple[str, str]], *, end: bool = True,
    ) -> Answer:  # fmt: skip
        """Make one call with one message, and wait for its end."""
        begun = time.monotonic()
        if self.ended or self.goaways:
            return Answer(how="closed")
        headers = [
            (b":method", b"POST"), (b":scheme", scheme.encode()), (b":path", path.encode()),
            (b":authority", authority.encode()), (b"te", b"trailers"), (b"content-type", b"application/grpc"),
            (b"user-agent", b"wirecase-probe"), (b"grpc-accept-encoding", b"identity"),
            (b"grpc-timeout", b"%dm" % max(int(timeout * 1000), 1)),
            *((name.encode(), value.encode()) for name, value in metadata),
        ]  # fmt: skip
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, headers)
        except h2.exceptions.ProtocolError as error:
            self.problem = self.problem or str(error)
            return Answer(how="none")
        stream = self._streams[number] = _Stream()
        self._send_body(number, b"" if message is None else b"\0" + len(message).to_bytes(4, "big") + message, timeout)
        self.wait(lambda: stream.over, max(timeout - (time.monotonic() - begun), 0.0) + 0.5)
        answer = stream.answer
        answer.seconds = time.monotonic() - begun
        if not stream.over:
            answer.how = "closed" if self.ended else "timeout"
            if not self.ended:
                with contextlib.suppress(h2.exceptions.ProtocolError):
                    self._h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
                    self._flush()
        del self._streams[number]
        return answer

    def ping(self, timeout: float) -> float | None:
        """Send a PING; return the seconds to its ACK, None if none came."""
        if self.ended:
            return None
        self._number += 1
        opaque = b"wc" + self._number.to_bytes(6, "big")
        begun = time.monotonic()
        try:
            self._h2.ping(opaque)
        except h2.exceptions.ProtocolError:
            return None
        self._flush()
        return time.monotonic() - begun if self.wait(lambda: opaque in self.pings, timeout) else None

    def _send_body(self, number: int, data: bytes, timeout: float) -> None:
        """Send DATA as far as the windows let it, and END_STREAM."""
        view = memoryview(data)
        stream = self._streams[number]
        until = time.monotonic() + timeout
        try:
            while True:
                room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
                if room > 0 or not view:
                    piece = bytes(view[:room])
                    view = view[len(piece) :]
                    self._h2.send_data(number, piece, end_stream=not view)
                    self._flush()
                    if not view:
                        return
                elif stream.over or self.ended or time.monotonic() >= until:
                    return
                else:
                    self.wait(lambda: stream.over or self._h2.local_flow_control_window(number) > 0, _POLL)
        except h2.exceptions.ProtocolError:  # the stream is gone: its answer says how
            return

    # ---- reading -----------------------------------------------------------------------------------------------

    def wait(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Read until something holds, the connection is over, or the time is; return whether it holds."""
        until = time.monotonic() + seconds
        while not ready():
            left = until - time.monotonic()
            if self.ended or left <= 0:
                return False
            select.select([self._sock], [], [], min(left, _POLL))
            self.read()
        return True

    def fileno(self) -> int:
        """Return the descriptor, for `select`."""
        return self._sock.fileno()

    def read(self) -> None:
        """Take what has come, without waiting."""
        while not self.ended:
            try:
                data = self._sock.recv(_PIECE)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                data = b""
            except ssl.SSLError as error:
                self.problem = f"TLS: {error.reason or error}"
                data = b""
            except OSError:
                self._tape.ended(SERVER, "rst")
                self._end("rst")
                return
            if not data:
                self._tape.ended(SERVER, "fin")
                self._end("fin")
                return
            try:
                self._take(data)
            except TooMuchError:
                self._end("flood")

    def _take(self, data: bytes) -> None:
        self._tape.took(SERVER, data)
        if len(self.first) < 256:
            self.first += data[: 256 - len(self.first)]
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self.problem = str(error) or type(error).__name__
            self._flush()
            self._end("protocol")
            return
        for event in events:
            self._on(event)
        self._flush()

    def _on(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RemoteSettingsChanged():
                if self.settings is None:
                    self.settings = {int(code): one.new_value for code, one in event.changed_settings.items()}
            case h2.events.PingAckReceived():
                self.pings.append(bytes(event.ping_data or b""))
            case h2.events.PingReceived():
                self.asked += 1
            case h2.events.ConnectionTerminated():
                code, last = int(event.error_code or 0), event.last_stream_id or 0
                self.goaways.append(
                    Goaway(time.monotonic() - self.began, code, bytes(event.additional_data or b"")[:1024], last)
                )
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                self._on_headers(event.stream_id or 0, event.headers or [])
            case h2.events.DataReceived():
                self._on_data(event)
            case h2.events.StreamEnded():
                self._over(event.stream_id or 0, "trailers")
            case h2.events.StreamReset():
                stream = self._streams.get(event.stream_id or 0)
                if stream is not None and not stream.over:
                    stream.answer.error = error_name(int(event.error_code or 0))
                    self._over(event.stream_id or 0, "reset")

    def _on_headers(self, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        answer = stream.answer
        for raw_name, raw_value in headers:
            name, value = bytes(raw_name), bytes(raw_value).decode("utf-8", "backslashreplace")[:1024]
            if name == b":status" and value.isascii() and value.isdigit():
                answer.http_status = int(value[:9])
            elif name == b"content-type":
                answer.content_type = value
            elif name == b"grpc-status" and value.isascii() and value.isdigit():
                answer.grpc_status = int(value[:9])
            elif name == b"grpc-message":
                from urllib.parse import unquote

                answer.grpc_message = unquote(value)
            elif name == b"server":
                answer.server = value

    def _on_data(self, event: h2.events.DataReceived) -> None:
        if event.flow_controlled_length:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)
        stream = self._streams.get(event.stream_id or 0)
        if stream is None:
            return
        data, answer = bytes(event.data or b""), stream.answer
        if not (answer.content_type or "").startswith("application/grpc"):
            answer.body += data[: KEPT_BODY - len(answer.body)]
            return
        cut = min(stream.skip, len(data))
        stream.skip -= cut
        pending = stream.pending
        pending += data[cut:]
        while len(pending) >= 5:
            length = int.from_bytes(pending[1:5], "big")
            if pending[0] not in (0, 1):
                answer.body += bytes(pending[: KEPT_BODY - len(answer.body)])
                pending.clear()
                break
            if length <= KEPT_MESSAGE and len(pending) < 5 + length:
                break
            answer.count += 1
            if length <= KEPT_MESSAGE and len(answer.messages) < KEPT_MESSAGES:
                answer.messages.append(bytes(pending[5 : 5 + length]))
            stream.skip = max(5 + length - len(pending), 0)
            del pending[: 5 + length]

    def _over(self, number: int, how: str) -> None:
        stream = self._streams.get(number)
        if stream is not None and not stream.over:
            stream.over = True
            stream.answer.how = how

    # ---- writing -----------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if not data or self.ended:
            return
        try:
            self._sock.settimeout(5.0)
            self._sock.sendall(data)
            self._tape.took(CLIENT, data)
        except (TimeoutError, OSError):
            self._tape.took(CLIENT, data)
            self._tape.ended(SERVER, "rst")
            self._end("rst")
        finally:
            with contextlib.suppress(OSError):
                self._sock.setblocking(False)

    def _end(self, how: str, *, by_server: bool = True) -> None:
        self.ended = how
        if by_server:
            self.ended_at = time.monotonic() - self.began


def setting_name(code: int) -> str:
    """Return the name of a setting (RFC 9113 §6.5.2), or its number."""
    return SETTING_NAMES.get(code, f"setting {code:#x}")
