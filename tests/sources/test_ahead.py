"""What is read ahead is what lies in the file: the same packets, the same digest, whatever the sizes."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from pathlib import Path

import pytest

from wirecase.errors import InputError
from wirecase.sources import Source, ahead, open_sources, window
from wirecase.sources.ahead import ReadAhead

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
CAPTURES = [
    FIXTURES / "incident" / "capture.pcapng",
    FIXTURES / "healthy-streaming" / "capture.pcapng",
    FIXTURES / "obs-file-damaged" / "capture.pcap",
    FIXTURES / "container-bigendian" / "capture.pcap",
]
CAPTURES = [path for path in CAPTURES if path.exists()]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any file is worth it; a buffer that was given back is overwritten at once, as the reader thread would."""
    monkeypatch.setattr(ahead, "WORTH", 1)
    give_back = ReadAhead.give_back

    def poison(self: ReadAhead, buffer: bytearray) -> None:
        buffer[:] = b"\xaa" * len(buffer)
        give_back(self, buffer)

    monkeypatch.setattr(ReadAhead, "give_back", poison)


def packets(path: Path) -> tuple[list[tuple[int, bytes]], Source]:
    source = Source(str(path))
    found = []
    try:
        for batch in source.batches():
            for time, start, caplen in zip(batch.times, batch.starts, batch.caplens, strict=True):
                found.append((time, bytes(batch.data[start : start + caplen])))
    except InputError as error:
        found.append((0, str(error).encode()))
    return found, source


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.parent.name)
@pytest.mark.parametrize(("piece", "headroom"), [(997, 64), (5000, 1 << 16), (1 << 20, 16)])
def test_the_same_packets_and_digest(path: Path, piece: int, headroom: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PIECE", piece)
    monkeypatch.setattr(ahead, "HEADROOM", headroom)
    monkeypatch.setattr(window, "HEADROOM", headroom)
    found, source = packets(path)
    monkeypatch.setattr(ahead, "WORTH", 1 << 62)
    plain, other = packets(path)
    assert found == plain
    assert (source.info, source.damages) == (other.info, other.damages)
    assert source.info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.info.bytes == path.stat().st_size


def test_reading_begins_before_it_is_asked_for() -> None:
    path = CAPTURES[0]
    opened = open_sources([str(path)])
    opened.begin()
    assert (
        any(thread.name == "wirecase-reader" for thread in threading.enumerate()) or path.stat().st_size < ahead.PIECE
    )
    (source,) = opened
    assert sum(len(batch.starts) for batch in source.batches()) == source.info.packets > 0
    assert source.info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_begun_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PIECE", 1000)
    before, switching = threading.active_count(), sys.getswitchinterval()
    opened = open_sources([str(CAPTURES[0])])
    opened.begin()
    opened.close()
    source = Source(str(CAPTURES[0]))
    next(iter(source.batches()))
    source.close()
    assert threading.active_count() == before
    assert sys.getswitchinterval() == switching


def test_a_read_that_fails_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PIECE", 4000)
    fill = ReadAhead._fill
    calls = []

    def failing(self: ReadAhead, buffer: bytearray) -> int:
        calls.append(1)
        if len(calls) < 3:
            return fill(self, buffer)
        self.problem = "reading failed: Input/output error"
        return ahead.HEADROOM

    monkeypatch.setattr(ReadAhead, "_fill", failing)
    found, source = packets(CAPTURES[0])
    assert found
    assert any("Input/output error" in damage.reason for damage in source.damages)


def test_a_file_that_shrinks_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PIECE", 4000)
    path = tmp_path / "capture.pcapng"
    path.write_bytes(CAPTURES[0].read_bytes())
    opened = open_sources([str(path)])
    os.truncate(path, path.stat().st_size // 2 + 3)
    (source,) = opened
    assert sum(len(batch.starts) for batch in source.batches()) > 0
    assert source.damages
