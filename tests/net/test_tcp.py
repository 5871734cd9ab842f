"""TCP streams, one situation at a time, on both paths."""

from __future__ import annotations

from typing import Any

import pytest
from net_wire import ACK, FIN, PSH, RST, SYN, T0, Frame, Recorder, Result, Talk, assemble

SECOND = 10**9


@pytest.fixture(params=[False, True], ids=["scalar", "columns"])
def run(request: pytest.FixtureRequest) -> Any:
    def assembled(frames: list[Frame] | Talk, **options: Any) -> Result:
        taken = frames.frames if isinstance(frames, Talk) else frames
        return assemble(taken, columns=request.param, **options)

    return assembled


def only(result: Result) -> Recorder:
    (one,) = result.connections
    return one


def gaps(one: Recorder) -> list[tuple[Any, ...]]:
    return [(side, length, reason, mark.packet, mark.offset) for _, side, length, reason, mark in one.of("gap")]  # type: ignore[attr-defined]


def test_a_whole_connection(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"question").packet(1, payload=b"ans").packet(1, payload=b"wer").close()
    one = only(run(talk))
    client, server = one.connection.sides
    assert one.data == [b"question", b"answer"]
    assert [call[:3] for call in one.calls] == [
        ("run", 0, b"question"),
        ("run", 1, b"answer"),
        ("ended", 0, "fin"),
        ("ended", 1, "fin"),
        ("closed", "closed"),
    ]
    assert one.marks == [
        (0, 0, 0, 4, T0 + 300_000),
        (1, 0, 0, 5, T0 + 400_000),
        (1, 0, 3, 6, T0 + 500_000),
    ]
    assert (client.address, server.address) == ("10.0.0.1:40000", "10.0.0.2:50051")
    assert one.connection.syn_seen
    assert client.syn is not None
    assert client.syn.packet == 1
    assert server.syn is not None
    assert server.syn.packet == 2
    assert (client.syns, server.syns, client.window_scale) == (1, 1, 7)
    assert client.window == 8192 << 7
    assert (client.acked, client.sent, client.delivered) == (8, 8, 8)
    assert (server.acked, server.sent, server.delivered) == (6, 6, 6)
    assert client.fin is not None
    assert (client.fin.packet, client.fin.offset) == (7, 8)
    assert client.tail_since is None
    assert server.tail_since is None
    assert client.last_data is not None
    assert client.last_data.packet == 4
    assert client.last is not None
    assert client.last.packet == 9
    assert (client.packets, server.packets) == (5, 4)


def test_long_in_order_stretch_with_acknowledgements_between(run: Any) -> None:
    talk = Talk().handshake()
    sent = b""
    for i in range(200):
        payload = bytes((i,)) * 1448
        sent += payload
        talk.packet(1, payload=payload)
        if i % 3 == 0:
            talk.packet(0)
    one = only(run(talk))
    assert one.data[1] == sent
    assert one.reason == "capture-end"
    server = one.connection.sides[1]
    assert server.sent == server.delivered == len(sent)
    # The last acknowledgement covers segments 0 to 198.
    assert server.acked == 199 * 1448 + 0 * len(sent)
    assert server.tail_since is not None
    assert server.tail_since.offset == 199 * 1448


@pytest.mark.parametrize("isn", [(2**32 - 1, 2**32 - 2), (2**32 - 700, 2**31 - 900)])
def test_sequence_numbers_wrap(run: Any, isn: tuple[int, int]) -> None:
    talk = Talk(isn=isn).handshake()
    for i in range(40):
        talk.packet(i % 2, payload=bytes((i,)) * 100)
    one = only(run(talk.close()))
    assert one.data[0] == b"".join(bytes((i,)) * 100 for i in range(0, 40, 2))
    assert one.data[1] == b"".join(bytes((i,)) * 100 for i in range(1, 40, 2))
    assert one.connection.sides[0].acked == 2000
    assert not gaps(one)


