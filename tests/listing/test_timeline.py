"""Timelines: every frame once and in order, with the windows behind it, messages, evidence, and folds that add up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from captures import Conversation, http2, pcap
from h2_bytes import (
    DATA,
    END_STREAM,
    PADDED,
    PING,
    REQUEST,
    RESPONSE,
    TRAILERS,
    Script,
    data,
    frame,
    message,
    padded,
    rst,
    settings,
    window_update,
)

from wirecase import listing
from wirecase.listing.bodies import BodyWalk
from wirecase.listing.events import HEAD, NO_FRAME, TAIL, Event, Fold
from wirecase.listing.timeline import Timeline
from wirecase.model import CLIENT, SERVER
from wirecase.pipeline import Options
from wirecase.query import compile_filter


def look(tmp_path: Path, talk: Conversation, where: str = "call=0", **options: Any) -> list[Timeline]:
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(talk.packets))
    sources = Options([str(path)])
    calls = listing.list_calls(sources, where=compile_filter(where))
    return listing.timelines(sources, list(calls), calls.diagnosis.findings, **options)


def names(items: Iterable[Event | Fold]) -> list[str]:
    return [f"{'SC'[item.side == CLIENT]} {item.name}" if isinstance(item, Event) else "fold" for item in items]


def events(timeline: Timeline) -> list[Event]:
    assert all(isinstance(item, Event) for item in timeline.items)
    return [item for item in timeline.items if isinstance(item, Event)]


def test_frames_of_both_directions_and_of_the_connection_in_between(tmp_path: Path) -> None:
    script = Script().hello()
    peer = script.peers[SERVER]
    script.client(frame(PING, 0, 0, b"12345678"))  # before the call
    script.request(1, message(b"ask"))
    script.client(script.peers[CLIENT].headers(3, REQUEST, END_STREAM))  # another call
    script.server(settings((4, 70_000)), peer.headers(1, RESPONSE), data(1, message(b"answer")))
    script.client(window_update(1, 11), window_update(0, 11))
    script.server(peer.headers(1, TRAILERS, END_STREAM))
    script.client(frame(PING, 0, 0, b"87654321"))  # behind the call
    script.server(peer.headers(3, (*RESPONSE, ("grpc-status", "0")), END_STREAM))
    (timeline,) = look(tmp_path, http2(script))
    assert names(timeline.items) == [
        "C HEADERS", "C DATA", "S SETTINGS", "S HEADERS", "S DATA", "C WINDOW_UPDATE", "C WINDOW_UPDATE", "S HEADERS",
    ]  # fmt: skip
    asked, sent, changed, answered, got, grown, wider, done = events(timeline)
    assert dict(asked.headers or ())[b":path"] == b"/demo.Echo/Unary"
    assert sent.flags == ("END_STREAM",)
    assert sent.body is not None
    assert [tuple(one) for one in sent.body.begun] == [(0, 0, 3)]
    assert changed.facts == {"settings": {"INITIAL_WINDOW_SIZE": 70_000}}
    assert changed.stream == 0
    assert answered.headers == tuple((name.encode(), value.encode()) for name, value in RESPONSE)
    windows = [event.windows for event in (sent, changed, got, grown, wider)]
    assert all(windows)
    assert [w[CLIENT].stream for w in windows if w] == [65_527, None, 69_992, 69_992, None]
    assert [w[SERVER].stream for w in windows if w] == [65_535, None, 65_524, 65_535, None]
    assert [w[SERVER].connection for w in windows if w] == [65_535, 65_535, 65_524, 65_524, 65_535]
    assert grown.facts == {"increment": 11}
    assert done.flags == ("END_STREAM", "END_HEADERS")
    marks = [event.mark for event in events(timeline)]
    assert marks == sorted(marks, key=lambda mark: mark.packet)


def test_messages_across_frames_padding_and_split_data(tmp_path: Path) -> None:
    script = Script().hello().request(1, message(b"ask"))
    peer = script.peers[SERVER]
    body = message(b"x" * 3_000) + message(b"") + message(b"y" * 10)
    script.server(peer.headers(1, RESPONSE))
    script.server(data(1, body[:2]), data(1, body[2:2_900]), frame(DATA, PADDED, 1, padded(body[2_900:], 7)))
    script.server(peer.headers(1, TRAILERS, END_STREAM))
    (timeline,) = look(tmp_path, http2(script), payload=16)
    frames = [event for event in events(timeline) if event.name == "DATA" and event.side == SERVER]
    bodies = [event.body for event in frames if event.body is not None]
    assert [[tuple(one) for one in body.begun] for body in bodies] == [[], [(0, 0, 3_000)], [(1, 0, 0), (2, 0, 10)]]
    assert [body.continued for body in bodies] == [None, None, (0, 2_895, 3_000)]
    assert frames[2].flags == ("PADDED",)
    assert [len(event.payload) for event in frames] == [2, 16, 16]
    assert frames[1].payload == body[2:18]


def test_long_runs_are_folded_and_add_up(tmp_path: Path) -> None:
    script = Script().hello().request(1, message(b"ask"))
    peer = script.peers[SERVER]
    script.server(peer.headers(1, RESPONSE))
    for number in range(1_000):
        script.server(data(1, message(b"12345")))
        if number % 4 == 3:
            script.client(window_update(1, 40), window_update(0, 40))
    script.server(peer.headers(1, TRAILERS, END_STREAM))
    talk = http2(script)
    (timeline,) = look(tmp_path, talk)
    (fold,) = [item for item in timeline.items if isinstance(item, Fold)]
    kept = [item for item in timeline.items if isinstance(item, Event)]
    assert len(kept) == 2 + 2 + HEAD + TAIL  # headers, request DATA (part of no run of the response), trailers
    whole = {(SERVER, "DATA"): [1_000, 10_000], (CLIENT, "WINDOW_UPDATE"): [500, 2_000]}
    for key, (count, size) in whole.items():
        shown = [event for event in kept if (event.side, event.name) == key]
        assert [fold.frames[key][0] + len(shown), fold.frames[key][1] + sum(e.length for e in shown)] == [count, size]
    begun = sum(event.body.count for event in kept if event.body is not None and event.side == SERVER)
    assert fold.messages[SERVER] + begun == 1_000
    place = timeline.items.index(fold)
    before, behind = timeline.items[place - 1], timeline.items[place + 1]
    assert isinstance(before, Event)
    assert isinstance(behind, Event)
    assert before.mark.packet <= fold.first.packet < fold.last.packet <= behind.mark.packet
    (unfolded,) = look(tmp_path, talk, everything=True)
    assert len(events(unfolded)) == 1_500 + 4


def test_a_flood_of_notable_frames_is_folded_too(tmp_path: Path) -> None:
    script = Script().hello().request(1, message(b"ask"))
    for number in range(2_000):
        script.server(settings((3, 100 + number)))
    (timeline,) = look(tmp_path, http2(script, SERVER))
    assert len(timeline.items) < 700
    fold = next(item for item in timeline.items if isinstance(item, Fold))
    assert fold.frames[SERVER, "SETTINGS"][0] > 1_000


def test_evidence_is_marked_where_it_stands(tmp_path: Path) -> None:
    script = Script().hello().request(1, message(b"ask"))
    peer = script.peers[SERVER]
    script.server(peer.headers(1, RESPONSE), data(1, message(b"one"))).server(rst(1, 2))
    (timeline,) = look(tmp_path, http2(script))
    assert [one.rule for one in timeline.findings] == ["rst-midbody"]
    reset = next(event for event in events(timeline) if event.name == "RST_STREAM")
    assert reset.facts == {"error_code": 2, "error": "INTERNAL_ERROR"}
    assert [one.finding for one in reset.mentions] == [timeline.findings[0].id]


def test_bytes_that_are_no_frame_stand_at_their_place(tmp_path: Path) -> None:
    script = Script().hello().request(1, message(b"ask"))
    script.server(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").client(rst(1, 8))
    (timeline,) = look(tmp_path, http2(script, SERVER))
    (stray,) = (event for event in events(timeline) if event.name == NO_FRAME)
    assert stray.facts["text"].startswith(b"HTTP/1.1 503")
    assert [one.finding for one in stray.mentions] == [
        one.id for one in timeline.findings if one.rule == "h2-peer-speaks-http1"
    ]
    told = names(timeline.items)
    assert told.index(f"S {NO_FRAME}") < told.index("C RST_STREAM")


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_what_ends_the_connection_under_a_call_is_shown(tmp_path: Path, side: int) -> None:
    script = Script().hello().request(1, message(b"ask"), end=False)
    (cut,) = look(tmp_path, http2(script, side))
    assert names(cut.items)[-1] == f"{'CS'[side]} FIN"
    complete = Script().hello().request(1, message(b"ask")).response(1, message(b"answer"))
    (whole,) = look(tmp_path, http2(complete, side))
    assert names(whole.items)[-1] == "S HEADERS"


def with_gap(lost: int, behind: bytes) -> Conversation:
    """A response whose message of 3,000 bytes loses its bytes from 1,000 on, `lost` of the whole stream."""
    script = Script().hello().request(1, message(b"ask"))
    peer = script.peers[SERVER]
    script.server(peer.headers(1, RESPONSE))
    talk = Conversation().open().play(script)
    sent = data(1, message(b"z" * 3_000)) + data(1, message(b"lost")) + data(1, message(b"more"))
    talk.send(SERVER, sent[:1_000]).lose(SERVER, lost).send(SERVER, sent[1_000 + lost :], behind)
    return talk.send(SERVER, peer.headers(1, TRAILERS, END_STREAM)).fin(CLIENT, SERVER)


def test_a_gap_within_a_message_loses_no_count(tmp_path: Path) -> None:
    (timeline,) = look(tmp_path, with_gap(1_000, data(1, message(b"behind"))))
    gap = next(event for event in events(timeline) if event.kind == "gap")
    assert (gap.side, gap.length) == (SERVER, 1_000)
    bodies = [event.body for event in events(timeline) if event.side == SERVER and event.body is not None]
    assert [[one.number for one in body.begun] for body in bodies] == [[0], [1], [2], [3]]
    assert not any(body.lost or body.foreign for body in bodies)


def test_behind_a_gap_that_hides_frames_no_message_is_guessed(tmp_path: Path) -> None:
    (timeline,) = look(tmp_path, with_gap(2_020, data(1, message(b"behind") + b"<html>")))
    last = [event.body for event in events(timeline) if event.name == "DATA"][-1]
    assert last is not None
    assert (last.begun, last.lost, last.foreign) == ([], True, False)


def test_a_whole_connection(tmp_path: Path) -> None:
    script = Script().hello().request(1, message(b"a")).response(1, message(b"b"))
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(http2(script).packets))
    (timeline,) = listing.timelines(Options([str(path)]), [], [], connections=[0])
    assert timeline.row is None
    assert names(timeline.items) == [
        "C SYN", "S SYN", "C SETTINGS", "S SETTINGS", "S SETTINGS", "C SETTINGS", "C HEADERS", "C DATA", "S HEADERS",
        "S DATA", "S HEADERS", "C FIN", "S FIN",
    ]  # fmt: skip
    assert listing.timelines(Options([str(path)]), [], [], connections=[5]) == []


def test_continuations_belong_to_their_block(tmp_path: Path) -> None:
    script = Script().hello()
    script.client(*script.peers[CLIENT].continued(1, REQUEST, [5, 9], END_STREAM))
    script.response(1, message(b"b"))
    (timeline,) = look(tmp_path, http2(script))
    first, second, third = events(timeline)[:3]
    assert [first.name, second.name, third.name] == ["HEADERS", "CONTINUATION", "CONTINUATION"]
    assert len(first.headers or ()) == len(REQUEST)
    assert (second.headers, third.headers) == (None, None)
    assert third.flags == ("END_HEADERS",)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1_000])
def test_a_body_in_pieces(step: int) -> None:
    whole = message(b"abc") + message(b"") + message(b"x" * 100, flag=1) + b"<html>"
    walk = BodyWalk()
    begun: list[tuple[int, int, int]] = []
    foreign = False
    for at in range(0, len(whole), step):
        body = walk.begin()
        walk.feed(whole[at : at + step], body)
        begun += [tuple(one) for one in body.begun]  # type: ignore[misc]
        foreign = body.foreign
    assert begun == [(0, 0, 3), (1, 0, 0), (2, 1, 100)]
    assert foreign
