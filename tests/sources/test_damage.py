"""Captures that are cut or damaged: what can be read is read, and each damage is told once."""

from __future__ import annotations

from struct import pack

import pytest
from capture_bytes import (
    IDB,
    NS,
    T0,
    Packet,
    block,
    epb,
    idb,
    old_packet,
    packets,
    pcap,
    pcap_header,
    pcap_record,
    pcapng,
    shb,
    spb,
    walk,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecase.sources.reading import MAX_DAMAGES

WANTED = packets(5)
SAMPLES = {
    "pcap": pcap(WANTED),
    "pcap-be-nano": pcap(WANTED, ">", 0xA1B23C4D, unit=1),
    "pcap-modified": pcap_header(magic=0xA1B2CD34) + b"".join(pcap_record(item, extra=8) for item in WANTED),
    "pcapng": pcapng(WANTED),
    "pcapng-be": pcapng(WANTED, ">"),
    "pcapng-kinds": shb() + idb() + epb(WANTED[0]) + b"".join(map(old_packet, WANTED[1:3])) + spb(WANTED[3]),
    "pcapng-sections": pcapng(WANTED[:2]) + pcapng(WANTED[2:], ">"),
}


def ends(name: str) -> set[int]:
    """Return where the file header, a record or a block of a sample ends."""
    data = SAMPLES[name]
    at, found, order = 0, set(), "<"
    while at < len(data):
        if name.startswith("pcapng"):
            order = {b"\x4d\x3c": "<", b"\x1a\x2b": ">"}.get(data[at + 8 : at + 10], order)
            at += int.from_bytes(data[at + 4 : at + 8], "little" if order == "<" else "big")
        elif at == 0:
            at = 24
        else:
            size = 24 if "modified" in name else 16
            at += size + int.from_bytes(data[at + 8 : at + 12], "big" if "-be" in name else "little")
        found.add(at)
    return found


ENDS = {name: ends(name) for name in SAMPLES}


@pytest.mark.parametrize("step", [13, 1 << 20])
@pytest.mark.parametrize("name", SAMPLES)
def test_cut_at_every_byte(name: str, step: int) -> None:
    data = SAMPLES[name]
    whole = walk(data).packets
    begins = [data.index(packet.data) for packet in whole]
    for cut in range(28 if name.startswith("pcapng") else 24, len(data)):
        result = walk(data[:cut], step)
        held = [packet for packet, at in zip(whole, begins, strict=True) if at < cut]
        there = cut - begins[len(held) - 1] if held else 0
        if held and there < len(held[-1].data):
            held[-1] = held[-1]._replace(data=held[-1].data[:there])
            assert [damage.reason for damage in result.damages] == [
                f"the last packet is cut: {there} of {len(whole[len(held) - 1].data)} bytes"
            ]
        assert result.packets == held
        assert len(result.damages) <= 1
        # Only where a record or block ends is a cut no damage.
        assert bool(result.damages) == (cut not in ENDS[name])


@pytest.mark.parametrize("name", ["pcap", "pcapng"])
def test_a_cut_packet_is_told_with_its_place(name: str) -> None:
    data = SAMPLES[name]
    at = data.index(WANTED[4].data)
    result = walk(data[: at + 100])
    assert result.packets[-1].data == WANTED[4].data[:100]
    (damage,) = result.damages
    assert damage.reason == "the last packet is cut: 100 of 128 bytes"
    assert (damage.offset, damage.packet, damage.bytes) == (at - (16 if name == "pcap" else 28), 5, 0)


@pytest.mark.parametrize("name", SAMPLES)
@settings(deadline=None, max_examples=150)
@given(edits=st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), max_size=4))
def test_nothing_but_input_errors_on_damaged_bytes(name: str, edits: list[tuple[int, bytes]]) -> None:
    data = bytearray(SAMPLES[name])
    for at, piece in edits:
        at = 4 + at % (len(data) - 4)
        data[at : at + len(piece)] = piece
    results = [walk(bytes(data), step, size) for step, size in ((1 << 20, 1 << 16), (1 << 20, 64), (31, 64))]
    assert all(len(result.damages) <= MAX_DAMAGES for result in results)
    if "modified" not in name and "kinds" not in name:
        assert len({(tuple(result.packets), result.error) for result in results}) == 1