def test_more_than_four_gigabytes_of_sequence_space() -> None:
    talk = Talk(isn=(1, 5)).handshake()
    step = (1 << 29) - 1
    for _ in range(20):
        talk.packet(0, payload=b"x")
        talk.sent[0] += step  # lost by the capture, but acknowledged
        talk.packet(1)
        talk.time += 2 * SECOND
        talk.packet(0, payload=b"y")
        talk.packet(1)
        talk.time += 2 * SECOND
        talk.packet(1)
    one = only(assemble(talk.frames, columns=False))
    assert one.next[0] == 20 * (step + 2)
    assert one.connection.sides[0].missing == 20 * step
    assert one.bytes == 40


def test_reordered_segments_are_put_in_order(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"aaa").packet(0, payload=b"bbb").packet(0, payload=b"ccc").packet(1)
    frames = talk.frames
    frames[3], frames[5] = frames[5], frames[3]
    one = only(run(frames))
    assert one.data[0] == b"aaabbbccc"
    assert not gaps(one)
    side = one.connection.sides[0]
    assert (side.reordered, side.retransmissions) == (2, 0)


@pytest.mark.parametrize("order", [(2, 1, 0), (3, 1, 0, 2), (1, 0), (4, 3, 2, 1, 0), (5, 0, 1, 2, 3, 4)])
def test_reordered_handshake_finds_the_beginning_and_the_client(run: Any, order: tuple[int, ...]) -> None:
    talk = Talk().handshake().packet(0, payload=b"hello").packet(1, payload=b"hi").packet(0, payload=b" there").close()
    frames = [talk.frames[i] for i in order] + talk.frames[len(order) :]
    one = only(run(frames))
    assert one.data == [b"hello there", b"hi"]
    assert one.connection.sides[0].address == "10.0.0.1:40000"
    assert one.connection.syn_seen
    assert not gaps(one)


def test_retransmission_is_counted_and_skipped(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"abc")
    talk.time += SECOND // 4
    talk.packet(0, 0, b"abc").packet(1).packet(0, payload=b"def").close()
    result = run(talk)
    one = only(result)
    side = one.connection.sides[0]
    assert one.data[0] == b"abcdef"
    assert (side.retransmissions, side.mirrored, side.duplicate) == (1, 0, 3)
    assert result.accounting.skipped == {"retransmitted copy": 3}
    assert side.conflicts == []


def test_overlap_keeps_the_first_copy_and_tells_the_conflict(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"0123456789").packet(0, 6, b"67xy" + b"abcdef")
    one = only(run(talk.packet(1).close()))
    side = one.connection.sides[0]
    assert one.data[0] == b"0123456789abcdef"
    (conflict,) = side.conflicts
    assert (conflict.mark.packet, conflict.mark.offset, conflict.kept, conflict.other) == (5, 8, b"89", b"xy")


def test_conflict_within_held_data(run: Any) -> None:
    talk = Talk().handshake().packet(0, 10, b"KLMNOP").packet(0, 8, b"ijXLMNOPqr").packet(0, 0, b"abcdefgh").packet(1)
    one = only(run(talk))
    side = one.connection.sides[0]
    assert one.data[0] == b"abcdefghijKLMNOPqr"
    (conflict,) = side.conflicts
    assert (conflict.mark.offset, conflict.kept[:1], conflict.other[:1]) == (10, b"K", b"X")


def test_conflict_right_after_a_long_stretch(run: Any) -> None:
    talk = Talk().handshake()
    for _ in range(60):
        talk.packet(1, payload=b"z" * 1448)
    talk.packet(1, talk.sent[1] - 2000, b"z" * 1999 + b"!")
    one = only(run(talk))
    (conflict,) = one.connection.sides[1].conflicts
    assert conflict.mark.offset == 60 * 1448 - 1


def test_hole_waits_for_a_late_packet_even_if_it_was_acknowledged(run: Any) -> None:
    talk = Talk().handshake()
    talk.packet(0, payload=b"one").packet(0, payload=b"two").packet(0, payload=b"three")
    late = talk.frames.pop(4)
    for _ in range(20):
        talk.packet(1)
    talk.frames.append(late)
    one = only(run(talk))
    assert one.data[0] == b"onetwothree"
    assert not gaps(one)


