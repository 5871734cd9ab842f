"""pcap in all its variants, whole, in steps and with a window that its records do not fit."""

from __future__ import annotations

from struct import pack

import pytest
from capture_bytes import NS, T0, Packet, packets, pcap, pcap_header, pcap_record, walk

STEPS = [1, 7, 100, 1 << 20]
VARIANTS = {
    "micro": (0xA1B2C3D4, 1000, 0),
    "nano": (0xA1B23C4D, 1, 0),
    "modified": (0xA1B2CD34, 1000, 8),
    "modified-1999-09": (0xA1B2CD34, 1000, 12),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(variant: str, order: str, step: int) -> None:
    magic, unit, extra = VARIANTS[variant]
    wanted = packets(7, unit=unit)
    data = pcap_header(order, magic) + b"".join(pcap_record(item, order, unit, extra) for item in wanted)
    if extra == 12:  # told from the other modified form by the second record, which must be there at first sight
        result = walk(data, max(step, 200), size=4096)
    else:
        result = walk(data, step)
    assert result.same(wanted)
    assert not result.damages


@pytest.mark.parametrize("extra", [4, 8])
def test_longer_record_headers_behind_the_ordinary_magic(extra: int) -> None:
    wanted = packets(7)
    data = pcap_header() + b"".join(pcap_record(item, extra=extra) for item in wanted)
    result = walk(data, size=4096)
    assert result.same(wanted)
    assert not result.damages


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0x1C0001AC, 1), (0x1C0001AB, 1000)])
def test_ixia_has_four_more_bytes_of_file_header(order: str, magic: int, unit: int) -> None:
    wanted = packets(unit=unit)
    records = b"".join(pcap_record(item, order, unit) for item in wanted)
    assert walk(pcap_header(order, magic) + pack(order + "I", len(records)) + records).same(wanted)


def test_aix_counts_nanoseconds_and_has_interface_types_of_its_own() -> None:
    wanted = packets(unit=1)
    data = pcap_header(">", link=6, minor=2) + b"".join(pcap_record(item, ">", 1, swapped=True) for item in wanted)
    assert walk(data).same(wanted)


@pytest.mark.parametrize("minor", [2, 3])
def test_old_versions_have_the_lengths_the_other_way_round(minor: int) -> None:
    wanted = [item._replace(length=item.length + 1000) for item in packets()]
    data = pcap_header(minor=minor) + b"".join(pcap_record(item, swapped=True) for item in wanted)
    assert walk(data).same(wanted)


def test_version_1_is_refused_with_a_way_out() -> None:
    result = walk(pack("<IHHiIII", 0xA1B2C3D4, 1, 0, 0, 0, 262144, 1))
    assert "version 1.0" in result.error
    assert "editcap" in result.error


def test_fcs_bits_are_not_part_of_the_link_type() -> None:
    data = pcap_header(link=0x2400_0000 | 276) + b"".join(map(pcap_record, packets()))
    assert {packet.link for packet in walk(data).packets} == {276}


def test_no_packets() -> None:
    result = walk(pcap([]))
    assert (result.packets, result.damages, result.error) == ([], [], "")


def test_times_at_both_ends_of_the_range() -> None:
    wanted = [Packet(b"abc", 0, 3), Packet(b"abc", 0xFFFFFFFF * NS, 3), Packet(b"abc", 0, 3)]
    result = walk(pcap(wanted))
    assert result.same(wanted)
    assert not result.damages


def test_caplen_beyond_length_is_believed() -> None:
    result = walk(pcap_header() + pcap_record(Packet(b"abcdef", T0 * NS, 2)) + pcap_record(packets()[0]))
    assert [(len(packet.data), packet.length) for packet in result.packets] == [(6, 6), (60, 60)]
    assert not result.damages


def test_empty_packets_count() -> None:
    wanted = [Packet(b"", T0 * NS, 60), Packet(b"xyz", T0 * NS, 60), Packet(b"", T0 * NS, 60)]
    assert walk(pcap(wanted)).same(wanted)


def test_a_record_longer_than_the_window() -> None:
    big = Packet(bytes(range(256)) * 1000, T0 * NS, 256000)
    wanted = [packets()[0], big, *packets()]
    for step in (1 << 20, 1000):
        assert walk(pcap(wanted), step).same(wanted)


def test_a_snaplen_may_allow_longer_packets_than_usual() -> None:
    wanted = [Packet(bytes(1 << 20), T0 * NS, 1 << 20)]
    assert walk(pcap_header(snaplen=2 << 20) + pcap_record(wanted[0])).same(wanted)
    assert walk(pcap_header(snaplen=1 << 16) + pcap_record(wanted[0])).packets == []
