"""Pipes: what has arrived is handed on, whatever is still to come; and the digest of all that was read."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from capture_bytes import Packet, epb, idb, packets, pcap, pcap_header, pcap_record, pcapng, read, shb

from wirecase.digest import Digest
from wirecase.errors import InputError
from wirecase.model import PacketBatch
from wirecase.sources import Source, open_sources
from wirecase.sources.window import WINDOW


@contextmanager
def stdin_pipe() -> Iterator[int]:
    """Put a pipe in the place of standard input; give the end to write to."""
    reading, writing = os.pipe()
    saved = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)
    try:
        yield writing
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        with suppress(OSError):
            os.close(writing)


def gzip_stream() -> Callable[[bytes], bytes]:
    import zlib

    packer = zlib.compressobj(wbits=31)
    return lambda data: packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def zstd_stream() -> Callable[[bytes], bytes]:
    zstandard = pytest.importorskip("zstandard")
    packer = zstandard.ZstdCompressor().compressobj()
    return lambda data: packer.compress(data) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@pytest.mark.parametrize("packer", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_a_packet_is_handed_on_before_the_next_one_is_written(kind: str, packer: str) -> None:
    pack = {"plain": lambda: bytes, "gzip": gzip_stream, "zstd": zstd_stream}[packer]()
    wanted = packets(6)
    with stdin_pipe() as pipe:
        (source,) = open_sources(["-"])
        batches = source.batches()
        os.write(pipe, pack(pcap_header() if kind == "pcap" else shb() + idb()))
        for item in wanted:
            os.write(pipe, pack(pcap_record(item) if kind == "pcap" else epb(item)))
            batch = next(batches)  # would wait for ever if it wanted more than is there
            assert one(batch) == (item.data, item.time)
        os.close(pipe)
        assert list(batches) == []
    assert source.info.packets == 6
    assert source.info.format == kind + ("" if packer == "plain" else f"+{packer}")
    assert bool(source.damages) == (packer != "plain")  # the packed streams were never brought to their end


def one(batch: PacketBatch) -> tuple[bytes, int]:
    assert len(batch.starts) == 1
    start = batch.starts[0]
    return bytes(batch.data[start : start + batch.caplens[0]]), batch.times[0]


def test_many_packets_at_once_come_in_one_batch_and_a_part_waits() -> None:
    wanted = packets(30)
    data = pcap(wanted)
    with stdin_pipe() as pipe:
        source = Source("-")
        batches = source.batches()
        os.write(pipe, data[:-10])
        assert len(next(batches).starts) == 29
        os.write(pipe, data[-10:])
        assert len(next(batches).starts) == 1
        os.close(pipe)
        assert not list(batches)
    assert source.info.sha256 == hashlib.sha256(data).hexdigest()
    assert source.info.bytes == len(data)


def test_standard_input_cannot_be_read_twice() -> None:
    with stdin_pipe() as pipe:
        os.write(pipe, pcap(packets(1)))
        os.close(pipe)
        source = Source("-")
        assert len(list(source.batches())) == 1
        with pytest.raises(InputError, match="only once"):
            next(source.batches())


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "standard input: not a capture: it is empty"), (b"tcpdump: eth9: no such device\n", "a text file")],
)
def test_standard_input_that_is_no_capture(data: bytes, message: str) -> None:
    with stdin_pipe() as pipe:
        os.write(pipe, data)
        os.close(pipe)
        with pytest.raises(InputError, match=message):
            list(Source("-").batches())


def test_a_fifo_is_read_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(pcap(packets(3)),))
    writer.start()
    (source,) = open_sources([str(path)])
    assert sum(len(batch.starts) for batch in source.batches()) == 3
    writer.join()


@pytest.mark.parametrize("kind", ["pcap", "pcapng", "pcap+gzip"])
def test_digest_and_contents_over_many_windows(kind: str, tmp_path: Path) -> None:
    noise = os.urandom(100_000)
    wanted = [Packet(noise[i : i + 50_000 + i], i * 1000, 90_000) for i in range(230)]
    data = {"pcap": pcap, "pcapng": pcapng}[kind.partition("+")[0]](wanted)
    assert len(data) > 2 * WINDOW
    if kind.endswith("gzip"):
        data = gzip.compress(data, 1)
    path = tmp_path / "a"
    path.write_bytes(data)
    result = read(path)
    assert result.same(wanted)
    assert result.info
    assert result.info.sha256 == hashlib.sha256(data).hexdigest()
    assert (result.info.bytes, result.info.format) == (len(data), kind)
    assert (result.info.first, result.info.last) == (0, 229_000)


def test_digest_covers_what_lies_behind_a_damage(tmp_path: Path) -> None:
    data = pcap(packets(3)) + b"\xfe" * (5 << 20)
    path = tmp_path / "a"
    path.write_bytes(data)
    result = read(path)
    assert len(result.damages) == 1
    assert result.info
    assert result.info.sha256 == hashlib.sha256(data).hexdigest()


def test_digest_takes_pieces_of_any_size_in_order() -> None:
    digest, plain = Digest(), hashlib.sha256()
    buffer = bytearray(1 << 20)
    for i, size in enumerate([10, 1 << 20, 1 << 20, 5, 1 << 19, 1 << 20, 0, 1 << 18, 1]):
        digest.settle()
        buffer[:size] = bytes([i]) * size
        plain.update(buffer[:size])
        digest.update(memoryview(buffer)[:size])
    assert digest.hexdigest() == plain.hexdigest()
    assert not [thread for thread in threading.enumerate() if thread.name == "wirecase-sha256"]