def test_acknowledged_hole_becomes_a_gap(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"one").packet(0, payload=b"two").packet(0, payload=b"three")
    del talk.frames[4]
    for _ in range(80):
        talk.packet(1)
    talk.packet(0, payload=b"four")
    one = only(run(talk))
    # The gap is declared while the connection goes on, before the next bytes.
    assert [call[:3] for call in one.calls] == [
        ("run", 0, b"one"),
        ("gap", 0, 3),
        ("run", 0, b"threefour"),
        ("closed", "capture-end"),
    ]
    assert gaps(one) == [(0, 3, "gap", 5, 6)]
    (gap,) = one.connection.sides[0].gaps
    assert (gap.offset, gap.length, gap.reason, gap.mark.packet) == (3, 3, "gap", 5)


def test_acknowledged_hole_becomes_a_gap_after_a_second(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"one").packet(0, payload=b"two").packet(0, payload=b"three")
    del talk.frames[4]
    talk.packet(1)
    talk.time += 2 * SECOND
    talk.packet(1).packet(1, payload=b"later")
    one = only(run(talk))
    assert [call[0] for call in one.calls] == ["run", "gap", "run", "run", "closed"]


def test_hole_that_nobody_acknowledged_waits_for_the_retransmission(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"one").packet(0, payload=b"two").packet(0, payload=b"three")
    del talk.frames[4]
    for _ in range(100):
        talk.packet(1, ack=3)
    talk.time += 5 * SECOND
    talk.packet(0, 3, b"two")
    one = only(run(talk))
    assert one.data[0] == b"onetwothree"
    assert not gaps(one)
    assert one.connection.sides[0].retransmissions == 1


def test_capture_end_declares_what_is_missing(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"one").packet(0, payload=b"two").packet(0, payload=b"three")
    del talk.frames[4]
    one = only(run(talk))
    assert [call[:3] for call in one.calls] == [
        ("run", 0, b"one"),
        ("gap", 0, 3),
        ("run", 0, b"three"),
        ("closed", "capture-end"),
    ]


def test_last_data_missing_before_the_fin(run: Any) -> None:
    talk = Talk().handshake().packet(1, payload=b"body").packet(1, payload=b"trailers").close()
    del talk.frames[4]
    one = only(run(talk))
    assert [call[:3] for call in one.calls] == [
        ("run", 1, b"body"),
        ("ended", 0, "fin"),
        ("gap", 1, 8),
        ("ended", 1, "fin"),
        ("closed", "closed"),
    ]


def test_last_data_missing_before_the_captures_end(run: Any) -> None:
    talk = Talk().handshake().packet(1, payload=b"body").packet(1, payload=b"trailers").packet(0)
    del talk.frames[4]
    assert gaps(only(run(talk))) == [(1, 8, "gap", 4, 12)]


def test_acknowledgement_of_an_uncaptured_fin_is_no_gap(run: Any) -> None:
    talk = Talk().handshake().packet(1, payload=b"body").packet(1, flags=FIN | ACK).packet(0)
    del talk.frames[4]
    assert gaps(only(run(talk))) == []


def test_snaplen_cuts_are_gaps(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"x" * 100).packet(0, payload=b"y" * 10).packet(1).close()
    time, data, length = talk.frames[3]
    talk.frames[3] = (time, data[:-60], length)
    one = only(run(talk))
    side = one.connection.sides[0]
    assert [call[:3] for call in one.calls][:3] == [("run", 0, b"x" * 40), ("gap", 0, 60), ("run", 0, b"y" * 10)]
    assert gaps(one) == [(0, 60, "snaplen", 4, 100)]
    assert (side.missing, side.cut, side.delivered) == (60, 60, 50)


def test_snaplen_that_cuts_all_payload(run: Any) -> None:
    talk = Talk().handshake()
    for _ in range(30):
        talk.packet(0, payload=b"x" * 100).packet(1, payload=b"y" * 50)
    frames = [(time, data[:54], length) for time, data, length in talk.close().frames]
    one = only(run(frames))
    assert one.next == [3000, 1500]
    assert one.bytes == 0
    assert one.connection.sides[0].cut == 3000


