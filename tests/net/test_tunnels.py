"""Tunnels: what scapy wrapped comes out again, as it does of Wireshark; others made by hand; cuts, garbage."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from net_wire import SYN, T0, Frame, Talk, assemble, ethernet, ip4, ip6, read_pcap, tcp

from wirecase.net import link as links
from wirecase.net import tunnels
from wirecase.net.ip import MAX_TUNNELS

DATA = Path(__file__).parent / "data" / "tunnels"
CAPTURE = DATA / "tunnels.pcap"
NAMES = re.findall(r'^    "([a-z0-9-]+)": lambda', (DATA / "make.py").read_text(), re.MULTILINE)


@pytest.mark.parametrize("columns", [False, True])
def test_what_scapy_wrapped_comes_out(columns: bool) -> None:
    link, frames = read_pcap(CAPTURE)
    result = assemble(frames, link, columns=columns)
    assert len(result.connections) == len(NAMES) > 20
    for number, (name, one) in enumerate(zip(NAMES, result.connections, strict=True)):
        assert one.connection.sides[0].address.endswith(f":{40000 + number}"), name
        assert bytes(one.data[0]) == b"ask " + name.encode() * 20
        assert bytes(one.data[1]) == b"answer " + name.encode() * 30
        assert [call[:3] for call in one.of("ended")] == [("ended", 0, "fin"), ("ended", 1, "fin")]
    assert not result.accounting.skipped


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed (Debian: apt-get install tshark)")
def test_wireshark_sees_the_same() -> None:
    link, frames = read_pcap(CAPTURE)
    mine = [
        [one.connection.sides[0].address.rpartition(":")[2], *(bytes(data).hex() for data in one.data)]
        for one in assemble(frames, link).connections
    ]
    run = subprocess.run(
        ["tshark", "-r", CAPTURE, "-Y", "tcp.len > 0", "-T", "fields", "-e", "tcp.srcport", "-e", "tcp.payload"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in run.stdout.splitlines()]
    theirs = [[asked[0], asked[1], told[1]] for asked, told in zip(lines[::2], lines[1::2], strict=True)]
    assert mine == theirs


def udp(port: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", 5555, port, 8 + len(payload), 0) + payload


LABEL = b"\0\x06\x41\x40"
"""Label 100, the bottom of its stack."""
BY_HAND: dict[str, Callable[[bytes], bytes]] = {
    "flannel": lambda p: ethernet(ip4(udp(8472, b"\x08\0\0\0\0\0\x07\0" + ethernet(p)), protocol=17)),
    "mpls-in-udp": lambda p: ethernet(ip4(udp(6635, LABEL + p), protocol=17)),
    "mpls-in-ip": lambda p: ethernet(ip4(LABEL + p, protocol=137)),
    "mpls-deep": lambda p: ethernet(b"\0\x06\x40\x40" * 15 + LABEL + p, 0x8847),
    "vxlan-on-the-gpe-port": lambda p: ethernet(ip4(udp(4790, b"\x08\0\0\0\0\0\x07\0" + ethernet(p)), protocol=17)),
    "erspan-3-ip": lambda p: ethernet(
        ip4(b"\x10\0\x22\xeb" + bytes(4) + b"\x20\0\0\4" + bytes(6) + b"\x08\0" + p, protocol=47)
    ),
    "pseudowire-vlan": lambda p: ethernet(LABEL + ethernet(p, 0x0800, 0x8100), 0x8847),
    "as-many-as-allowed": lambda p: _nested(p, MAX_TUNNELS),
}


def _nested(packet: bytes, count: int) -> bytes:
    for _ in range(count):
        packet = ip4(packet, protocol=4)
    return ethernet(packet)


def conversation() -> list[Frame]:
    talk = Talk().handshake()
    for i in range(20):
        talk.packet(0, payload=b"ask %02d" % i).packet(1, payload=b"answer %02d" % i)
    return talk.close().frames


def wrapped(wrap: Callable[[bytes], bytes]) -> list[Frame]:
    frames = [(time, wrap(data[14:])) for time, data, _ in conversation()]
    return [(time, data, len(data)) for time, data in frames]


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name: str, columns: bool) -> None:
    (one,) = assemble(wrapped(BY_HAND[name]), columns=columns).connections
    assert bytes(one.data[1]) == b"".join(b"answer %02d" % i for i in range(20))


SPOILED: dict[str, Callable[[bytes], tuple[bytes, int]]] = {
    "whole": lambda f: (f, len(f)),
    "padded": lambda f: (f + bytes(6), len(f) + 6),
    "cut": lambda f: (f[:-5], len(f)),
    "cut and padded": lambda f: (f, len(f) + 6),
    "no outer length": lambda f: (f[:16] + bytes(2) + f[18:], len(f)),
    "an outer fragment": lambda f: (f[:20] + b"\x20" + f[21:], len(f)),
    "outer options": lambda f: (f[:14] + b"\x46" + f[15:], len(f)),
    "outer length too large": lambda f: (f[:16] + b"\x7f" + f[17:], len(f)),
}


@pytest.mark.parametrize("how", SPOILED)
def test_both_ways_book_the_same(how: str) -> None:
    """By columns or one by one: the same bytes delivered, and every other byte booked for the same reason."""
    link, frames = read_pcap(CAPTURE)
    frames += [frame for wrap in BY_HAND.values() for frame in wrapped(wrap)]
    items = [
        (time, *SPOILED[how](data)) if i % 3 else (time, data, size) for i, (time, data, size) in enumerate(frames)
    ]
    slow, fast = (assemble(items, link, columns=columns) for columns in (False, True))
    assert fast.accounting == slow.accounting
    assert fast.assembler.notes == slow.assembler.notes
    assert [one.data for one in fast.connections] == [one.data for one in slow.connections]
    assert [one.connection.sides[0].address for one in fast.connections] == [
        one.connection.sides[0].address for one in slow.connections
    ]


def test_cut_anywhere_and_longer() -> None:
    """No cut of a frame yields other bytes than the beginning of what the whole one held."""
    link, frames = read_pcap(CAPTURE)
    asked = [frames[i] for i in range(3, len(frames), 8)] + [wrapped(wrap)[3] for wrap in BY_HAND.values()]
    for time, whole, _ in asked:
        (one,) = assemble([(time, whole + b"trailer", len(whole) + 7)], link).connections
        body = bytes(one.data[0])
        assert body.startswith(b"ask ")
        for size in range(len(whole)):
            for cut in assemble([(time, whole[:size], len(whole))], link).connections:
                assert body.startswith(bytes(cut.data[0]))


def test_one_tunnel_too_many() -> None:
    frame = _nested(ip4(tcp(1, 1, SYN)), MAX_TUNNELS + 1)
    assert assemble([(T0, frame, len(frame))]).assembler.notes == {"tunnels nested too deeply": 1}


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(ethernet(b"\0\x06\x40\x40" * 40, 0x8847), id="labels without a bottom"),
        pytest.param(ethernet(b"\x11\x09\0\0\0\0" + bytes(40), 0x8864), id="PPPoE discovery"),
        pytest.param(ethernet(b"\x11\0\0\1\0\x30\xc0\x21" + bytes(40), 0x8864), id="PPPoE with LCP"),
        pytest.param(ethernet(ip4(udp(6081, b"\0\x80\x65\x58" + bytes(60)), protocol=17)), id="Geneve control"),
        pytest.param(ethernet(ip4(udp(6081, b"\x40\0\x65\x58" + bytes(60)), protocol=17)), id="Geneve version 1"),
        pytest.param(ethernet(ip4(udp(6081, b"\x3f\0\x65\x58" + bytes(60)), protocol=17)), id="Geneve options cut"),
        pytest.param(ethernet(ip4(udp(4790, b"\x0c\0\0\4" + bytes(60)), protocol=17)), id="GPE with NSH"),
        pytest.param(ethernet(ip4(udp(8472, b"\x08\0\0\1" + bytes(60)), protocol=17)), id="port 8472, not VXLAN"),
        pytest.param(ethernet(ip4(udp(53, bytes(60)), protocol=17)), id="other UDP"),
        pytest.param(ethernet(ip4(b"\0\0\x22\xeb" + bytes(60), protocol=47)), id="ERSPAN III, other version"),
        pytest.param(ethernet(ip4(b"\x10\0\x88\xbe" + bytes(60), protocol=47)), id="ERSPAN II, other version"),
        pytest.param(ethernet(LABEL + b"\x10\0\0\x21" + bytes(40), 0x8847), id="pseudowire's own messages"),
        pytest.param(ethernet(ip6(LABEL + bytes(60), protocol=137), 0x86DD), id="MPLS with zeros"),
    ],
)
def test_what_carries_no_tcp_is_booked(frame: bytes) -> None:
    result = assemble([(T0, frame, len(frame))])
    assert not result.connections
    assert sum(result.accounting.skipped.values()) == len(frame)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), st.sampled_from([0x8847, 0x8864, 0x6558, 0x88BE, 4, 17, 41, 47, 137]))
def test_any_bytes(data: bytes, kind: int) -> None:
    """Whatever stands there, the answer lies within the captured bytes or says that there is none."""
    for start in (0, min(3, len(data))):
        for read in (tunnels.below, tunnels.behind):
            found, at = read(kind, data, start, len(data))
            assert start <= at <= len(data) or found == links.NOT_IP


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [(17, struct.pack("!HHHH", 5, port, 0, 0)) for port in (4789, 8472, 4790, 6081, 6635)]
        + [(47, bytes.fromhex(head)) for head in ("000088be", "100088be", "100022eb", "00008847")]
    ),
    st.binary(max_size=100),
)
def test_any_bytes_in_a_tunnel(outer: tuple[int, bytes], data: bytes) -> None:
    protocol, head = outer
    frame = ethernet(ip4(head + data, protocol=protocol))
    assemble([(T0, frame, len(frame))] * 2)
