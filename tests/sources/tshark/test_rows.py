"""Lines of tshark become packets: which IP header belongs to which TCP header, lengths, numbers."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.model import Accounting, PacketBatch
from wirecase.net.header import parse
from wirecase.net.ip import IpDecoder
from wirecase.sources.reading import Reading
from wirecase.sources.tshark.rows import FIELDS, Rows, nanoseconds

USUAL = {
    "frame.number": "1", "frame.time_epoch": "1700000000.123456789", "frame.cap_len": "80",
    "frame.protocols": "eth:ethertype:ip:tcp:data", "ip.src": "10.0.0.1", "ip.dst": "10.0.0.2", "ip.id": "0x0102",
    "tcp.srcport": "40000", "tcp.dstport": "50051", "tcp.seq_raw": "4294967295", "tcp.ack_raw": "7",
    "tcp.flags": "0x0018", "tcp.window_size_value": "64", "tcp.checksum": "0xfe30", "tcp.hdr_len": "20",
    "tcp.len": "3", "tcp.payload": "616263",
}  # fmt: skip


def line(**changed: str) -> bytes:
    values = {**USUAL, **{name.replace("__", "."): value for name, value in changed.items()}}
    return "\t".join(values.get(name, "") for name in FIELDS).encode()


def batches(*lines: bytes) -> list[PacketBatch]:
    rows = Rows(Reading(0))
    return [batch for one in lines for batch in rows.take(one)] + list(rows.rest())


def segments(*lines: bytes) -> list[tuple[int, bytes, object]]:
    """Number, 4-tuple and TCP packet of every segment, as the native path reads them."""
    found = []
    decoder = IpDecoder(Accounting())
    for batch in batches(*lines):
        for row, (start, caplen, length, time) in enumerate(
            zip(batch.starts, batch.caplens, batch.lengths, batch.times, strict=True)
        ):
            segment = decoder.decode(batch.link, batch.data, start, start + caplen, start + length, time)
            if segment is not None:
                number = batch.first_number + row
                found.append((number, segment.key, parse(segment, number, time, 0)))
    return found


def test_a_plain_segment() -> None:
    [(number, key, packet)] = segments(line())
    assert number == 1
    assert key == socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2") + bytes.fromhex("9c40c383")
    assert packet.data == b"abc" and packet.length == 3  # type: ignore[attr-defined]
    assert (packet.seq, packet.ack, packet.flags, packet.window) == (2**32 - 1, 7, 0x18, 64)  # type: ignore[attr-defined]
    assert (packet.ident, packet.checksum) == (0x0102, 0xFE30)  # type: ignore[attr-defined]
    assert packet.time == 1_700_000_000_123_456_789  # type: ignore[attr-defined]


def test_the_innermost_addresses_count() -> None:
    six = {"ipv6__src": "2001:db8::1", "ipv6__dst": "2001:db8::2"}
    [(_, key, _)] = segments(line(frame__protocols="eth:ethertype:ipv6:udp:gtp:ip:tcp:data", **six))
    assert key[:4] == socket.inet_aton("10.0.0.1")
    [(_, key, _)] = segments(line(frame__protocols="eth:ethertype:ip:udp:gtp:ipv6:tcp", **six))
    assert key[:16] == socket.inet_pton(socket.AF_INET6, "2001:db8::1")


def test_window_scale_comes_through() -> None:
    [(_, _, packet)] = segments(
        line(tcp__flags="0x0002", tcp__hdr_len="28", tcp__options="0103030a01010101", tcp__len="0", tcp__payload="")
    )
    assert packet.scale == 10  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", ["<MISSING>", ""])
def test_options_that_were_cut(options: str) -> None:
    [(_, _, packet)] = segments(line(tcp__hdr_len="32", tcp__options=options, tcp__payload="", tcp__len="90"))
    assert packet.data == b"" and packet.length == 90  # type: ignore[attr-defined]


def test_payload_that_was_cut() -> None:
    [(_, _, packet)] = segments(line(tcp__len="1000"))
    assert packet.data == b"abc" and packet.length == 1000  # type: ignore[attr-defined]


@pytest.mark.parametrize("protocols", ["ip:tcp", "ipv6:tcp"])
def test_an_offloaded_segment_is_longer_than_its_header_can_say(protocols: str) -> None:
    body = "61" * 70_000
    six = {"ipv6__src": "::1", "ipv6__dst": "::2"} if protocols == "ipv6:tcp" else {}
    addresses = {"ip__src": "", "ip__dst": "", "ip__id": ""} if six else {}
    [(_, _, packet)] = segments(
        line(frame__protocols=protocols, tcp__len="70000", tcp__payload=body, **six, **addresses)
    )
    assert packet.length == 70_000 == len(packet.data)  # type: ignore[attr-defined]


def test_what_an_icmp_error_quotes_is_no_segment() -> None:
    assert not segments(
        line(frame__protocols="eth:ethertype:ip:icmp:ip:tcp", ip__src="10.0.0.9,10.0.0.1", ip__dst="10.0.0.1,10.0.0.2")
    )


def test_two_segments_of_one_frame_share_its_number() -> None:
    two = line(
        frame__number="2", frame__protocols="wlan:llc:ip:tcp:llc:ip:tcp:data", ip__src="10.0.0.1,10.0.0.2",
        ip__dst="10.0.0.2,10.0.0.1", ip__id="0x01,0x02", tcp__srcport="40000,50051", tcp__dstport="50051,40000",
        tcp__seq_raw="1,2", tcp__ack_raw="2,1", tcp__flags="0x10,0x18", tcp__window_size_value="1,2",
        tcp__checksum="0x01,0x02", tcp__hdr_len="20,20", tcp__len="0,3",
    )  # fmt: skip
    found = segments(line(), two, line(frame__number="3"))
    assert [number for number, _, _ in found] == [1, 2, 2, 3]
    assert [packet.data for _, _, packet in found] == [b"abc", b"", b"abc", b"abc"]  # type: ignore[attr-defined]
    unclear = two.replace(b"0,3", b"2,3")
    assert not segments(unclear)


@pytest.mark.parametrize(
    "changed",
    [{"ip__src": ""}, {"tcp__seq_raw": ""}, {"tcp__flags": "zz"}, {"tcp__payload": "6"}, {"ip__src": "nowhere"},
     {"tcp__srcport": "70000"}, {"tcp__len": "x"}, {"frame__protocols": "eth:tcp", "ip__src": "", "ip__dst": ""}],
)  # fmt: skip
def test_what_does_not_fit_together_is_a_frame_without_tcp(changed: dict[str, str]) -> None:
    rows = Rows(Reading(0))
    made = [*rows.take(line(**changed)), *rows.rest()]
    assert rows.unclear == 1 and rows.frames == 1
    assert [batch.caplens for batch in made] == [[80]]
    assert not segments(line(**changed))


def test_numbers_follow_across_batches() -> None:
    lines = [line(frame__number=str(n), frame__protocols="eth:arp" if n % 3 else "ip:tcp") for n in range(1, 5000)]
    numbers = [batch.first_number + row for batch in batches(*lines) for row in range(len(batch.starts))]
    assert numbers == list(range(1, 5000))
    assert [number for number, _, _ in segments(*lines)] == list(range(3, 5000, 3))


@given(st.lists(st.binary(max_size=200) | st.just(line()), max_size=5))
def test_no_line_raises(lines: list[bytes]) -> None:
    batches(*lines)


@given(st.lists(st.text("0123456789abcdefx,:.\t<MISNG>", max_size=30), min_size=len(FIELDS), max_size=len(FIELDS)))
def test_no_values_raise(values: list[str]) -> None:
    segments("\t".join(["1", "1.5", "9", "ip:tcp", *values[4:]]).encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"1.5", 1_500_000_000), (b"1", 10**9), (b"1.123456789", 1_123_456_789), (b"-3.5", 0), (b"9" * 30, (1 << 63) - 1)],
)
def test_times(text: bytes, expected: int) -> None:
    assert nanoseconds(text) == expected
