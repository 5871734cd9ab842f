"""Bytes of a TCP stream that the capture does not hold: when a hole becomes a gap, and when it is none."""

from __future__ import annotations

from typing import Any

from net_wire import ACK, FIN, Talk, gaps, only

SECOND = 10**9


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
