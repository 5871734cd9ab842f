"""How TCP connections begin: handshakes of every kind, ports used again, captures that join late."""

from __future__ import annotations

from typing import Any

from net_wire import ACK, SYN, T0, Talk, gaps, only

SECOND = 10**9


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