def test_keepalive_probes_are_no_data(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"abc").packet(1)
    talk.time += 60 * SECOND
    talk.packet(0, 2, ack=0).packet(1)
    talk.time += 60 * SECOND
    talk.packet(0, 2, b"\0", ack=0).packet(1).packet(0, payload=b"def")
    result = run(talk)
    one = only(result)
    side = one.connection.sides[0]
    assert one.data[0] == b"abcdef"
    assert (side.keepalives, side.retransmissions, side.outside) == (2, 0, 1)
    assert result.accounting.skipped == {"keep-alive probe": 1}


def test_zero_window_is_timed_and_its_probes_are_no_keepalives(run: Any) -> None:
    talk = Talk(step=0).handshake().packet(0, payload=b"abc").packet(1, window=0)
    for _ in range(3):
        talk.time += SECOND
        talk.packet(0, 2).packet(1, window=0)
    talk.time += SECOND
    talk.packet(1, window=500).packet(0, payload=b"def").packet(1, window=0)
    one = only(run(talk))
    client, server = one.connection.sides
    assert one.data[0] == b"abcdef"
    assert (server.zero_windows, server.zero_window_ns) == (2, 4 * SECOND)
    assert server.zero_window is not None
    assert server.zero_window.packet == len(talk.frames)
    assert server.window == 0
    assert client.keepalives == 0


def test_one_byte_probe_of_a_closed_window_is_data(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"abc").packet(1, window=0)
    talk.packet(0, payload=b"d").packet(1, ack=3, window=0).packet(1, ack=3, window=900).packet(0, 3, b"def").packet(1)
    assert only(run(talk)).data[0] == b"abcdef"


def test_new_syn_on_the_same_ports_is_a_new_connection(run: Any) -> None:
    first = Talk().handshake().packet(0, payload=b"old").packet(1, payload=b"oldanswer")
    second = Talk(isn=(55_000, 66_000), time=first.time).handshake().packet(0, payload=b"new").close()
    result = run(first.frames + second.frames)
    old, new = result.connections
    assert (old.data, old.reason) == ([b"old", b"oldanswer"], "reused")
    assert (new.data, new.reason) == ([b"new", b""], "closed")
    assert old.connection.end_reason == "reused"


def test_new_syn_after_a_close(run: Any) -> None:
    first = Talk().handshake().packet(0, payload=b"old").close()
    second = Talk(isn=(55_000, 66_000), time=first.time).handshake().packet(0, payload=b"new").close()
    third = Talk(isn=(99, 100), time=second.time + 10 * SECOND).handshake().packet(0, payload=b"newest").close()
    frames = first.frames + second.frames + third.frames
    result = run(frames)
    assert [one.data[0] for one in result.connections] == [b"old", b"new", b"newest"]
    assert [one.reason for one in result.connections] == ["closed"] * 3
    assert len(run(frames, size=9).connections) == 3


def test_syn_sent_again_is_the_same_connection(run: Any) -> None:
    talk = Talk(step=SECOND)
    for _ in range(4):
        talk.packet(0, flags=SYN, seq=talk.isn[0])
    client = only(run(talk)).connection.sides[0]
    assert (client.syns, client.retransmissions, client.mirrored) == (4, 3, 0)
    assert len(client.tail_retransmissions) == 3
    assert client.tail_since is not None
    assert client.tail_since.packet == 1


def test_mirrored_packets_are_counted_once(run: Any) -> None:
    talk = Talk(window=700).handshake()
    for _ in range(20):
        talk.packet(0, payload=b"q" * 50).packet(1, payload=b"a" * 60).packet(0)
    talk.close()
    frames = []
    for i, (time, data, length) in enumerate(talk.frames):
        hop = data[:22] + bytes((data[22] - 1,)) + data[23:]  # the TTL after one more router
        frames += [(time, data, length), (time + 1000, hop if i % 2 else data, length)]
    result = run(frames)
    one = only(result)
    client, server = one.connection.sides
    assert one.data == [b"q" * 1000, b"a" * 1200]
    for side in (client, server):
        assert (side.syns, side.retransmissions) == (1, 0)
        assert side.mirrored == side.packets
        assert side.tail_retransmissions == []
    assert result.accounting.skipped == {"mirrored copy": 2200}


