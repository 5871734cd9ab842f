"""Link layers, IP and tunnels: the same conversation in every wrapping, on both paths."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from net_wire import (
    ACK,
    SYN,
    T0,
    Frame,
    Result,
    Talk,
    assemble,
    ethernet,
    ip4,
    ip6,
    tcp,
)

from wirecase.net import link as links
from wirecase.net.fragments import MAX_BYTES, TIMEOUT_NS

MAC = 14


def conversation() -> list[Frame]:
    talk = Talk().handshake()
    for i in range(30):
        talk.packet(0, payload=b"ask %02d" % i).packet(1, payload=b"answer %02d" % i)
    return talk.close().frames


def wrapped(wrap: Callable[[bytes], bytes]) -> list[Frame]:
    """The conversation's IP packets, each wrapped anew."""
    frames = [(time, wrap(data[MAC:])) for time, data, _ in conversation()]
    return [(time, data, len(data)) for time, data in frames]


def check(result: Result) -> None:
    (one,) = result.connections
    assert bytes(one.data[0]) == b"".join(b"ask %02d" % i for i in range(30))
    assert bytes(one.data[1]) == b"".join(b"answer %02d" % i for i in range(30))
    assert [call[:3] for call in one.of("ended")] == [("ended", 0, "fin"), ("ended", 1, "fin")]


def as_ip6(packet: bytes) -> bytes:
    client = packet[12:16] == bytes((10, 0, 0, 1))
    one, two = b"\xfd" + bytes(14) + b"\1", b"\xfd" + bytes(14) + b"\2"
    return ip6(packet[20:], source=one if client else two, target=two if client else one)


def gre(flags: int, kind: int, payload: bytes) -> bytes:
    extra = 4 * bool(flags & 0x8000) + 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)
    return struct.pack("!HH", flags, kind) + bytes(extra) + payload


def vxlan(payload: bytes) -> bytes:
    return struct.pack("!HHHH", 5555, 4789, 16 + len(payload), 0) + b"\x08\0\0\0\0\0\x07\0" + payload


def extended(*headers: tuple[int, bytes]) -> Callable[[bytes], bytes]:
    """IPv6 with extension headers: (its number, its bytes after the next-header byte)."""

    def wrap(packet: bytes) -> bytes:
        inner = as_ip6(packet)
        chain = b""
        kinds = [kind for kind, _ in headers] + [6]
        for i, (_, body) in enumerate(headers):
            chain += bytes((kinds[i + 1],)) + body
        payload = chain + inner[40:]
        return ip6(payload, source=inner[8:24], target=inner[24:40], protocol=kinds[0])

    return wrap


