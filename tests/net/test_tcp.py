"""Whole TCP connections: what is told of them, their windows, their segments of any size."""

from __future__ import annotations

from typing import Any

from net_wire import ACK, PSH, SYN, T0, Talk, only

SECOND = 10**9


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


def test_window_is_scaled_only_if_both_sides_agreed(run: Any) -> None:
    talk = Talk()
    talk.packet(0, flags=SYN, seq=1000, options=b"\3\3\7").packet(1, flags=SYN | ACK, seq=900_000)
    talk.packet(0, window=100).packet(1, window=200)
    client, server = only(run(talk)).connection.sides
    assert (client.window, server.window) == (100, 200)
    assert (client.window_scale, server.window_scale) == (7, 0)


def test_segments_longer_than_a_wire_carries(run: Any) -> None:
    talk = Talk().handshake()
    for _ in range(20):
        talk.packet(1, payload=b"x" * 60_000)
    one = only(run(talk))
    assert one.connection.offload
    assert one.bytes == 1_200_000
    assert not only(run(Talk().handshake().packet(1, payload=b"x" * 1448))).connection.offload


def test_push_flag_and_congestion_flags_are_plain(run: Any) -> None:
    talk = Talk().handshake()
    for i in range(30):
        talk.packet(0, payload=b"x", flags=ACK | (PSH, 0x40, 0x80)[i % 3])
    assert only(run(talk)).data[0] == b"x" * 30
