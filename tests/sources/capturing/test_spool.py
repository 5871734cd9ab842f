"""Bytes off a pipe: all of them, in order, kept as they are; and a bound on how many wait."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wirecase.sources.capturing import Spool


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for descriptor in (read, write):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def taken(spool: Spool, size: int = 1 << 16) -> bytes:
    """Everything up to the end."""
    out, buffer = bytearray(), memoryview(bytearray(size))
    while (count := spool.read_into(buffer, 5.0)) != 0:
        assert count is not None, "nothing came"
        out += buffer[:count]
    return bytes(out)


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_all_bytes_in_order(pipe: tuple[int, int], size: int) -> None:
    data = bytes(range(256)) * 4
    spool = Spool(pipe[0])
    for at in range(0, len(data), 100):
        os.write(pipe[1], data[at : at + 100])
    os.close(pipe[1])
    assert taken(spool, size) == data
    assert (spool.waiting, spool.taken, spool.problem) == (0, len(data), None)


def test_keeps_every_byte_before_it_is_read(pipe: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "kept"
    with path.open("wb", buffering=0) as keep:
        spool = Spool(pipe[0], keep)
        os.write(pipe[1], b"first" * 1000)
        os.close(pipe[1])
        spool.close()
        spool._thread.join(5)
    assert path.read_bytes() == b"first" * 1000
    assert spool.waiting == 5000, "nobody has read it"


def test_a_full_disk_ends_the_keeping_not_the_watching(pipe: tuple[int, int]) -> None:
    with open("/dev/full", "wb", buffering=0) as keep:
        spool = Spool(pipe[0], keep)
        os.write(pipe[1], b"bytes")
        os.close(pipe[1])
        assert taken(spool) == b"bytes"
    assert spool.keep_problem == "No space left on device"


def test_the_writer_waits_when_the_spool_is_full(pipe: tuple[int, int]) -> None:
    spool = Spool(pipe[0], limit=1 << 16)
    data = os.urandom(8 << 20)

    def write() -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(pipe[1], view) :]
        os.close(pipe[1])

    writer = threading.Thread(target=write)
    writer.start()
    got = taken(spool)
    writer.join(10)
    assert got == data
    assert spool.full > 0


def test_nothing_comes(pipe: tuple[int, int]) -> None:
    spool = Spool(pipe[0])
    assert spool.read_into(memoryview(bytearray(8)), 0.01) is None
    assert not spool.ready()
    spool.close()
    assert spool.read_into(memoryview(bytearray(8)), 0.01) == 0


def test_the_descriptor_stays_open(pipe: tuple[int, int]) -> None:
    Spool(pipe[0]).close()
    os.fstat(pipe[0])
