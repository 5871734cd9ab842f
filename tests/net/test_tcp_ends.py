"""How TCP connections end: FIN, RST, refusal, silence, and what still comes afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from net_wire import ACK, FIN, RST, SYN, Talk, only

SECOND = 10**9


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


def test_reset_far_ahead_of_a_peer_whose_acknowledgements_were_not_seen_counts(run: Any) -> None:
    talk = Talk().handshake()
    for _ in range(100):
        talk.packet(0, payload=bytes(1000))  # more than the window of the SYN-ACK
    talk.packet(0, talk.sent[0] + 500_000, flags=RST)
    client = only(run(talk)).connection.sides[0]
    assert client.rst is not None
    assert client.bad_rsts == 0


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
