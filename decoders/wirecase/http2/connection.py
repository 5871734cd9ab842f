"""The frames that are about the connection as a whole: PING and GOAWAY. SETTINGS and windows are `limits`."""

from __future__ import annotations

from wirecase.http2.facts import ACK, ControlFrame, Goaway, Http2Facts, Ping

_KEPT_GOAWAYS, _KEPT_PINGS, _KEPT_DEBUG = 100, 1000, 1024


def on_ping(facts: Http2Facts, frame: ControlFrame) -> None:
    """Take a PING or its ACK (RFC 9113 §6.7)."""
    if len(frame.payload) != 8:
        facts.wrong_size(frame, "8")
    if frame.stream != 0:
        facts.wrong_stream_id(frame)
    side = frame.side
    if frame.flags & ACK:
        facts.halves[side].frames.ping_ack += 1
        facts.pings_open.pop((1 - side, frame.payload), None)
        return
    mark = frame.mark()
    facts.ping_times[side].append(mark.time)
    if facts.ping_first[side] is None:
        facts.ping_first[side] = mark
    if len(facts.pings_open) < _KEPT_PINGS:
        facts.pings_open.setdefault((side, frame.payload), Ping(side, frame.payload, mark))


def on_goaway(facts: Http2Facts, frame: ControlFrame, *, open_streams: int) -> None:
    """Take a GOAWAY (RFC 9113 §6.8)."""
    payload = frame.payload
    if len(payload) < 8:
        facts.wrong_size(frame, "at least 8")
        return
    if frame.stream != 0:
        facts.wrong_stream_id(frame)
    facts.goaways_seen += 1
    if len(facts.goaways) < _KEPT_GOAWAYS:
        facts.goaways.append(
            Goaway(
                frame.side,
                int.from_bytes(payload[:4], "big") & 0x7FFFFFFF,
                int.from_bytes(payload[4:8], "big"),
                payload[8 : 8 + _KEPT_DEBUG],
                frame.excerpt(),
                facts.halves[1 - frame.side].highest_stream,
                open_streams,
            )
        )
