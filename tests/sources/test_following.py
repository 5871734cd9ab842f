"""Files that are still being written: read on as they grow, through a ring, and no damage where the writer stands."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from capture_bytes import Packet, epb, idb, packets, pcap_header, pcap_record, shb

from wirecase.errors import UsageError
from wirecase.sources import Follow, OpenedSources, open_sources
from wirecase.sources.following import family, successor

WAIT = 20.0


class Reader(threading.Thread):
    """Follows in a thread of its own, as the writer is this test."""

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        super().__init__(daemon=True)
        self.stopped = False
        self.opened: OpenedSources = open_sources([str(path)], follow=Follow(lambda: self.stopped, timeout))
        self.found: list[tuple[str, int, bytes]] = []
        self.start()

    def run(self) -> None:
        for source, batch in self.opened.batches():
            for i, (start, size) in enumerate(zip(batch.starts, batch.caplens, strict=True)):
                data = bytes(batch.data[start : start + size])
                self.found.append((Path(source.path).name, batch.first_number + i, data))

    def until(self, held: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT
        while not held():
            assert time.monotonic() < end, self.found
            time.sleep(0.01)

    def stop(self) -> None:
        self.stopped = True
        self.join(WAIT)
        assert not self.is_alive()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


FORMS: dict[str, tuple[bytes, Callable[[Packet], bytes]]] = {
    "pcap": (pcap_header(), pcap_record),
    "pcapng": (shb() + idb(), epb),
}


@pytest.mark.parametrize("kind", FORMS)
def test_records_come_as_they_are_written_and_half_a_one_is_no_damage(kind: str, tmp_path: Path) -> None:
    head, record = FORMS[kind]
    path = tmp_path / "live"
    wanted = packets(5)
    path.write_bytes(head + record(wanted[0]))
    reader = Reader(path)
    for i, packet in enumerate(wanted[1:4], 2):
        data = record(packet)
        append(path, data[:20])
        time.sleep(0.02)
        append(path, data[20:])
        reader.until(lambda i=i: len(reader.found) == i)  # type: ignore[misc]
    append(path, record(wanted[4])[:-7])
    reader.stop()
    assert [data for *_, data in reader.found] == [packet.data for packet in wanted[:4]]
    (source,) = reader.opened
    assert not source.damages
    assert source.ending == "stopped"
    assert source.info.packets == 4


@pytest.mark.parametrize("kind", FORMS)
def test_half_a_record_is_damage_where_nobody_follows(kind: str, tmp_path: Path) -> None:
    head, record = FORMS[kind]
    path = tmp_path / "done"
    path.write_bytes(head + b"".join(map(record, packets(3)))[:-7])
    (source,) = open_sources([str(path)])
    list(source.batches())
    assert len(source.damages) == 1


@pytest.mark.parametrize(
    "begin", [b"", pcap_header()[:10], pcap_header(), pcap_header() + pcap_record(packets(1)[0])[:9]]
)
def test_a_file_that_has_hardly_begun(begin: bytes, tmp_path: Path) -> None:
    whole = pcap_header() + b"".join(map(pcap_record, packets(2)))
    path = tmp_path / "young"
    path.write_bytes(begin)
    reader = Reader(path)
    append(path, whole[len(begin) :])
    reader.until(lambda: len(reader.found) == 2)
    reader.stop()
    assert not reader.opened.failures


def test_idle_for_long_enough(tmp_path: Path) -> None:
    path = tmp_path / "idle"
    path.write_bytes(pcap_header() + b"".join(map(pcap_record, packets(2))) + b"\0\1\2")
    reader = Reader(path, timeout=0.2)
    reader.join(WAIT)
    (source,) = reader.opened
    assert (source.ending, source.info.packets, source.damages) == ("idle", 2, [])


def test_the_ring_goes_on_in_the_next_file(tmp_path: Path) -> None:
    wanted = packets(6)
    first, second, third = (tmp_path / name for name in ("cap.pcap", "cap.pcap1", "cap.pcap2"))
    (tmp_path / "notes.txt").write_text("not of this ring")
    first.write_bytes(pcap_header() + pcap_record(wanted[0]))
    reader = Reader(first)
    reader.until(lambda: len(reader.found) == 1)
    append(first, pcap_record(wanted[1]))
    reader.until(lambda: len(reader.found) == 2)
    for at, path in ((2, second), (4, third)):
        path.write_bytes(pcap_header() + pcap_record(wanted[at]))
        os.utime(path, ns=(time.time_ns() + at * 10**9, time.time_ns() + at * 10**9))
        reader.until(lambda at=at: len(reader.found) == at + 1)  # type: ignore[misc]
        append(path, pcap_record(wanted[at + 1]))
        os.utime(path, ns=(time.time_ns() + at * 10**9, time.time_ns() + at * 10**9))
        reader.until(lambda at=at: len(reader.found) == at + 2)  # type: ignore[misc]
    reader.stop()
    assert [(name, number) for name, number, _ in reader.found] == [
        (name, number) for name in ("cap.pcap", "cap.pcap1", "cap.pcap2") for number in (1, 2)
    ]
    assert [data for *_, data in reader.found] == [packet.data for packet in wanted]
    assert [source.index for source in reader.opened] == [0, 1, 2]
    assert [source.ending for source in reader.opened] == ["rotated", "rotated", "stopped"]


def test_a_compressed_file_that_grows(tmp_path: Path) -> None:
    path = tmp_path / "live.gz"
    whole = gzip.compress(pcap_header() + b"".join(map(pcap_record, packets(4))))
    path.write_bytes(whole[:-20])
    reader = Reader(path)
    reader.until(lambda: bool(reader.found))
    reader.stop()
    (source,) = reader.opened
    assert not source.damages


def test_names_of_one_ring() -> None:
    assert family("cap.pcap") == family("cap.pcap7")
    assert family("cap_00001_20261123073804.pcap") == family("cap_00012_20261123073955.pcap")
    assert family("eth0-12:00.pcap") == family("eth0-12:10.pcap") != family("lo-12:00.pcap")


def test_the_successor_was_begun_later(tmp_path: Path) -> None:
    for i, name in enumerate(("r2", "r0", "r1", "other")):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, ns=(10**18 + i, 10**18 + i))
    assert successor(str(tmp_path / "r2")) == str(tmp_path / "r0")
    assert successor(str(tmp_path / "r0")) == str(tmp_path / "r1")
    assert successor(str(tmp_path / "r1")) is None
    (tmp_path / "r1").write_bytes(b"")
    os.utime(tmp_path / "r1", ns=(2 * 10**18, 2 * 10**18))
    assert successor(str(tmp_path / "r0")) is None  # nothing is in it yet
    assert successor(str(tmp_path / "gone")) is None


def test_only_files_can_be_followed() -> None:
    with pytest.raises(UsageError, match="no file to follow"):
        open_sources(["-"], follow=Follow())
    with pytest.raises(UsageError, match="no file to follow"):
        open_sources(["memory://a/b.pcap"], follow=Follow())
