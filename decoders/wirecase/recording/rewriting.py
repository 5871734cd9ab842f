"""Writes what is kept of a connection as a capture of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from wirecase.case.pcapng import section
from wirecase.http2.facts import DATA, MAX_WINDOW, SETTINGS, WINDOW_UPDATE, header_bytes
from wirecase.http2.sync import PREFACE
from wirecase.model import CLIENT, SERVER
from wirecase.recording.entries import Entry
from wirecase.recording.kept import KeptConnection
from wirecase.recording.transcript import Flow
from wirecase.recording.writer import Blocks

_PATIENCE_NS = 40_000_000
"""A silence of this length is preceded by an acknowledgement."""


def write(kept: KeptConnection, file: IO[bytes]) -> int:
    """Write what is kept as a capture of one connection; return its packets."""
    file.write(section((), "wirecase"))
    blocks = Blocks()
    session = kept.session
    client, server = session.client, session.server
    flow = Flow(blocks, client.address, server.address)
    first = session.first_time or 0
    if client.syn is not None:
        flow.opened(client.syn.time)
        if server.syn is not None:
            flow.established(server.syn.time)
        elif client.syns > 1 and client.last is not None:
            flow.again(client.last.time, client.syns - 1)  # the times of those before the last are not kept
    entries = _raw_entries(kept) if kept.raw is not None else _entries(kept, first)
    refused = client.syn is not None and server.syn is None
    owed = [side.tail_since.time if side.tail_since is not None and side.acked is not None
            and side.acked < side.sent else None for side in (client, server)]  # fmt: skip
    closed = sorted((facts.zero_window.time, side) for side, facts in ((CLIENT, client), (SERVER, server))
                    if facts.zero_window is not None)  # fmt: skip
    last = first
    for number, entry in entries:
        if entry.time - last > _PATIENCE_NS:
            _acknowledge(flow, last, owed)
        while closed and closed[0][0] <= entry.time:
            flow.blocked(closed[0][1], closed.pop(0)[0])
        last = max(last, entry.time)
        if entry.kind == "hole":
            flow.lost(entry.side, entry.length)
        elif entry.kind == "fin":
            flow.fin(entry.side, entry.time)
        elif entry.kind == "rst":
            if refused and entry.side == SERVER:
                flow.refused(entry.time)
            else:
                flow.rst(entry.side, entry.time)
        else:
            head = b""
            if entry.kind == "data" and number:
                # A frame that is not whole says how long it was to be.
                head = header_bytes(entry.length, DATA, entry.flags, number)
            flow.data(entry.side, entry.time, memoryview(head + bytes(entry.data)))
        if blocks.size > 1 << 20:
            file.write(blocks.take())
    _acknowledge(flow, last, owed)
    for time, side in closed:
        flow.blocked(side, time)
    file.write(blocks.take())
    return blocks.packets


def _raw_entries(kept: KeptConnection) -> Iterator[tuple[int, Entry]]:
    flipped = kept.session.flipped
    for one in kept.raw or ():
        yield 0, Entry(one.order, one.time, one.side ^ flipped, one.kind, one.data, length=one.length)


def _entries(kept: KeptConnection, first: int) -> Iterator[tuple[int, Entry]]:
    """Yield what is kept in order, with the number of its stream."""
    held: list[tuple[Entry, int]] = [(entry, 0) for entry in kept.control]
    for stream in kept.streams.values():
        held += [(entry, stream.number) for entry in stream.entries]
    for frames in kept.pending:  # of header blocks that are not whole
        held += [(kept.raw_frame(frame), frame.stream) for frame in frames]
    held.sort(key=lambda pair: pair[0].order)
    for half in kept.session.h2.halves:
        if half.stray is not None:  # bytes that are no frame, behind all frames of their side
            side, mark, data, _ = half.stray
            at = next((i for i, (entry, _) in enumerate(held) if entry.time > mark.time), len(held))
            order = held[at - 1][0].order if at else 0
            held.insert(at, (Entry(order, mark.time, side, "frame", data), 0))
    spent = [kept.spent[side] + sum(one.spent[side] for one in kept.streams.values()) for side in (CLIENT, SERVER)]
    gift = [kept.credit[side] - spent[1 - side] for side in (CLIENT, SERVER)]
    owed = {(0, side): max(-gift[side], 0) for side in (CLIENT, SERVER)}
    for stream in kept.streams.values():
        for side in (CLIENT, SERVER):
            owed[stream.number, side] = stream.spent[1 - side]
    greeted = [False, False]
    preface = kept.session.h2.halves[CLIENT].preface
    if preface is not None:
        yield 0, Entry(0, held[0][0].time if held else first, CLIENT, "frame", PREFACE)
    for entry, number in held:
        side = entry.side
        if entry.type == WINDOW_UPDATE and len(entry.data) == 13:
            less = min(owed.get((number, side), 0), int.from_bytes(entry.data[9:], "big") & MAX_WINDOW)
            if less:
                owed[number, side] -= less
                left = (int.from_bytes(entry.data[9:], "big") & MAX_WINDOW) - less
                if not left:
                    continue
                data = bytes(entry.data[:9]) + left.to_bytes(4, "big")
                entry = Entry(entry.order, entry.time, side, "frame", data)
        yield number, entry
        if entry.type == SETTINGS and not greeted[side]:
            greeted[side] = True
            if gift[side] > 0:
                credit = min(gift[side], MAX_WINDOW - 65535)
                data = header_bytes(4, WINDOW_UPDATE, 0, 0) + credit.to_bytes(4, "big")
                yield 0, Entry(0, entry.time, side, "frame", data)


def _acknowledge(flow: Flow, time: int, owed: list[int | None]) -> None:
    """Acknowledge what was sent up to `time`, but not what the recording shows as never acknowledged."""
    for side in (CLIENT, SERVER):
        since = owed[side]
        if since is None or time < since:
            flow.acknowledge(1 - side, time)
