"""What each side allows the other: SETTINGS and flow-control windows (RFC 9113 §5.2, §6.5, §6.9).

Theory. A capture shows both directions at one place, which need not be where a peer stands. Limits are therefore
applied in the peer's favour: a raised limit counts from the SETTINGS frame, a lowered one only from its ACK
(RFC 9113 §6.5.3); a window grows when its WINDOW_UPDATE passes the capture. What is called a violation here would be
one from any place on the path.
"""

from __future__ import annotations

from collections.abc import Callable

from wirecase.http2.facts import (
    ACK,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    MAX_WINDOW,
    WINDOW_UPDATE,
    ControlFrame,
    Http2Facts,
    Settings,
    Stream,
)
from wirecase.http2.ordinary import LARGEST_LIST, SMALLEST_WINDOW, Exchange
from wirecase.model import SERVER, Excerpt, Marks

_UNKNOWN_WINDOW = 1 << 50
"""Stands for a window that cannot be recomputed: nothing ever uses it up."""
_SETTINGS_KEPT, _UNACKED_KEPT, _VALUES_KEPT = 20, 1000, 256


class Limits:
    """Settings in force and windows of one connection."""

    def __init__(
        self,
        facts: Http2Facts,
        set_table_limit: Callable[[int, int], None],
        note_early: Callable[[int, int, str, Excerpt], None],
        exchanges: dict[int, Exchange],
    ) -> None:
        self._facts = facts
        self._set_table_limit = set_table_limit
        self._note_early = note_early
        self._exchanges = exchanges
        self._initial_window = [65535, 65535]
        """What each side advertised, in force for the other's sending."""
        self.frame_limit = [16384, 16384]
        """Largest payload that each side may *send*."""
        self.roomy = True
        """What both sides allow cannot be exhausted by an ordinary exchange."""

    def new_windows(self) -> list[int]:
        """Return a new stream's windows, by sender."""
        return [self._initial_window[1], self._initial_window[0]]

    def forget(self) -> None:
        """Frames were missed: windows are unknown from here on."""
        facts = self._facts
        if not facts.windows_known:
            return
        facts.windows_known = False
        self._initial_window = [_UNKNOWN_WINDOW, _UNKNOWN_WINDOW]
        for half in facts.halves:
            half.window = _UNKNOWN_WINDOW
            half.starved = None
        for stream in facts.streams.values():
            stream.windows[:] = [_UNKNOWN_WINDOW, _UNKNOWN_WINDOW]
            stream.starved[:] = [None, None]

    def on_settings(self, frame: ControlFrame) -> None:
        """Take a SETTINGS frame or its ACK."""
        side, payload = frame.side, frame.payload
        half = self._facts.halves[side]
        if frame.stream != 0:
            self._facts.wrong_stream_id(frame)
        if frame.flags & ACK:
            half.frames.settings_ack += 1
            if payload:
                self._facts.wrong_size(frame, "0 with ACK")
            self._settings_acked(by=side)
            return
        if len(payload) % 6:
            self._facts.wrong_size(frame, "a multiple of 6")
        values: dict[int, int] = {}
        for at in range(0, len(payload) - 5, 6):
            setting = int.from_bytes(payload[at : at + 2], "big")
            value = int.from_bytes(payload[at + 2 : at + 6], "big")
            values[setting] = value
            if len(values) >= _VALUES_KEPT:
                break
            if self._illegal_setting(setting, value):
                self._facts.violate("settings-value", side, 0, frame.excerpt(), setting=setting, value=value)
                continue
            self._setting_sent(side, setting, value, frame.marks, frame.offset)
        sent = Settings(frame.mark(), values)
        if len(half.settings_frames) < _SETTINGS_KEPT:
            half.settings_frames.append(sent)
        if len(half.settings_unacked) < _UNACKED_KEPT:
            half.settings_unacked.append(sent)
        self._measure()

    def _measure(self) -> None:
        """See whether ordinary exchanges fit into all that is in force and all that may come into force by an ACK."""
        self.roomy = all(
            values.get(INITIAL_WINDOW_SIZE, SMALLEST_WINDOW) >= SMALLEST_WINDOW
            and values.get(MAX_HEADER_LIST_SIZE, LARGEST_LIST) >= LARGEST_LIST
            for half in self._facts.halves
            for values in (half.settings, *(waiting.values for waiting in half.settings_unacked[-_SETTINGS_KEPT:]))
        )

    @staticmethod
    def _illegal_setting(setting: int, value: int) -> bool:
        """RFC 9113 §6.5.2."""
        if setting == INITIAL_WINDOW_SIZE:
            return value > MAX_WINDOW
        if setting == MAX_FRAME_SIZE:
            return not 16384 <= value <= 16777215
        return setting == 2 and value > 1

    def _setting_sent(self, side: int, setting: int, value: int, marks: Marks, offset: int) -> None:
        half = self._facts.halves[side]
        if setting == INITIAL_WINDOW_SIZE:
            current = self._initial_window[side]
        elif setting == MAX_FRAME_SIZE:
            current = self.frame_limit[1 - side]
        elif setting == HEADER_TABLE_SIZE:
            current = half.settings.get(HEADER_TABLE_SIZE, 4096)
        else:
            half.settings[setting] = value
            zero = setting == MAX_CONCURRENT_STREAMS and value == 0 and side == SERVER  # a client's forbids pushes only
            if zero and self._facts.concurrent_limit_zero is None:
                self._facts.concurrent_limit_zero = marks.at(offset)
            return
        if value >= current:
            self._apply(side, setting, value)
        # A lowered value binds from its ACK on (`_settings_acked`).

    def _settings_acked(self, *, by: int) -> None:
        side = 1 - by
        half = self._facts.halves[side]
        if not half.settings_unacked:
            return
        acked = half.settings_unacked.pop(0)
        for setting in (INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, HEADER_TABLE_SIZE):
            if setting in acked.values and not self._illegal_setting(setting, acked.values[setting]):
                self._apply(side, setting, acked.values[setting])
        self._measure()

    def _apply(self, side: int, setting: int, value: int) -> None:
        """Let a value that `side` advertised bind the other side's sending."""
        self._facts.halves[side].settings[setting] = value
        if setting == INITIAL_WINDOW_SIZE:
            if not self._facts.windows_known:
                return
            delta = value - self._initial_window[side]
            self._initial_window[side] = value
            if delta:
                for stream in self._facts.streams.values():
                    self._grow(stream, 1 - side, delta)
        elif setting == MAX_FRAME_SIZE:
            self.frame_limit[1 - side] = value
        else:
            self._set_table_limit(1 - side, value)

    @staticmethod
    def _grow(stream: Stream, sender: int, delta: int) -> None:
        stream.windows[sender] += delta
        if stream.windows[sender] > 0:
            stream.starved[sender] = None

    def on_window_update(self, frame: ControlFrame) -> None:
        """Take a WINDOW_UPDATE frame."""
        if len(frame.payload) != 4:
            self._facts.wrong_size(frame, "4")
            return
        self.window_update(
            frame.side, frame.stream, int.from_bytes(frame.payload, "big") & 0x7FFFFFFF, frame.marks, frame.offset
        )

    def window_update(self, side: int, stream_id: int, increment: int, marks: Marks, offset: int) -> None:
        """Take a WINDOW_UPDATE that `side` sent (RFC 9113 §6.9)."""
        sender = 1 - side
        scope = "stream" if stream_id else "connection"
        if stream_id == 0:
            half = self._facts.halves[sender]
            half.window += increment
            window = half.window
            if window > 0:
                half.starved = None
        else:
            stream = self._facts.streams.get(stream_id)
            if stream is None:
                exchange = self._exchanges.get(stream_id)
                if exchange is not None:
                    payload = increment.to_bytes(4, "big")
                    exchange.frames.append(
                        (ControlFrame(side, WINDOW_UPDATE, 0, stream_id, payload, marks.near(offset, 13), offset), None)
                    )
                    return
                top = max(h.highest_stream for h in self._facts.halves)
                if stream_id > top and self._facts.windows_known:
                    excerpt = self._window_excerpt(side, stream_id, increment, marks, offset)
                    self._note_early(side, stream_id, "WINDOW_UPDATE", excerpt)
                return
            self._grow(stream, sender, increment)
            window = stream.windows[sender]
        if increment == 0:
            excerpt = self._window_excerpt(side, stream_id, increment, marks, offset)
            self._facts.violate("zero-increment", side, stream_id, excerpt, scope=scope)
        elif window > MAX_WINDOW and self._facts.windows_known:
            excerpt = self._window_excerpt(side, stream_id, increment, marks, offset)
            self._facts.violate("window-overflow", side, stream_id, excerpt, scope=scope, value=window)

    @staticmethod
    def _window_excerpt(side: int, stream_id: int, increment: int, marks: Marks, offset: int) -> Excerpt:
        payload = increment.to_bytes(4, "big")
        return ControlFrame(side, WINDOW_UPDATE, 0, stream_id, payload, marks, offset).excerpt()