WRAPPINGS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "ethernet": (1, ethernet),
    "vlan": (1, lambda p: ethernet(p, 0x0800, 0x8100)),
    "qinq": (1, lambda p: ethernet(p, 0x0800, 0x88A8, 0x8100)),
    "qinq-9100": (1, lambda p: ethernet(p, 0x0800, 0x9100, 0x8100, 0x8100)),
    "ethernet-ipv6": (1, lambda p: ethernet(as_ip6(p), 0x86DD)),
    "vlan-ipv6": (1, lambda p: ethernet(as_ip6(p), 0x86DD, 0x8100)),
    "padding": (1, lambda p: ethernet(p).ljust(80, b"\xaa")),
    "sll": (113, lambda p: bytes(14) + b"\x08\x00" + p),
    "sll-vlan": (113, lambda p: bytes(14) + b"\x81\x00\0\5\x08\x00" + p),
    "sll-ipv6": (113, lambda p: bytes(14) + b"\x86\xdd" + as_ip6(p)),
    "sll2": (276, lambda p: b"\x08\x00" + bytes(18) + p),
    "sll2-vlan": (276, lambda p: b"\x81\x00" + bytes(18) + b"\0\5\x08\x00" + p),
    "null-little": (0, lambda p: b"\2\0\0\0" + p),
    "null-big": (0, lambda p: b"\0\0\0\2" + p),
    "null-ipv6-24": (0, lambda p: b"\x18\0\0\0" + as_ip6(p)),
    "null-ipv6-28": (0, lambda p: b"\0\0\0\x1c" + as_ip6(p)),
    "null-ipv6-30": (0, lambda p: b"\x1e\0\0\0" + as_ip6(p)),
    "loop": (108, lambda p: b"\0\0\0\2" + p),
    "raw": (101, bytes),
    "raw-12": (12, bytes),
    "raw-14": (14, as_ip6),
    "raw-ipv4": (228, bytes),
    "raw-ipv6": (229, as_ip6),
    "ppp": (9, lambda p: b"\x00\x21" + p),
    "ppp-hdlc": (50, lambda p: b"\xff\x03\x00\x21" + p),
    "ppp-address": (9, lambda p: b"\xff\x03\x00\x57" + as_ip6(p)),
    "ppp-compressed": (9, lambda p: b"\x21" + p),
    "ppp-hdlc-compressed": (50, lambda p: b"\xff\x03\x57" + as_ip6(p)),
    "ip-options": (101, lambda p: b"\x46" + p[1:2] + struct.pack("!H", len(p) + 4) + p[4:20] + b"\1\1\1\0" + p[20:]),
    "hop-by-hop": (101, extended((0, b"\0" + bytes(6)))),
    "routing-destination": (101, extended((43, b"\1" + bytes(14)), (60, b"\0" + bytes(6)))),
    "authentication": (101, extended((51, b"\4" + bytes(22)))),
    "atomic-fragment": (101, extended((44, b"\0\0\0\0\0\0\1"))),
    "gre": (1, lambda p: ethernet(ip4(gre(0, 0x0800, p), protocol=47))),
    "gre-all-fields": (1, lambda p: ethernet(ip4(gre(0xB000, 0x86DD, as_ip6(p)), protocol=47))),
    "gre-ethernet": (1, lambda p: ethernet(ip4(gre(0x2000, 0x6558, ethernet(p, 0x0800, 0x8100)), protocol=47))),
    "gre-in-ipv6": (1, lambda p: ethernet(ip6(gre(0, 0x0800, p), protocol=47), 0x86DD)),
    "vxlan": (1, lambda p: ethernet(ip4(vxlan(ethernet(p)), protocol=17))),
    "vxlan-in-vxlan": (1, lambda p: ethernet(ip4(vxlan(ethernet(ip4(vxlan(ethernet(p)), protocol=17))), protocol=17))),
    "ip-in-ip": (101, lambda p: ip4(p, protocol=4)),
    "6in4": (101, lambda p: ip4(as_ip6(p), protocol=41)),
}


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("name", WRAPPINGS)
def test_wrapping(name: str, columns: bool) -> None:
    link, wrap = WRAPPINGS[name]
    check(assemble(wrapped(wrap), link, columns=columns))


@pytest.mark.parametrize("name", WRAPPINGS)
def test_cut_anywhere_and_longer(name: str) -> None:
    link, wrap = WRAPPINGS[name]
    time, whole, _ = wrapped(wrap)[5]
    for size in range(len(whole)):
        for columns in (False, True):
            result = assemble([(time, whole[:size], len(whole))] * 2, link, columns=columns)
            assert len(result.connections) <= 1
    (one,) = assemble([(time, whole + b"trailer", len(whole) + 7)], link).connections
    assert one.bytes == len(b"answer 00") or one.bytes == len(b"ask 01")


def test_mixed_shapes_keep_the_order_of_a_connection() -> None:
    kinds: list[Callable[[bytes], bytes]] = [
        ethernet,
        ethernet,
        ethernet,
        ethernet,
        ethernet,
        lambda p: ethernet(p, 0x0800, 0x88A8, 0x8100),
        lambda p: ethernet(p, 0x0800, 0x8100),
    ]
    frames = [
        (time, kinds[i % len(kinds)](data[MAC:]), length) for i, (time, data, length) in enumerate(conversation())
    ]
    check(assemble([(t, d, len(d)) for t, d, _ in frames], columns=True))


def test_ip_length_zero_means_the_rest_of_the_frame() -> None:
    def unsegmented(packet: bytes) -> bytes:
        return ethernet(packet[:2] + b"\0\0" + packet[4:])

    def unsegmented6(packet: bytes) -> bytes:
        inner = as_ip6(packet)
        return ethernet(inner[:4] + b"\0\0" + inner[6:], 0x86DD)

    for columns in (False, True):
        check(assemble(wrapped(unsegmented), columns=columns))
        check(assemble(wrapped(unsegmented6), columns=columns))


@pytest.mark.parametrize("columns", [False, True])
def test_unsupported_link_type_is_named(columns: bool) -> None:
    result = assemble([(T0, b"abc", 3), (T0, b"de", 2)], 147, columns=columns)
    assert result.assembler.unsupported_links == {147: 2}
    assert result.accounting.skipped == {"unsupported link type 147": 5}
    assert not result.connections