@settings(deadline=None, max_examples=300)
@given(
    head=st.sampled_from([pcap([]), pcap([], ">"), shb(), shb() + idb(), b"\x0a\x0d\x0d\x0a"]),
    rest=st.binary(max_size=300),
)
def test_nothing_but_input_errors_on_noise(head: bytes, rest: bytes) -> None:
    walk(head + rest)
    walk(head + rest, 5)


def test_a_cut_file_header_is_an_input_error() -> None:
    for cut in range(4, 24):
        assert f"({cut} of 24 bytes)" in walk(SAMPLES["pcap"][:cut]).error
    for cut in range(4, 12):
        assert walk(SAMPLES["pcapng"][:cut]).error
    for cut in range(12, 28):
        result = walk(SAMPLES["pcapng"][:cut])
        assert result.damages
        assert not result.packets


def many(count: int) -> list[Packet]:
    return packets(count)


@pytest.mark.parametrize("step", [100, 1 << 20])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pcap_goes_on_behind_a_wild_length(order: str, step: int) -> None:
    wanted = many(40)
    records = [pcap_record(item, order) for item in wanted]
    damaged = bytearray(records[17])
    damaged[8:12] = pack(order + "I", 0x7FFFFFFF)
    records[17] = bytes(damaged)
    result = walk(pcap_header(order) + b"".join(records), step)
    assert result.same(wanted[:17] + wanted[18:])
    (damage,) = result.damages
    assert damage.bytes == len(damaged)
    assert damage.packet == 17
    assert "packet 18 claims to hold 2147483647 bytes" in damage.reason


def test_pcap_goes_on_near_the_end() -> None:
    for left in (1, 2, 3):
        wanted = many(20)
        data = pcap(wanted[: 20 - left]) + b"\xff" * 500 + b"".join(map(pcap_record, wanted[20 - left :]))
        result = walk(data)
        assert result.same(wanted)
        assert [damage.bytes for damage in result.damages] == [500]


def test_pcap_goes_on_behind_zeros() -> None:
    wanted = many(20)
    data = pcap(wanted[:10]) + bytes(100_000) + b"".join(map(pcap_record, wanted[10:]))
    result = walk(data, 4096)
    assert result.same(wanted)
    (damage,) = result.damages
    assert (damage.bytes, "zeros" in damage.reason) == (100_000, True)


def test_pcap_goes_on_when_the_first_packet_is_damaged() -> None:
    wanted = many(20)
    result = walk(pcap_header() + b"\xfe" * 77 + b"".join(map(pcap_record, wanted)))
    assert result.same(wanted)
    assert [damage.bytes for damage in result.damages] == [77]


def test_pcap_gives_up_where_nothing_is_in_reach() -> None:
    wanted = many(10)
    result = walk(pcap(wanted) + b"\xfe" * (3 << 20) + b"".join(map(pcap_record, wanted)))
    assert result.same(wanted)
    (damage,) = result.damages
    assert "the rest was not read" in damage.reason


def test_pcap_with_damage_all_over_is_given_up() -> None:
    piece = b"".join(map(pcap_record, many(3))) + b"\xfe" * 50
    result = walk(pcap_header() + piece * 200)
    assert len(result.damages) == MAX_DAMAGES
    assert len(result.packets) == 3 * MAX_DAMAGES


