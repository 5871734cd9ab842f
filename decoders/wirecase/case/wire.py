"""One synthetic TCP connection: bytes and ends of two sides in, packets that any reader follows out.

Every segment is there once and in order; each side acknowledges what it was sent. What the recording showed of the
handshake and of the end is shown again, with its times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from wirecase.case.packets import ACK, FIN, PSH, RST, SYN, Endpoint, tcp

SEGMENT = 1448
"""Payload bytes of a full segment (MTU 1500, timestamps)."""
_WINDOW = 0xFFFF
_SCALE = 7
_OPTIONS = bytes((2, 4)) + (1460).to_bytes(2, "big") + bytes((1, 3, 3, _SCALE))
"""MSS and window scale (RFC 9293 §3.2, RFC 7323 §2.2)."""
_UNACKED = 8 * SEGMENT
"""Bytes after which the receiver acknowledges without being asked."""
_PATIENCE_NS = 200_000_000
"""A silence of this length is preceded by an acknowledgement, if one was owed."""
_MASK = 0xFFFFFFFF

Emit = Callable[[int, bytes], None]
"""Takes the time (ns since the epoch) and the bytes of one IP packet."""


class Wire:
    """One connection. Times never go back; a side that the recording does not show sends nothing."""

    def __init__(self, emit: Emit, ends: tuple[Endpoint, Endpoint], *, shown: tuple[bool, bool], isn: int) -> None:
        self._emit = emit
        self._ends = ends
        self._shown = shown
        self._next = [isn & _MASK, (isn + 0x40000000) & _MASK]
        """Sequence number of each side's next byte."""
        self._acked = [self._next[0], self._next[1]]
        """Up to where the other side has acknowledged each side's bytes."""
        self._ident = 0
        self._time = 0
        self._over = [False, False]
        """The side has sent a FIN or RST."""
        self._reset = False
        self._waiting: tuple[int, int, bytearray] | None = None
        """(side, time, bytes) of the segment that is being filled."""
        self._last: list[tuple[int, bytes]] = [(0, b""), (0, b"")]
        """Sequence number and payload of each side's last segment."""

    def handshake(self, syn: int | None, answer: int | None, *, done: int | None) -> None:
        """Show the SYN at time `syn`, the SYN-ACK at `answer`, and the client's ACK at `done`; None leaves one out."""
        first, second = self._next
        self._next = [(first + 1) & _MASK, (second + 1) & _MASK]
        self._acked = list(self._next)
        if syn is not None and self._shown[0]:
            self._packet(0, syn, SYN, seq=first, ack=0, options=_OPTIONS)
        if answer is not None and self._shown[1]:
            self._packet(1, answer, SYN | ACK, seq=second, ack=self._next[0], options=_OPTIONS)
        if done is not None:
            self._packet(0, done, ACK)

    def repeat_syn(self, time: int) -> None:
        """Show the client's SYN again, unanswered."""
        self._packet(0, time, SYN, seq=(self._next[0] - 1) & _MASK, ack=0, options=_OPTIONS)

    def send(self, side: int, time: int, data: bytes | bytearray) -> None:
        """Send bytes; those of one side and one time share a segment as long as there is room."""
        waiting = self._waiting
        if waiting is not None and (waiting[0] != side or waiting[1] != time):
            self.flush()
            waiting = None
        if waiting is None:
            waiting = self._waiting = (side, time, bytearray())
        held = waiting[2]
        held += data
        while len(held) > SEGMENT:
            self._segment(side, time, bytes(held[:SEGMENT]), full=True)
            del held[:SEGMENT]

    def flush(self) -> None:
        """Send what waits for its segment to be filled."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting[2]:
            self._segment(waiting[0], waiting[1], bytes(waiting[2]), full=False)

    def hole(self, side: int, length: int) -> None:
        """Leave out bytes that the recording lacks as well; the other side has them."""
        self.flush()
        self._next[side] = (self._next[side] + length) & _MASK
        self._acknowledge(side, self._time)

    def end(self, side: int, how: Literal["fin", "rst"], time: int) -> None:
        """Close one direction, or reset the connection."""
        self.flush()
        self._settle(time)
        if how == "fin":
            self._packet(side, time, FIN | ACK)
            self._next[side] = (self._next[side] + 1) & _MASK
            self._acknowledge(side, time)
        else:
            self._packet(side, time, RST | ACK, window=0)
            self._reset = True
        self._over[side] = True

    def repeat(self, side: int, time: int) -> None:
        """Show the last segment again, if nobody has acknowledged it."""
        self.flush()
        seq, data = self._last[side]
        if data and self._acked[side] != self._next[side] and not self._over[side]:
            self._packet(side, time, PSH | ACK, seq=seq, payload=data)

    def close_window(self, side: int, time: int) -> None:
        """Show that the receive buffer of a side is full."""
        self._packet(side, time, ACK, window=0)

    def refuse(self, time: int) -> None:
        """Answer the SYN with a RST (RFC 9293 §3.10.7.1)."""
        self._packet(1, time, RST | ACK, seq=0, ack=self._next[0], window=0)

    def finish(self, owed: tuple[bool, bool]) -> None:
        """Nothing more will come; `owed` says for each side whether its last bytes were never acknowledged."""
        self.flush()
        for side in (0, 1):
            if not owed[side]:
                self._acknowledge(side, self._time)

    def _settle(self, time: int) -> None:
        """Acknowledge what is open before a silence."""
        if self._time and time - self._time > _PATIENCE_NS:
            for side in (0, 1):
                self._acknowledge(side, self._time)

    def _segment(self, side: int, time: int, data: bytes, *, full: bool) -> None:
        if not self._shown[side]:
            return
        self._settle(time)
        self._packet(side, time, ACK if full else PSH | ACK, payload=data)
        self._last[side] = (self._next[side], data)
        self._next[side] = (self._next[side] + len(data)) & _MASK
        if (self._next[side] - self._acked[side]) & _MASK >= _UNACKED:
            self._acknowledge(side, time)

    def _acknowledge(self, side: int, time: int) -> None:
        """Have the other side acknowledge all that `side` has sent."""
        if self._acked[side] != self._next[side] and not self._reset:
            self._packet(1 - side, time, ACK)

    def _packet(
        self,
        side: int,
        time: int,
        flags: int,
        *,
        seq: int | None = None,
        ack: int | None = None,
        window: int = _WINDOW,
        payload: bytes = b"",
        options: bytes = b"",
    ) -> None:
        if not self._shown[side]:
            return
        self._time = max(self._time, time)
        self._ident += 1
        acked = self._next[1 - side]
        if flags & ACK and ack is None:
            self._acked[1 - side] = acked
        packet = tcp(
            self._ends[side],
            self._ends[1 - side],
            self._next[side] if seq is None else seq,
            (acked if flags & ACK else 0) if ack is None else ack,
            flags,
            window,
            payload,
            ident=self._ident,
            options=options,
        )
        self._emit(self._time, packet)
