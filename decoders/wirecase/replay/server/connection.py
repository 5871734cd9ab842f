"""One live connection: the client's half is read and answered, the server's half is played from the recording."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from wirecase.http2.facts import ACK, GOAWAY, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, header_bytes
from wirecase.replay.model import ClosedBy, LiveCall, LiveConnection
from wirecase.replay.server.inbound import ENHANCE_YOUR_CALM, Inbound, Pairs, Refused
from wirecase.replay.server.player import Player
from wirecase.replay.server.rounds import ConnectionState
from wirecase.replay.server.streams import LiveStream
from wirecase.replay.server.wire import Wire

if TYPE_CHECKING:
    from wirecase.replay.server.stage import Stage

_MOST_STREAMS = 5_000
"""Streams that one client may have open."""
_PIECE = 64 * 1024
"""Bytes from which on what is queued is sent, so that a client that does not read is noticed in time."""
_RECENT = 64
_LONGEST_VALUE = 200
"""Bytes of a request header that are noted."""
_BODY = 0.5
"""Seconds that are waited for a request's end where its DATA says what it is answered as."""
_CREDIT = 32 * 1024
"""Bytes of requests after which new credit is given; fewer where the client was given smaller windows."""
_HEADER_TABLE_SIZE, _INITIAL_WINDOW, _MAX_FRAME = 1, 4, 5
_DEFAULT_WINDOW = 65_535
_LARGEST_WINDOW = (1 << 31) - 1
_HTTP1_ANSWER = b"HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection:
    """A client's connection."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ledger = stage.ledger
        self.facts: LiveConnection = stage.ledger.connection()
        self.wire = Wire(self, stage.context)
        self.inbound = Inbound(self)
        self.streams: dict[int, LiveStream] = {}
        """Open ones."""
        self.state: ConnectionState | None = None
        self.window = _DEFAULT_WINDOW
        """How much DATA may be sent on the connection."""
        self.initial_window = _DEFAULT_WINDOW
        self.largest = 16_384
        """The client's SETTINGS_MAX_FRAME_SIZE."""
        self.table_size: int | None = None
        """A smaller header table that the next block has to announce."""
        self.highest = 0
        """Highest stream of the client."""
        self.lasts: int | None = None
        """Last stream of the GOAWAY that was sent."""
        self.pings = 0
        self.credit_after = _CREDIT
        self.uncredited = 0
        self.moved = self.ledger.now()
        self.foreign = False
        """The client does not speak HTTP/2, or the recorded server did not."""
        self.heard = False
        """The client sent something."""
        self.gone = False
        self.out: list[bytes] = []
        self._queued = 0
        self._replies: list[bytes] = []
        self.recent: dict[int, LiveCall] = {}
        """Calls that are over: a RST_STREAM may still come."""
        self.player = Player(self)

    # ---- told by the wire --------------------------------------------------------------------------------------

    def opened(self, alpn: str | None) -> None:
        """The connection stands."""
        self.facts.alpn = alpn
        self.stage.opened(self)
        self.player.play()
        self.flush()

    def received(self, data: bytes) -> None:
        """Take bytes of the client."""
        self.heard = True
        if self.foreign:
            self.player.play()
            self.flush()
            return
        try:
            self.inbound.feed(data)
        except Refused as refused:
            self.refuse(refused.code, refused.text)
            return
        if not self.foreign:
            self.player.play()
        self.flush()

    def writable(self) -> None:
        """The client reads again."""
        if not self.gone:
            self.player.play_all()
            self.flush()

    def failed_tls(self, why: str) -> None:
        """There is no TLS between the two."""
        self.facts.tls_error = why
        self.ledger.deviate("tls-failed", f"the TLS handshake failed: {why}", connection=self.facts.number)

    def closed(self, by: str, unread: int) -> None:
        """The connection is over."""
        self.gone = True
        self.facts.closed = self.ledger.now()
        self.facts.closed_by = _closed_by(by) if not self.stage.stopping else "stopped"
        self.facts.unread = unread
        self.player.stop()
        for stream in self.streams.values():
            stream.cancel_timer()
            stream.cancel_decision()
            if stream.state is not None:
                stream.state.over = True
        self.streams.clear()
        self.stage.left(self)

    # ---- out ---------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Queue bytes; `flush` sends them, at the latest."""
        self.out.append(data)
        self._queued += len(data)
        if self._queued >= _PIECE:
            self.flush()

    def flush(self) -> None:
        """Send what is queued, in one piece."""
        if self.out:
            data = b"".join(self.out)
            self.out.clear()
            self._queued = 0
            self.wire.write(data)

    def refuse(self, code: int, text: str) -> None:
        """Close the connection of a client that breaks the protocol (RFC 9113 §5.4.1)."""
        self.ledger.deviate("client-error", f"the client broke HTTP/2: {text}", connection=self.facts.number)
        payload = self.highest.to_bytes(4, "big") + code.to_bytes(4, "big")
        self.send(header_bytes(len(payload), GOAWAY, 0, 0) + payload)
        self.flush()
        self.wire.close()

    # ---- told by the inbound walk ------------------------------------------------------------------------------

    def not_http2(self, data: bytes) -> None:
        """The client speaks something else."""
        self.foreign = True
        self.facts.not_http2 = bytes(data[:256])
        if self.state is not None and self.state.recorded.protocol != "h2":
            return
        why = "the client's first bytes are no HTTP/2 connection preface"
        self.ledger.deviate("not-http2", why, connection=self.facts.number)
        if data[:1].isalpha():
            self.send(_HTTP1_ANSWER)
            self.flush()
        self.wire.close()

    def on_headers(self, stream: int, fields: Pairs, *, end: bool) -> None:
        """Take a request, or its trailers."""
        now = self.ledger.now()
        live = self.streams.get(stream)
        if live is not None:
            if end:
                self._request_ended(live, now)
            return
        if stream <= self.highest or not stream & 1:
            return  # late frames of a stream that is over
        self.highest = stream
        if self.lasts is not None and stream > self.lasts:
            return  # opened before the client saw the GOAWAY: to be ignored (RFC 9113 §6.8)
        if len(self.streams) >= _MOST_STREAMS:
            raise Refused(ENHANCE_YOUR_CALM, f"more than {_MOST_STREAMS} open streams")
        path, attempts, accepts = b"", b"0", b""
        for name, value in fields:
            if name == b":path":
                path = value or b""
            elif name == b"grpc-previous-rpc-attempts":
                attempts = value or b"0"
            elif name == b"grpc-accept-encoding":
                accepts = value or b""
        call = LiveCall(
            self.ledger.number(), self.facts.number, stream, path.decode("latin-1"), "fallback", now,
            previous_attempts=int(attempts) if attempts.isdigit() and len(attempts) < 9 else 0,
            accepts=accepts[:_LONGEST_VALUE].decode("latin-1"),
        )  # fmt: skip
        self.ledger.call(call)
        live = self.streams[stream] = LiveStream(stream, call, self.initial_window, now)
        self.moved = now
        if end or not self.stage.waits_for_body(call.path):
            self.stage.answer(self, live)
        else:
            live.decision = self.later(_BODY, self._decide, live)
        if end:
            self._request_ended(live, now)
        else:
            self.player.touch(live)

    def on_data(self, stream: int, data: bytes, length: int, *, end: bool) -> None:
        """Take a part of a request."""
        live = self.streams.get(stream)
        recorded_credit = self.state is not None and self.state.recorded.recorded_credit
        if not recorded_credit and length:
            self.uncredited += length
            if self.uncredited >= _CREDIT:
                self._credit(0, self.uncredited)
                self.uncredited = 0
        if live is None:
            return
        now = self.ledger.now()
        live.moved = self.moved = now
        if data:
            live.digest.update(data)
            live.count.feed(data)
            live.data += len(data)
            live.call.request_bytes += len(data)
            live.call.request_messages = live.count.whole
        if not (recorded_credit and live.state is not None):
            live.uncredited += length
        if end:
            self._request_ended(live, now)
            return
        if live.uncredited >= self.credit_after:
            self._credit(stream, live.uncredited)
            live.uncredited = 0
        self.player.touch(live)

    def _request_ended(self, live: LiveStream, now: float) -> None:
        live.ended = True
        live.moved = self.moved = now
        live.call.request_ended = now
        live.call.request_digest = live.digest.hexdigest()
        if not live.matched:
            self.stage.answer(self, live)
            live.cancel_decision()
        self.player.touch(live)
        if live.finished and self.streams.pop(live.id, None) is not None:
            self.remember(live)

    def _decide(self, live: LiveStream) -> None:
        """A request that would say more by its DATA has not ended."""
        live.decision = None
        if not live.matched and not self.gone:
            self.stage.answer(self, live)
            self.player.touch(live)
            self.player.play()
            self.flush()

    def on_reset(self, stream: int, code: int) -> None:
        """The client gave a call up."""
        live = self.streams.pop(stream, None)
        if live is None:
            late = self.recent.get(stream)
            if late is not None and late.reset_by_client is None:
                late.reset_by_client, late.reset_at = code, self.ledger.now()
            return
        now = self.ledger.now()
        live.cancel_decision()
        live.reset = live.ended = True
        live.moved = self.moved = now
        live.call.reset_by_client = code
        live.call.reset_at = now
        live.call.request_digest = live.digest.hexdigest()
        self.player.abandoned(live)

    def on_settings(self, values: list[tuple[int, int]]) -> None:
        """Take the client's SETTINGS."""
        for name, value in values:
            if name == _INITIAL_WINDOW and value <= _LARGEST_WINDOW:
                for live in self.streams.values():
                    live.window += value - self.initial_window
                self.initial_window = value
            elif name == _MAX_FRAME and 16_384 <= value < 1 << 24:
                self.largest = value
            elif name == _HEADER_TABLE_SIZE and value < 4096:
                self.table_size = value
        if self.state is None or self.state.recorded.acks_settings:
            self._reply(header_bytes(0, SETTINGS, ACK, 0))
        self.player.blocked()

    def on_ping(self, opaque: bytes) -> None:
        """Answer a PING, as long as the recorded server did."""
        self.pings += 1
        limit = self.state.recorded.acks_pings if self.state is not None else None
        if limit is None or self.pings <= limit:
            self._reply(header_bytes(8, PING, ACK, 0) + opaque)

    def _reply(self, data: bytes) -> None:
        """Send a frame of our own, but not before the recorded server's first word, nor within a frame."""
        if self.player.within_frame or (self.state is not None and not self.state.next and self.state.script):
            self._replies.append(data)
        else:
            self.send(data)

    def release(self) -> None:
        """The recorded server's first word is out, or a frame is whole: send what waited for that."""
        if self._replies and not self.player.within_frame:
            self.out += self._replies
            self._replies.clear()

    def on_goaway(self, code: int, debug: bytes) -> None:
        """The client goes."""
        self.facts.goaway = code
        self.facts.goaway_debug = bytes(debug[:1024])

    def on_window(self, stream: int, increment: int) -> None:
        """The client gives credit."""
        if not stream:
            self.window += increment
        else:
            live = self.streams.get(stream)
            if live is not None:
                live.window += increment
        self.player.blocked()

    def _credit(self, stream: int, amount: int) -> None:
        self._reply(header_bytes(4, WINDOW_UPDATE, 0, stream) + amount.to_bytes(4, "big"))

    def spend(self, amount: int) -> bool:
        """Give the connection credit as it was recorded, if the client has used up as much."""
        if not 0 < amount <= self.uncredited:
            return False
        self.uncredited -= amount
        return True

    def told_window(self, size: int) -> None:
        """The client was told SETTINGS_INITIAL_WINDOW_SIZE."""
        self.credit_after = max(min(_CREDIT, size // 2), 1)

    def reset_stream(self, stream: int, code: int) -> None:
        """Send RST_STREAM of our own."""
        self._reply(header_bytes(4, RST_STREAM, 0, stream) + code.to_bytes(4, "big"))

    def remember(self, live: LiveStream) -> None:
        """A call is over."""
        self.recent[live.id] = live.call
        if len(self.recent) > _RECENT:
            del self.recent[next(iter(self.recent))]

    def later(self, seconds: float, call: Callable[..., None], *arguments: object) -> asyncio.TimerHandle:
        """Call something after a while."""
        return self.stage.loop.call_later(seconds, call, *arguments)


def _closed_by(by: str) -> ClosedBy:
    return "client-fin" if by == "client-fin" else "client-rst" if by == "client-rst" else (
        "server-rst" if by == "server-rst" else "server-fin"
    )  # fmt: skip
