"""TCP segments out of order, twice, overlapping or far off: which bytes the stream gets."""

from __future__ import annotations

from typing import Any

import pytest
from net_wire import Talk, assemble, gaps, only

SECOND = 10**9


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