def test_refused_connection(run: Any) -> None:
    talk = Talk().packet(0, flags=SYN, seq=1000).packet(1, flags=RST | ACK, seq=0, window=0)
    one = only(run(talk))
    client, server = one.connection.sides
    assert [call[:3] for call in one.calls] == [("ended", 1, "rst"), ("closed", "closed")]
    assert server.rst is not None
    assert server.bad_rsts == 0
    assert client.tail_since is None


def test_reset_to_a_syn_with_a_wrong_acknowledgement_is_ignored(run: Any) -> None:
    talk = Talk().packet(0, flags=SYN, seq=1000).packet(1, flags=RST | ACK, seq=0, ack=7777)
    server = only(run(talk)).connection.sides[1]
    assert server.rst is None
    assert server.bad_rsts == 1


def test_reset_in_the_window_ends_its_side(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"ask").packet(1, payload=b"half an ans").packet(1, flags=RST | ACK)
    one = only(run(talk))
    assert [call[:3] for call in one.calls][-2:] == [("ended", 1, "rst"), ("closed", "closed")]
    server = one.connection.sides[1]
    assert server.rst is not None
    assert (server.rst.packet, server.rst.offset) == (6, 11)


@pytest.mark.parametrize("offset", [5_000_000, -100, -20])
def test_reset_outside_of_the_window_is_no_end(run: Any, offset: int) -> None:
    talk = Talk().handshake(scale=0)
    for _ in range(20):
        talk.packet(0, payload=b"0123456789").packet(1, payload=b"0123456789")
    talk.packet(1, talk.sent[1] + offset, flags=RST)
    talk.sent[1] = 200
    talk.packet(0, payload=b"more", ack=200).packet(1, payload=b"goes on")
    one = only(run(talk))
    server = one.connection.sides[1]
    assert server.rst is None
    assert server.bad_rst is not None
    assert server.bad_rst.packet == 44
    assert one.of("ended") == []
    assert one.data[1].endswith(b"goes on")


def test_reset_that_overtook_data_comes_after_it(run: Any) -> None:
    talk = (
        Talk().handshake().packet(1, payload=b"first").packet(1, payload=b"last").packet(1, flags=RST | ACK).packet(0)
    )
    frames = talk.frames
    frames[4], frames[5] = frames[5], frames[4]
    one = only(run(frames))
    assert [call[:3] for call in one.calls][-3:] == [
        ("run", 1, b"firstlast"),
        ("ended", 1, "rst"),
        ("closed", "closed"),
    ]


def test_fin_that_overtook_data_comes_after_it(run: Any) -> None:
    talk = (
        Talk().handshake().packet(1, payload=b"first").packet(1, payload=b"last").packet(1, flags=FIN | ACK).packet(0)
    )
    frames = talk.frames
    frames[4], frames[5] = frames[5], frames[4]
    one = only(run(frames))
    assert [call[:3] for call in one.calls][:2] == [("run", 1, b"firstlast"), ("ended", 1, "fin")]


def test_fin_with_payload_and_data_after_the_fin(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"bye", flags=FIN | ACK)
    talk.packet(0, 4, b"ghost").packet(1, ack=4)
    result = run(talk)
    one = only(result)
    side = one.connection.sides[0]
    assert one.data[0] == b"bye"
    assert one.of("ended")[0][:3] == ("ended", 0, "fin")
    assert (side.acked, side.sent, side.outside) == (3, 3, 5)
    assert result.accounting.skipped == {"TCP payload after the end of the stream": 5}


def test_late_packets_of_a_closed_connection_open_none(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"x").close()
    talk.time += 10 * SECOND
    talk.packet(1, talk.sent[1] - 1, flags=FIN | ACK).packet(0)
    talk.time += 10 * SECOND
    talk.packet(1, flags=RST)
    for size in (10**9, 3, 1):
        result = run(talk, size=size)
        assert len(result.connections) == 1
        assert result.accounting.skipped == {"after the connection was over": 54 * 3}


