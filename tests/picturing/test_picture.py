"""Pictures of sessions: what is on them, what findings mean for their windows, and what is unknown stays unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from captures import Conversation, http2, merge, pcap
from h2_bytes import END_STREAM, RESPONSE, TRAILERS, Script, data, message, rst, settings, window_update

from wirecase import pipeline
from wirecase.model import CLIENT, SERVER
from wirecase.picturing import Limits, Picture, picture
from wirecase.picturing.model import Series

FIXTURES = Path(__file__).parents[2] / "fixtures"


def drawn(path: Path, **choice: Any) -> Picture:
    options = pipeline.Options([str(path)])
    return picture(options, pipeline.diagnose(options), **choice)


def of(name: str, **choice: Any) -> Picture:
    return drawn(FIXTURES / name / "capture.pcapng", **choice)


def made(tmp_path: Path, *talks: Conversation, **choice: Any) -> Picture:
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(merge(talks)))
    return drawn(path, **choice)


def window(shown: Picture, stream: int, sender: int, hop: int = 0) -> Series:
    what = "stream window" if stream else "connection window"
    (one,) = [one for one in shown.hops[hop].series if (one.stream, one.sender, one.what) == (stream, sender, what)]
    return one


# ---- findings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stream", "sender", "for_message"),
    [("fc-stream-stalled", 1, CLIENT, 6_607), ("fc-connection-stalled", 0, SERVER, 14_483)],
)
def test_a_stall_and_the_update_that_should_have_come(name: str, stream: int, sender: int, for_message: int) -> None:
    shown = of(name)
    (series,) = shown.series_of("F1")
    assert (series.stream, series.sender) == (stream, sender)
    (stall,) = [one for one in series.stalls if "F1" in one.findings]
    assert (stall.value, stall.ended_by) == (0, "reset")
    assert stall.until - stall.since > 2_900_000_000
    (missing,) = series.missing
    assert (missing.name, missing.side, missing.stream) == ("WINDOW_UPDATE", 1 - sender, stream)
    assert (missing.at_least, missing.for_message, missing.packet) == (1, for_message, stall.packet)
    proof = [mark for lane in shown.hops[0].lanes for mark in lane.marks if "F1" in mark.findings]
    assert [(mark.name, mark.packet, mark.time) for mark in proof] == [("DATA", stall.packet, stall.since)]


def test_data_over_the_window() -> None:
    (series,) = of("fc-violation").series_of("F1")
    assert (series.stream, series.sender, series.violations_seen) == (1, SERVER, 3)
    assert [(one.kind, one.amount, one.findings) for one in series.violations[:1]] == [("over", 8, ("F1",))]
    assert series.missing[0].at_least == 8
    assert series.lowest is not None
    assert series.lowest.value == -2_024
    assert series.lowest.by == "DATA"


def test_updates_that_are_too_large_or_nothing() -> None:
    (series,) = of("fc-overflow").series_of("F1")
    (broken,) = series.violations
    assert (broken.kind, broken.allowed) == ("overflow", 2**31 - 1 - 65_523)
    (series,) = of("fc-zero-increment").series_of("F1")
    assert [one.kind for one in series.violations] == ["zero"]


def test_a_leak_is_a_slope() -> None:
    shown = of("fc-window-leak")
    (series,) = shown.series_of("F1")
    leak = series.leak
    assert leak is not None
    assert leak.at_begin > leak.at_end
    assert leak.per_stream * leak.streams == pytest.approx(leak.at_begin - leak.at_end, abs=leak.streams)
    assert series.missing[0].at_least == leak.at_begin - leak.at_end
    assert [one.leak for hop in shown.hops for one in hop.series if one is not series] == [None] * (
        len(shown.hops[0].series) - 1
    )


def test_a_silent_server_had_window_left() -> None:
    (series,) = of("stream-stalled").series_of("F1")
    assert series.stalls == []
    (missing,) = series.missing
    assert (missing.name, missing.side, missing.certainty) == ("DATA or HEADERS", SERVER, "probable")
    assert "4,194,309 bytes of window were left" in missing.text


def test_no_stream_may_be_opened() -> None:
    (series,) = of("max-concurrent-streams-wait").series_of("F1")
    assert (series.what, series.unit) == ("stream slots", "streams")
    assert series.points[-1].value == 0
    assert series.missing[0].name == "SETTINGS"
    assert series.missing[0].packet == series.stalls[0].packet


def test_a_connection_whose_streams_both_wait(tmp_path: Path) -> None:
    script = Script().hello().request(1)
    script.server(script.peers[SERVER].headers(1, RESPONSE), data(1, message(bytes(100_000))[:16_000]))
    for _ in range(3):
        script.server(data(1, bytes(16_000)))
    script.server(data(1, bytes(1_535)))
    talk = Conversation().open().play(script).wait(20).send(CLIENT, rst(1, 8)).fin(CLIENT, SERVER)
    shown = made(tmp_path, talk)
    (series,) = shown.series_of("F1")
    assert [(one.stream, one.at_least, one.for_message) for one in series.missing] == [
        (1, 1, 100_005 - 65_535),
        (0, 1, 100_005 - 65_535),
    ]


# ---- what is unknown ----------------------------------------------------------------------------------------------


def test_windows_are_unknown_from_a_gap_on(tmp_path: Path) -> None:
    script = Script().hello().request(1)
    talk = Conversation().open().play(script)
    peer = script.peers[SERVER]
    talk.send(SERVER, peer.headers(1, RESPONSE) + data(1, message(b"abc")))
    talk.lose(SERVER, 500)
    talk.send(SERVER, data(1, message(b"def")), peer.headers(1, TRAILERS, END_STREAM)).fin(CLIENT, SERVER)
    shown = made(tmp_path, talk, streams=[(0, 1)])
    series = window(shown, 1, SERVER)
    assert series.points[-1].value is None
    assert series.points[-1].by == "gap"
    assert series.unknown_since == series.points[-1].time
    assert series.unknown_why == "bytes are missing from the capture"
    assert [point.value for point in series.points[:-1]] == [65_535, 65_527]
    assert any(mark.kind == "gap" and mark.length == 500 for mark in shown.hops[0].lanes[0].marks)


def test_a_hole_inside_of_data_leaves_the_windows_known(tmp_path: Path) -> None:
    script = Script().hello().request(1)
    talk = Conversation().open().play(script)
    peer = script.peers[SERVER]
    whole = data(1, message(bytes(1_000)))
    talk.send(SERVER, peer.headers(1, RESPONSE) + whole[:100]).lose(SERVER, 500).send(SERVER, whole[600:])
    talk.send(SERVER, peer.headers(1, TRAILERS, END_STREAM)).fin(CLIENT, SERVER)
    series = window(made(tmp_path, talk, streams=[(0, 1)]), 1, SERVER)
    assert series.unknown_since is None
    assert [point.value for point in series.points] == [65_535, 64_530]


def test_a_late_join_has_no_numbers_at_all(tmp_path: Path) -> None:
    script = Script().hello().request(1).response(1, message(b"abc")).request(3).response(3, message(b"abc"))
    talk = http2(script)
    talk.packets = talk.packets[12:]
    shown = made(tmp_path, talk)
    for series in shown.hops[0].series:
        assert [point.value for point in series.points] == [None]
        assert series.unknown_why == "the capture begins in the middle of the connection"
        assert (series.stalls, series.violations, series.lowest) == ([], [], None)


def test_a_window_of_nothing_is_no_stall_without_a_finding(tmp_path: Path) -> None:
    script = Script().client(settings((4, 10))).server(settings()).request(1)
    peer = script.peers[SERVER]
    script.server(peer.headers(1, RESPONSE), data(1, message(b"hello")))
    script.client(window_update(1, 100)).server(peer.headers(1, TRAILERS, END_STREAM))
    shown = made(tmp_path, http2(script), streams=[(0, 1)])
    assert all(not stall.findings for one in shown.hops[0].series for stall in one.stalls)
    assert all(not one.missing for one in shown.hops[0].series)


# ---- lanes, choice, bounds ----------------------------------------------------------------------------------------


def test_lanes_of_a_call_name_and_count_its_frames() -> None:
    shown = of("fc-violation")
    own, lane = shown.hops[0].lanes
    assert (own.stream, lane.stream, lane.path, lane.named) == (0, 1, "/demo.Echo/Server", True)
    assert lane.seen == sum(mark.count for mark in lane.marks) == 8
    assert [mark.note for mark in lane.marks if mark.name == "HEADERS"][1:] == [":status 200", "grpc-status 0"]
    assert {"SYN", "SETTINGS"} <= {mark.name for mark in own.marks}
    (fault,) = [fault for fault in shown.faults if fault.root]
    assert (fault.rule, fault.connection, fault.stream) == ("fc-violation", 0, 1)
    assert shown.begin <= lane.marks[0].time <= lane.marks[-1].time <= shown.end


def test_only_what_is_named_is_shown_with_its_neighbours(tmp_path: Path) -> None:
    talks = []
    for number in range(4):
        script = Script().hello()
        for stream in range(1, 41, 2):
            script.request(stream, message(b"ask"))
            if number == 2 and stream == 21:
                script.server(rst(stream, 2))
            else:
                script.response(stream, message(b"answer"))
        talk = Conversation((40_000 + number, 50_051)).open().play(script).fin(CLIENT, SERVER)
        talks.append(talk)
    shown = made(tmp_path, *talks)
    (hop,) = shown.hops
    assert hop.connection.index == 2
    assert [lane.stream for lane in hop.lanes] == [0, 17, 19, 21, 23, 25]
    assert [lane.stream for lane in hop.lanes if lane.named] == [21]
    assert hop.streams_seen == 20
    assert "1 of 4 connections" in shown.remarks[0]
    assert "5 of 20 streams" in shown.remarks[1]
    chosen = made(tmp_path, *talks, streams=[(1, 5), (3, 7)], limits=Limits(neighbours=0))
    assert [[lane.stream for lane in hop.lanes] for hop in chosen.hops] == [[0, 5], [0, 7]]


def test_legs_of_a_call_stand_next_to_each_other_and_are_linked() -> None:
    found = [
        shown
        for path in sorted(FIXTURES.glob("leg*/capture.pcapng")) + sorted(FIXTURES.glob("proxy*/capture.pcapng"))
        if (shown := drawn(path)).links
    ]
    assert found, "no fixture has two legs"
    for shown in found:
        order = [hop.connection.index for hop in shown.hops]
        for link in shown.links:
            assert order.index(link.front[0]) < order.index(link.behind[0])


def test_nothing_named_shows_the_first_connections() -> None:
    shown = of("healthy-grpcjs-gzip")
    assert shown.hops
    assert any(lane.marks for hop in shown.hops for lane in hop.lanes if lane.stream)
    assert shown.faults == [] or all(fault.severity == "info" for fault in shown.faults)
    assert all(not series.findings for hop in shown.hops for series in hop.series)


def test_a_long_stream_stays_within_its_limits(tmp_path: Path) -> None:
    script = Script().hello().request(1)
    peer = script.peers[SERVER]
    script.server(peer.headers(1, RESPONSE))
    for _ in range(1_500):
        script.server(data(1, message(bytes(95)))).client(window_update(1, 100), window_update(0, 100))
    script.server(rst(1, 2))
    limits = Limits(marks=80, points=80)
    shown = made(tmp_path, http2(script), limits=limits)
    (hop,) = shown.hops
    assert all(len(lane.marks) <= limits.marks for lane in hop.lanes)
    assert hop.lanes[1].seen == 3_003
    assert sum(mark.count for mark in hop.lanes[1].marks) == 3_003
    series = window(shown, 1, SERVER)
    assert len(series.points) <= limits.points
    assert series.seen == 3_001
    assert series.lowest is not None
    assert series.lowest.value == 65_435
