"""pcapng: sections, interfaces, every packet block, time units, and the blocks that are passed over."""

from __future__ import annotations

from struct import pack

import pytest
from capture_bytes import (
    DSB,
    IDB,
    ISB,
    NRB,
    NS,
    T0,
    Packet,
    block,
    epb,
    idb,
    old_packet,
    option,
    packets,
    pcapng,
    shb,
    spb,
    walk,
)

from wirecase.sources.pcapng_blocks import time_unit

STEPS = [1, 7, 100, 1 << 20]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_enhanced_packets(order: str, step: int) -> None:
    wanted = packets(7)
    result = walk(pcapng(wanted, order), step)
    assert result.same(wanted)
    assert not result.damages


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_obsolete_packets(order: str, step: int) -> None:
    wanted = packets(7)
    assert walk(shb(order) + idb(order) + b"".join(old_packet(item, order) for item in wanted), step).same(wanted)


@pytest.mark.parametrize("order", ["<", ">"])
def test_simple_packets_have_the_time_of_the_packet_before(order: str) -> None:
    cut = Packet(b"x" * 40, 0, 1500)
    data = shb(order) + idb(order, snaplen=40) + spb(cut, order) + epb(packets()[0], order) + spb(cut, order)
    first, second, third = walk(data).packets
    assert (first.data, first.length, first.time) == (cut.data, 1500, 0)
    assert (third.data, third.length, third.time) == (cut.data, 1500, second.time)


def test_sections_of_different_byte_order_and_numbers_running_on() -> None:
    wanted = packets(6)
    data = pcapng(wanted[:2], "<") + pcapng(wanted[2:4], ">") + pcapng(wanted[4:], "<")
    for step in STEPS:
        assert walk(data, step).same(wanted)


def test_interfaces_of_different_link_types_keep_the_order() -> None:
    wanted = [item._replace(link=(1, 113, 1)[i % 3]) for i, item in enumerate(packets(9))]
    data = shb() + idb(link=1) + idb(link=113) + idb(link=1)
    data += b"".join(epb(item, number=i % 3) for i, item in enumerate(wanted))
    result = walk(data)
    assert result.same(wanted)
    assert result.batches == 7


def test_interfaces_of_one_link_type_share_a_batch_and_keep_their_clocks() -> None:
    wanted = packets(4)
    data = shb() + idb(resolution=6) + idb(resolution=9)
    data += b"".join(epb(item, number=i % 2, raw=item.time // (1, 1000)[i % 2 == 0]) for i, item in enumerate(wanted))
    result = walk(data, size=4096)
    assert result.same(wanted)
    assert result.batches == 1


@pytest.mark.parametrize(
    ("resolution", "raw", "offset", "time"),
    [
        (None, T0 * 10**6 + 5, 0, T0 * NS + 5000),
        (0, T0, 0, T0 * NS),
        (3, T0 * 1000 + 7, 0, T0 * NS + 7_000_000),
        (9, T0 * NS + 1, 0, T0 * NS + 1),
        (10, T0 * NS * 10 + 9, 0, T0 * NS),
        (0x80 | 10, 1024 + 512, T0, T0 * NS + NS + NS // 2),
        (0x80 | 0, 5, T0, T0 * NS + 5 * NS),
        (0x80 | 32, 1 << 31, T0, T0 * NS + NS // 2),
        (6, 5, -1, 0),  # before 1970: clamped
        (6, 2_000_000, -1, NS),
        (0, (1 << 64) - 1, 0, (1 << 63) - 1),  # beyond what 64 bits of nanoseconds hold: clamped
        (0x7F, (1 << 64) - 1, T0, T0 * NS),
        (0xFF, (1 << 64) - 1, T0, T0 * NS),
    ],
)
def test_time_units(resolution: int | None, raw: int, offset: int, time: int) -> None:
    data = shb() + idb(resolution=resolution, offset=offset) + epb(packets()[0], raw=raw)
    assert [packet.time for packet in walk(data).packets] == [time]


@pytest.mark.parametrize("byte", range(256))
def test_every_time_unit_is_a_fraction_in_lowest_effort(byte: int) -> None:
    factor, divisor = time_unit(byte)
    base = 2 if byte & 0x80 else 10
    assert factor * base ** (byte & 0x7F) == NS * divisor


def test_what_is_no_packet_is_passed_over_and_counted() -> None:
    wanted = packets(3)
    comment = option(1, b"a comment that says nothing") + option(0, b"")
    data = shb(options=comment) + idb() + block(NRB, b"") + epb(wanted[0], options=comment)
    data += block(0xBAD, pack("<I", 32473) + b"custom") + block(ISB, bytes(12)) + epb(wanted[1])
    data += block(0x1234, b"") + block(0x1234, bytes(5000)) + epb(wanted[2])
    for step in STEPS:
        result = walk(data, step)
        assert [packet._replace(number=0) for packet in result.packets] == wanted
        assert [packet.number for packet in result.packets] == [1, 3, 4]  # Wireshark numbers the custom block
        assert not result.damages
        assert result.reading
        assert result.reading.packets == 3
        assert result.reading.skipped_blocks == {NRB: 1, 0xBAD: 1, ISB: 1, 0x1234: 2}


@pytest.mark.parametrize("order", ["<", ">"])
def test_secrets_are_kept(order: str) -> None:
    log = b"CLIENT_RANDOM 00 11\n"
    data = shb(order) + idb(order) + block(DSB, pack(order + "II", 0x544C534B, len(log)) + log, order)
    data += epb(packets()[0], order) + block(DSB, pack(order + "II", 0x57474B4C, 3) + b"abc", order)
    result = walk(data)
    assert result.reading
    assert result.reading.secrets == [(0x544C534B, log), (0x57474B4C, b"abc")]


def test_secrets_are_kept_in_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirecase.sources.pcapng.MAX_SECRETS", 1000)
    result = walk(shb() + idb() + block(DSB, pack("<II", 1, 4) + b"abcd") * 10 + epb(packets()[0]))
    assert result.reading
    assert len(result.reading.secrets) == 5
    assert result.reading.skipped_blocks == {DSB: 5}
    assert len(result.packets) == 1


def test_a_secret_that_claims_too_much_ends_with_its_block() -> None:
    result = walk(shb() + idb() + block(DSB, pack("<II", 1, 1 << 31) + b"abcd") + epb(packets()[0]))
    assert result.reading
    assert result.reading.secrets == [(1, b"abcd")]
    assert len(result.packets) == 1


def test_options_that_do_not_fit_are_ignored() -> None:
    body = pack("<HHI", 1, 0, 0) + pack("<HH", 9, 60000)
    assert walk(shb() + block(IDB, body) + epb(packets()[0])).same(packets()[:1])


def test_options_behind_a_packet_do_not_count_to_it() -> None:
    wanted = packets(3)
    data = shb() + idb() + b"".join(epb(item, options=option(2, bytes(4)) + option(0, b"")) for item in wanted)
    assert walk(data).same(wanted)


def test_no_packets() -> None:
    for data in (shb(), shb() + idb(), shb(">") + idb(">") + block(ISB, bytes(12), ">")):
        result = walk(data)
        assert (result.packets, result.damages, result.error) == ([], [], "")