def test_late_packets_soon_after_the_close_belong_to_it(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"x").packet(0, payload=b"y").close()
    frames = talk.frames[:4] + talk.frames[5:] + [talk.frames[4]]
    one = only(run(frames))
    assert one.data[0] == b"xy"
    assert [call[:3] for call in one.of("ended")] == [("ended", 1, "fin"), ("ended", 0, "fin")]


def test_begins_mid_connection(run: Any) -> None:
    talk = Talk().handshake()
    for i in range(40):
        talk.packet(0, payload=b"%02d" % i).packet(1, payload=b"<%02d>" % i)
    one = only(run(talk.frames[10:]))
    # Without a SYN, side 0 is the one that was seen first: here the server.
    assert one.data[0] == b"".join(b"<%02d>" % i for i in range(3, 40))
    assert one.data[1] == b"".join(b"%02d" % i for i in range(4, 40))
    assert not one.connection.syn_seen
    assert not gaps(one)
    first = one.connection.sides[0].first
    assert first is not None
    assert first.packet == 1


def test_begins_mid_connection_out_of_order(run: Any) -> None:
    talk = Talk().handshake()
    for i in range(10):
        talk.packet(1, payload=b"%02d" % i)
    frames = talk.frames[3:]
    frames[:4] = [frames[2], frames[3], frames[1], frames[0]]
    one = only(run(frames))
    assert one.data[0] == b"00010203040506070809"
    assert not gaps(one)


def test_one_direction_only(run: Any) -> None:
    talk = Talk().handshake()
    for i in range(30):
        talk.packet(0, payload=b"q").packet(1, payload=b"%03d" % i)
    talk.close()
    server_only = [frame for frame in talk.frames if frame[1][34:36] == (50051).to_bytes(2, "big")]
    one = only(run(server_only))
    client, server = one.connection.sides
    assert client.address == "10.0.0.1:40000"
    assert client.packets == 0
    assert one.data == [b"", b"".join(b"%03d" % i for i in range(30))]
    assert not gaps(one)
    assert client.acked == 31  # with the FIN that was not captured
    assert server.acked is None


def test_one_direction_only_with_a_hole(run: Any) -> None:
    talk = Talk(step=1000).handshake()
    for i in range(600):
        talk.packet(1, payload=b"%03d" % i)
    frames = [f for f in talk.frames if f[1][34:36] == (50051).to_bytes(2, "big")]
    del frames[11]
    one = only(run(frames))
    assert gaps(one) == [(1, 3, "gap", 12, 33)]
    assert one.calls[2][0] == "run"


def test_simultaneous_open(run: Any) -> None:
    talk = Talk().packet(0, flags=SYN, seq=1000).packet(1, flags=SYN, seq=900_000)
    talk.packet(0, flags=SYN | ACK, seq=1000).packet(1, flags=SYN | ACK, seq=900_000)
    talk.packet(0, payload=b"a").packet(1, payload=b"b").close()
    one = only(run(talk))
    assert one.data == [b"a", b"b"]
    assert one.connection.sides[0].address == "10.0.0.1:40000"


def test_fast_open_carries_data_in_the_syn(run: Any) -> None:
    talk = Talk()
    talk.packet(0, flags=SYN, seq=1000, payload=b"early")
    talk.sent[0] = 5
    talk.packet(1, flags=SYN | ACK, seq=900_000).packet(0, payload=b"late").packet(1)
    one = only(run(talk))
    assert one.data[0] == b"earlylate"


def test_syn_ack_without_its_syn_tells_the_client(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"x").packet(1, payload=b"y")
    one = only(run(talk.frames[1:]))
    assert one.connection.sides[0].address == "10.0.0.1:40000"
    assert one.data == [b"x", b"y"]
    assert one.connection.syn_seen


def test_window_is_scaled_only_if_both_sides_agreed(run: Any) -> None:
    talk = Talk()
    talk.packet(0, flags=SYN, seq=1000, options=b"\3\3\7").packet(1, flags=SYN | ACK, seq=900_000)
    talk.packet(0, window=100).packet(1, window=200)
    client, server = only(run(talk)).connection.sides
    assert (client.window, server.window) == (100, 200)
    assert (client.window_scale, server.window_scale) == (7, 0)


