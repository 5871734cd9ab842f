"""Packets and the connection that they make."""

from __future__ import annotations

import struct

import pytest

from wirecase.case.packets import ACK, FIN, PSH, RST, SYN, address_of, endpoint, tcp
from wirecase.case.wire import SEGMENT, Wire
from wirecase.net.header import window_scale

V4 = (endpoint("192.0.2.1:40000"), endpoint("192.0.2.2:8080"))
V6 = (endpoint("[2001:db8::1]:40000"), endpoint("[2001:db8::2]:8080"))


def folded(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])) + (
        data[-1] << 8 if len(data) % 2 else 0
    )
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("payload", [b"", b"x", b"hello", bytes(1448), b"\xff" * 999, bytes(range(256))])
@pytest.mark.parametrize("ends", [V4, V6], ids=["v4", "v6"])
def test_checksums_hold(ends, payload):
    packet = tcp(ends[0], ends[1], 7, 9, PSH | ACK, 500, payload, ident=3)
    size = 20 if ends is V4 else 40
    if ends is V4:
        assert folded(packet[:20]) == 0xFFFF
        assert int.from_bytes(packet[2:4], "big") == len(packet)
    else:
        assert int.from_bytes(packet[4:6], "big") == len(packet) - 40
    segment = packet[size:]
    pseudo = ends[0].host + ends[1].host + struct.pack(">II", len(segment), 6)
    assert folded(pseudo + segment) == 0xFFFF
    assert segment.endswith(payload)


@pytest.mark.parametrize("address", ["192.0.2.1:80", "[2001:db8::7]:50051", "[::1]:1"])
def test_addresses_are_read_and_written(address):
    assert address_of(endpoint(address)) == address


class Seen:
    """The packets of a wire, taken apart."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, int, int, int, int, bytes]] = []

    def __call__(self, time: int, data: bytes) -> None:
        sport, _, seq, ack, words, flags, _ = struct.unpack_from(">HHIIBBH", data, 20)
        if flags & SYN:
            assert window_scale(data[40 : 20 + (words >> 4) * 4]) == 7
        self.packets.append((0 if sport == 40000 else 1, time, seq, ack, flags, data[20 + (words >> 4) * 4 :]))

    @property
    def flags(self) -> list[tuple[int, int]]:
        return [(side, flags) for side, _, _, _, flags, _ in self.packets]


def wire(shown=(True, True)):
    seen = Seen()
    return Wire(seen, V4, shown=shown, isn=1000), seen


def test_a_connection_from_handshake_to_close():
    one, seen = wire()
    one.handshake(10, 20, done=30)
    one.send(0, 40, b"abc")
    one.send(0, 40, b"def")
    one.send(1, 50, b"x" * (SEGMENT + 1))
    one.end(0, "fin", 60)
    one.end(1, "fin", 70)
    one.finish((False, False))
    assert seen.flags[:3] == [(0, SYN), (1, SYN | ACK), (0, ACK)]
    assert [len(data) for _, _, _, _, _, data in seen.packets[3:6]] == [6, SEGMENT, 1]
    first = seen.packets[3]
    assert first[2] == 1001 and first[5] == b"abcdef"
    assert seen.flags[6:] == [(0, FIN | ACK), (1, ACK), (1, FIN | ACK), (0, ACK)]
    assert [time for _, time, *_ in seen.packets] == [10, 20, 30, 40, 50, 50, 60, 60, 70, 70]


def test_times_never_go_back():
    one, seen = wire()
    one.handshake(10, 20, done=20)
    one.send(0, 15, b"late")
    one.flush()
    assert [time for _, time, *_ in seen.packets] == [10, 20, 20, 20]


def test_what_was_sent_is_acknowledged_before_a_silence():
    one, seen = wire()
    one.handshake(0, 0, done=0)
    one.send(0, 1, b"abc")
    one.send(1, 2_000_000_001, b"answer")
    one.flush()
    assert seen.flags[3:] == [(0, PSH | ACK), (1, ACK), (1, PSH | ACK)]
    assert seen.packets[4][1] == 1


def test_a_side_that_was_not_captured_sends_nothing():
    one, seen = wire((False, True))
    one.handshake(None, None, done=None)
    one.send(0, 1, b"hidden")
    one.send(1, 2, b"shown")
    one.end(1, "fin", 3)
    one.finish((False, False))
    assert {side for side, *_ in seen.packets} == {1}


def test_a_hole_moves_the_sequence_on():
    one, seen = wire()
    one.handshake(0, 0, done=0)
    one.send(0, 1, b"abc")
    one.hole(0, 100)
    one.send(0, 2, b"def")
    one.flush()
    data = [packet for packet in seen.packets if packet[5]]
    assert data[1][2] - data[0][2] == 103


def test_a_reset_is_not_acknowledged():
    one, seen = wire()
    one.handshake(0, 0, done=0)
    one.send(1, 1, b"abc")
    one.end(0, "rst", 2)
    one.finish((False, False))
    assert seen.flags[3:] == [(1, PSH | ACK), (0, RST | ACK)]


def test_only_what_nobody_acknowledged_is_sent_again():
    one, seen = wire()
    one.handshake(0, 0, done=0)
    one.send(0, 1, b"abc")
    one.repeat(0, 2)
    one.send(1, 3, b"answer")
    one.flush()
    one.repeat(0, 4)
    assert [data for *_, data in seen.packets[3:]] == [b"abc", b"abc", b"answer"]
