"""gzip and zstd: recognised by content, several members and frames, cut and damaged, with bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from capture_bytes import packets, pcap, pcapng, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wirecase.sources import Source
from wirecase.sources.compressed import GzipInput, ZstdInput
from wirecase.sources.raw import RawInput

zstandard = pytest.importorskip("zstandard")
WANTED = packets(400)
DATA = pcap(WANTED)


def zstd(data: bytes, checksum: bool = True, level: int = 3) -> bytes:
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=checksum)
    return bytes(compressor.compress(data))


def zstd_stream(data: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()  # of unknown size, in many blocks
    pieces = [data[i : i + 5000] for i in range(0, len(data), 5000)]
    flushed = b"".join(compressor.compress(p) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for p in pieces)
    return bytes(flushed + compressor.flush())


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd, "zstd-stream": zstd_stream}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_formats(packer: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "named.txt"
    path.write_bytes(PACKERS[packer](DATA if kind == "pcap" else pcapng(WANTED)))
    result = read(path)
    assert result.same(WANTED)
    assert not result.damages
    assert result.info
    assert result.info.format == f"{kind}+{packer.partition('-')[0]}"
    assert result.info.bytes == path.stat().st_size


@pytest.mark.parametrize("packer", PACKERS)
def test_several_members(packer: str, tmp_path: Path) -> None:
    pack = PACKERS[packer]
    path = tmp_path / "a"
    cuts = [0, 1, 5, 5, 10_000, len(DATA)]
    path.write_bytes(b"".join(pack(DATA[a:b]) for a, b in pairwise(cuts)))
    result = read(path)
    assert result.same(WANTED)
    assert not result.damages


def test_zeros_behind_gzip_are_padding_and_other_bytes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(DATA) + bytes(5000))
    assert not read(path).damages
    path.write_bytes(gzip.compress(DATA) + bytes(5000) + b"more")
    result = read(path)
    assert result.same(WANTED)
    assert [damage.reason for damage in result.damages] == [
        "something that is not gzip data follows the gzip data and was not read"
    ]


def test_skippable_zstd_frames(tmp_path: Path) -> None:
    path = tmp_path / "a"
    skip = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
    path.write_bytes(skip + zstd(DATA[:1000]) + skip + skip + zstd(DATA[1000:]) + skip)
    result = read(path)
    assert result.same(WANTED)
    assert not result.damages


@pytest.mark.parametrize("packer", PACKERS)
def test_cut_at_many_places(packer: str, tmp_path: Path) -> None:
    data = PACKERS[packer](DATA)
    path = tmp_path / "a"
    before = -1
    places = [*range(1, 40), *range(40, len(data) - 40, len(data) // 60), *range(len(data) - 40, len(data))]
    for cut in places:
        path.write_bytes(data[:cut])
        result = read(path)
        whole = [packet for packet in result.packets if len(packet.data) == packet.length]
        assert [packet._replace(number=0) for packet in whole] == WANTED[: len(whole)]
        assert result.error or any("is cut" in damage.reason for damage in result.damages)
        if cut >= 4:
            assert len(whole) >= before
            before = len(whole)
    assert before == 400 or packer == "zstd"  # only the checksum is missing: nothing of the packets


def test_gzip_gives_all_bytes_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "a"
    data = bytearray(gzip.compress(DATA))
    data[-6] ^= 0xFF  # in the checksum
    path.write_bytes(data)
    result = read(path)
    assert result.same(WANTED)
    assert "the gzip data is damaged (incorrect data check)" in result.damages[0].reason
    plain = zlib.compressobj(0, wbits=31)  # stored blocks: the damage can be placed exactly
    data = bytearray(plain.compress(DATA) + plain.flush(zlib.Z_FULL_FLUSH))
    path.write_bytes(bytes(data) + b"\xff" * 1000)
    assert read(path).same(WANTED)


def test_zstd_gives_all_blocks_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "a"
    data = bytearray(zstd(DATA))
    data[-2] ^= 0xFF
    path.write_bytes(data)
    result = read(path)
    assert "the zstd data is damaged" in (result.error or result.damages[0].reason)
    data = bytearray(zstd_stream(DATA))
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert len(read(path).packets) >= 100


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packer=st.sampled_from(sorted(PACKERS)), at=st.integers(0, 1 << 30), piece=st.binary(min_size=1, max_size=20))
def test_nothing_but_input_errors_on_damaged_bytes(packer: str, at: int, piece: bytes, tmp_path: Path) -> None:
    data = bytearray(PACKERS[packer](DATA[:3000]))
    at %= len(data)
    data[at : at + len(piece)] = piece
    path = tmp_path / "a"
    path.write_bytes(data)
    read(path)


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
def test_a_foreign_file_inside_is_told_as_such(packer: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(PACKERS[packer](b"just some text\n" * 50))
    assert f"{packer} data, unpacked: not a capture: it is a text file" in read(path).error
    path.write_bytes(PACKERS[packer](b""))
    assert "not a capture: it is empty" in read(path).error


def test_a_bomb_is_handed_out_in_bounded_pieces(tmp_path: Path) -> None:
    zeros = bytes(64 << 20)
    for pack, stream in ((gzip.compress, GzipInput), (zstd, ZstdInput)):
        path = tmp_path / "a"
        path.write_bytes(pack(zeros))
        unpacked = stream(RawInput(str(path)))
        total = 0
        for piece in unpacked._pieces():
            assert len(piece) <= 1 << 18
            total += len(piece)
        assert total == len(zeros)


def test_without_the_zstd_module_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("wirecase.sources.compressed.import_module", missing)
    path = tmp_path / "a"
    path.write_bytes(zstd(DATA))
    result = read(path)
    assert "pip install zstandard" in result.error
    with Source(str(path)) as source:
        assert source.info.packets == 0