@pytest.mark.parametrize("columns", [False, True])
def test_other_packets_are_noted(columns: bool) -> None:
    frames = [
        ethernet(b"arp", 0x0806),
        ethernet(ip4(bytes(20), protocol=17)),
        ethernet(ip4(bytes(8), protocol=1)),
        ethernet(ip4(tcp(1, 1, ACK)))[:40],
        ethernet(b"\x55" + bytes(40)),
        ethernet(ip4(tcp(1, 1, ACK)[:12] + b"\x10" + tcp(1, 1, ACK)[13:])),
        b"short",
        b"",
    ]
    result = assemble([(T0, data, max(len(data), 54)) for data in frames], columns=columns)
    assert result.assembler.notes == {
        "not IP": 3,
        "not TCP": 2,
        "cut before the TCP header": 1,
        "damaged IP header": 1,
        "damaged TCP header": 1,
    }
    assert not result.connections


def test_vxlan_and_gre_nested_too_deeply_end() -> None:
    inner = ip4(tcp(1, 1, SYN))
    for _ in range(20):
        inner = ip4(gre(0, 0x0800, inner), protocol=47)
    result = assemble([(T0, ethernet(inner), len(ethernet(inner)))])
    assert result.assembler.notes == {"tunnels nested too deeply": 1}


def fragments(packet: bytes, size: int) -> list[bytes]:
    """Cut an IPv4 packet into fragments of `size` payload bytes."""
    payload = packet[20:]
    out = []
    for at in range(0, len(payload), size):
        part = payload[at : at + size]
        more = 0x2000 if at + size < len(payload) else 0
        out.append(packet[:2] + struct.pack("!HHH", 20 + len(part), 77, more | at // 8) + packet[8:20] + part)
    return out


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (0, 0, 1, 1, 2, 3)])
def test_ipv4_fragments(order: tuple[int, ...], columns: bool) -> None:
    talk = Talk().handshake().packet(0, payload=b"x" * 10)
    before = list(talk.frames)
    talk.packet(0, payload=bytes(range(100)))
    parts = fragments(talk.frames[-1][1][MAC:], 32)
    pieces = [ethernet(parts[i]) for i in order]
    frames = before + [(T0 + 10**9, piece, len(piece)) for piece in pieces]
    tail = Talk(time=T0 + 2 * 10**9, sent=[110, 0]).packet(0, payload=b"end").frames
    (one,) = assemble(frames + tail, columns=columns).connections
    assert bytes(one.data[0]) == b"x" * 10 + bytes(range(100)) + b"end"


@pytest.mark.parametrize("columns", [False, True])
def test_ipv6_fragments(columns: bool) -> None:
    segment = tcp(1, 0, SYN) + b"z" * 60
    head, tail = segment[:40], segment[40:]
    frames = []
    for offset, more, part in ((0, 1, head), (40, 0, tail)):
        header = b"\x06\0" + struct.pack("!HI", offset | more, 99)
        data = ethernet(ip6(header + part, protocol=44), 0x86DD)
        frames.append((T0, data, len(data)))
    (one,) = assemble(frames, columns=columns).connections
    assert bytes(one.data[0]) == b"z" * 60


def test_incomplete_and_overlapping_fragments_are_dropped() -> None:
    parts = fragments(ip4(tcp(1, 0, SYN) + b"y" * 200), 64)
    half = [(T0, ethernet(part), len(ethernet(part))) for part in parts[:2]]
    result = assemble(half)
    assert result.accounting.skipped == {"IP fragment never completed": sum(len(data) for _, data, _ in half)}
    late = [(T0 + TIMEOUT_NS + 1, ethernet(part), len(ethernet(part))) for part in parts[2:]]
    assert assemble(half + late).connections == []
    changed = parts[1][:-1] + b"!"
    result = assemble([(T0, ethernet(part), len(ethernet(part))) for part in [parts[0], parts[1], changed, *parts[2:]]])
    assert result.connections == []
    assert set(result.accounting.skipped) == {"overlapping IP fragment"}


def test_fragments_are_bounded() -> None:
    frames = []
    for i in range(MAX_BYTES // 1000):
        data = ip4(bytes(1200), ident=i & 0xFFFF, fragment=0x2000, source=f"10.1.{i >> 8 & 255}.{i & 255}")
        frames.append((T0, data, len(data)))
    result = assemble(frames, 101)
    assert result.accounting.skipped == {"IP fragment never completed": sum(len(data) for _, data, _ in frames)}


def test_all_link_types_on_short_frames() -> None:
    for link in sorted(links.SUPPORTED):
        for size in range(64):
            for fill in (0, 0x45, 0x60, 0xFF):
                assemble([(T0, bytes((fill,)) * size, size)], link)
                assemble([(T0, bytes((fill,)) * size, size)] * 4, link, columns=True)