def test_no_huge_allocation(monkeypatch: pytest.MonkeyPatch) -> None:
    for claim in (0x7FFFFFFF, 0xFFFFFFFF, 17 << 20):
        data = pcap_header(snaplen=0xFFFFFFFF) + pack("<IIII", T0, 0, claim, claim) + b"x" * 100
        assert not walk(data).packets
        data = shb() + idb(snaplen=0) + pack("<IIIIIII", 6, claim & ~3, 0, 0, 0, claim, claim) + b"x" * 100
        assert not walk(data).packets


@pytest.mark.parametrize("step", [100, 1 << 20])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bad", ["zero", "odd", "huge", "differ"])
def test_pcapng_goes_on_behind_a_bad_block(bad: str, order: str, step: int) -> None:
    wanted = many(20)
    blocks = [epb(item, order) for item in wanted]
    damaged = bytearray(blocks[7])
    if bad == "differ":
        damaged[-4:] = pack(order + "I", 4)
    else:
        damaged[4:8] = pack(order + "I", {"zero": 0, "odd": len(damaged) + 1, "huge": 0x7FFFFFFC}[bad])
    blocks[7] = bytes(damaged)
    result = walk(shb(order) + idb(order) + b"".join(blocks), step)
    assert result.same(wanted[:7] + wanted[8:])
    (damage,) = result.damages
    assert damage.bytes == len(damaged)


def test_pcapng_bad_interface_waits_for_the_next_section() -> None:
    bad = bytearray(idb())
    bad[4:8] = bytes(4)
    data = shb() + bytes(bad) + b"".join(map(epb, WANTED)) + pcapng(WANTED, ">")
    result = walk(data)
    assert result.same(WANTED)
    assert len(result.damages) == 1
    assert not walk(shb() + bytes(bad) + b"".join(map(epb, WANTED))).packets


def test_pcapng_packets_of_unknown_interfaces_are_told_once() -> None:
    data = shb() + idb() + epb(WANTED[0]) + epb(WANTED[1], number=3) + epb(WANTED[2], number=9) + epb(WANTED[3])
    result = walk(data)
    assert result.same([WANTED[0], WANTED[3]])
    (damage,) = result.damages
    assert "interface 3" in damage.reason
    assert damage.bytes == len(epb(WANTED[1])) + len(epb(WANTED[2]))


def test_pcapng_unknown_interfaces_in_endless_sections_are_not_told_endlessly() -> None:
    result = walk((shb() + epb(WANTED[0])) * 200)
    assert len(result.damages) == MAX_DAMAGES
    assert sum(damage.bytes for damage in result.damages) == 200 * len(epb(WANTED[0]))


def test_pcapng_packet_longer_than_its_block() -> None:
    bad = bytearray(epb(WANTED[1]))
    bad[20:24] = pack("<I", 1000)
    result = walk(shb() + idb() + epb(WANTED[0]) + bytes(bad) + epb(WANTED[2]))
    assert result.same([WANTED[0], WANTED[2]])
    assert "shorter than its packet" in result.damages[0].reason


def test_pcapng_short_blocks() -> None:
    for kind in (IDB, 2, 3, 6):
        result = walk(shb() + idb() + epb(WANTED[0]) + block(kind, b"") + epb(WANTED[1]))
        assert len(result.damages) == 1
        assert len(result.packets) == (1 if kind == IDB else 2)


def test_pcapng_too_many_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirecase.sources.pcapng.MAX_INTERFACES", 4)
    result = walk(shb() + idb() * 5 + epb(WANTED[0]))
    assert (len(result.packets), len(result.damages)) == (0, 1)


def test_pcapng_first_block_damaged() -> None:
    assert "section header" in walk(b"\x0a\x0d\x0d\x0a" + bytes(40)).error
    assert "section header" in walk(b"\x0a\x0d\x0d\x0a").error


def test_time_before_the_search_is_zero() -> None:
    wanted = [item._replace(time=0) for item in many(10)]
    result = walk(pcap(wanted[:5]) + b"\xff" * 99 + b"".join(map(pcap_record, wanted[5:])))
    assert result.same(wanted)
    assert T0 * NS not in {packet.time for packet in result.packets}