def test_blackhole_leaves_an_unanswered_tail(run: Any) -> None:
    talk = Talk().handshake()
    for _ in range(20):
        talk.packet(0, payload=b"ask").packet(1, payload=b"tell")
    talk.packet(0).packet(0, payload=b"into the dark")
    for wait in range(1, 6):
        talk.time += wait * SECOND
        talk.packet(0, talk.sent[0] - 13, b"into the dark")
    client, server = only(run(talk)).connection.sides
    assert client.tail_since is not None
    assert (client.tail_since.packet, client.tail_since.offset) == (45, 60)
    assert [mark.packet for mark in client.tail_retransmissions] == [46, 47, 48, 49, 50]
    assert client.acked == 60
    assert server.tail_since is None


def test_segments_longer_than_a_wire_carries(run: Any) -> None:
    talk = Talk().handshake()
    for _ in range(20):
        talk.packet(1, payload=b"x" * 60_000)
    one = only(run(talk))
    assert one.connection.offload
    assert one.bytes == 1_200_000
    assert not only(run(Talk().handshake().packet(1, payload=b"x" * 1448))).connection.offload


def test_data_far_from_the_stream_is_left_out(run: Any) -> None:
    talk = Talk().handshake().packet(0, payload=b"abc").packet(1)
    talk.packet(0, 2**31 - 5, b"far").packet(0, 500_000_000, b"ahead").packet(1)
    talk.sent[0] = 3
    talk.packet(0, payload=b"def").packet(1)
    result = run(talk)
    one = only(result)
    assert one.data[0] == b"abcdef"
    assert gaps(one) == []
    assert one.connection.sides[0].outside == 8


def test_connections_are_numbered_by_their_first_packets(run: Any) -> None:
    talks = [Talk(client=("10.0.0.1", 50_000 - i), time=T0 + i * 1000).handshake() for i in range(40)]
    for turn in range(30):
        for i, talk in enumerate(talks):
            talk.packet(turn % 2, payload=bytes((i,)) * 20)
    frames = sorted((frame for talk in talks for frame in talk.close().frames), key=lambda frame: frame[0])
    result = run(frames)
    assert [one.connection.sides[0].address for one in result.connections] == [
        f"10.0.0.1:{50_000 - i}" for i in range(40)
    ]
    assert [one.data[0] for one in result.connections] == [bytes((i,)) * 300 for i in range(40)]


def test_reuse_in_mid_batch_keeps_the_order_of_indices(run: Any) -> None:
    first = Talk().handshake().packet(0, payload=b"one").close()
    other = Talk(client=("10.0.0.1", 1111), time=first.time).handshake().packet(0, payload=b"two").close()
    again = Talk(isn=(5, 6), time=other.time).handshake().packet(0, payload=b"three").close()
    result = run(first.frames + other.frames + again.frames)
    assert [bytes(one.data[0]) for one in result.connections] == [b"one", b"two", b"three"]


def test_push_flag_and_congestion_flags_are_plain(run: Any) -> None:
    talk = Talk().handshake()
    for i in range(30):
        talk.packet(0, payload=b"x", flags=ACK | (PSH, 0x40, 0x80)[i % 3])
    assert only(run(talk)).data[0] == b"x" * 30


def test_reset_ahead_of_the_stream_that_its_sender_ignores_is_no_end(run: Any) -> None:
    talk = Talk(step=5_000_000).handshake()
    for _ in range(5):
        talk.packet(0, payload=b"0123456789").packet(1, payload=b"0123456789")
    talk.packet(1, talk.sent[1] + 1000, flags=RST)
    talk.sent[1] = 50
    talk.time += 10 * SECOND
    for _ in range(20):
        talk.packet(0, payload=b"0123456789").packet(1, payload=b"0123456789")
    one = only(run(talk.close()))
    server = one.connection.sides[1]
    assert server.rst is None
    assert server.bad_rsts == 1
    assert [call[:3] for call in one.of("ended")] == [("ended", 0, "fin"), ("ended", 1, "fin")]
    assert one.next == [250, 250]
