"""The recording is readable wherever it was cut, and says whether it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from talking import Talk

from wirecase.pipeline import Options, diagnose
from wirecase.recording import writer
from wirecase.sources.live.ring import Kind, Ring, Slot, make_file


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, Ring]:
    """Return a recording of one call, not ended, and its ring."""
    handle = make_file(8 << 20)
    ring, feed = Ring(handle), Ring(handle)
    path = tmp_path / "recording.pcapng"
    file = os.open(path, os.O_WRONLY | os.O_CREAT)

    class Writer(Talk):
        def tell(self, kind: Kind, side: int, data: bytes = b"", acked: int | None = None) -> None:
            feed.put(kind, side, self.number, self.now, data, acked)

    talk = Writer()
    talk.call("/pkg.Service/Get", bytes(30_000))
    talk.tell(Kind.fin, 0)
    talk.tell(Kind.fin, 1)
    recording = writer.RecordingFile(ring, file)
    while recording.step():
        pass
    os.close(file)
    return path, ring


def _damage(path: Path) -> list[str]:
    found = diagnose(Options([str(path)]))
    assert not found.accounting.unbalanced
    assert found.calls.total == found.calls.ok + found.calls.unfinished
    return [one.reason for one in found.damaged]


def test_a_recording_that_was_not_ended_says_so(recorded: tuple[Path, Ring]) -> None:
    path, ring = recorded
    assert ring.slots[Slot.written] == path.stat().st_size
    assert _damage(path) == [
        "the recording was cut off: up to a second of traffic before its last packet's end may be missing"
    ]
    assert diagnose(Options([str(path)])).calls.ok == 1


def test_one_that_was_ended_does_not(recorded: tuple[Path, Ring]) -> None:
    path, _ = recorded
    with path.open("ab") as file:
        file.write(writer.end(1, 0))
    assert _damage(path) == []


def test_it_can_be_read_wherever_it_is_cut(recorded: tuple[Path, Ring], tmp_path: Path) -> None:
    data = recorded[0].read_bytes()
    cut = tmp_path / "cut.pcapng"
    first = len(writer.head()) + 200
    for size in (*range(first, first + 300, 7), *range(first + 300, len(data), 1999)):
        cut.write_bytes(data[:size])
        assert any("cut off" in one for one in _damage(cut))


def test_wireshark_s_numbers_are_ours(recorded: tuple[Path, Ring]) -> None:
    path, ring = recorded
    found = diagnose(Options([str(path)]))
    assert found.sources[0].packets == ring.slots[Slot.packets]


def test_a_full_disk_ends_the_recording_and_not_the_proxy(tmp_path: Path) -> None:
    handle = make_file(8 << 20)
    ring, feed = Ring(handle), Ring(handle)
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is not there")
    file = os.open("/dev/full", os.O_WRONLY)
    recording = writer.RecordingFile(ring, file)
    assert feed.put(Kind.opened, 0, 1, 1, b"127.0.0.1:1 127.0.0.1:2")
    assert recording.step()
    os.close(file)
    assert recording.broken
    assert not ring.waiting
