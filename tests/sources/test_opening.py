"""From arguments to sources: order, folders, what is refused and with which words."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from capture_bytes import NS, T0, epb, idb, packets, pcap, pcapng

from wirecase.errors import InputError, UsageError
from wirecase.sources import NotACaptureError, open_sources
from wirecase.sources.raw import shown


def capture(path: Path, seconds: int, count: int = 3) -> str:
    path.write_bytes(pcap(packets(count, start=(T0 + seconds) * NS)))
    return str(path)


def test_files_come_in_the_order_of_their_first_packets(tmp_path: Path) -> None:
    late, early, middle = (capture(tmp_path / name, at) for name, at in (("a", 300), ("b", 100), ("c", 200)))
    empty = capture(tmp_path / "0", 0, 0)
    opened = open_sources([empty, late, early, middle])
    assert [source.path for source in opened] == [early, middle, late, empty]
    assert [source.index for source in opened] == [0, 1, 2, 3]
    assert [batch.source for source in opened for batch in source.batches()] == [0, 1, 2]
    assert [source.info.packets for source in opened] == [3, 3, 3, 0]
    assert [(source.info.first or 0) // NS - T0 for source in opened][:3] == [100, 200, 300]


def test_equal_times_keep_the_order_of_the_arguments(tmp_path: Path) -> None:
    paths = [capture(tmp_path / name, 5) for name in "bca"]
    assert [source.path for source in open_sources(paths)] == paths


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = capture(tmp_path / "a", 0)
    (tmp_path / "link").symlink_to(path)
    for arguments in ([path, path], [path, str(tmp_path)], [str(tmp_path), str(tmp_path / "." / "a")]):
        assert len(open_sources(arguments).sources) == 1


def test_a_folder_gives_its_captures_and_notes_on_the_rest(tmp_path: Path) -> None:
    for name in ("b.pcap", "a.txt", "c"):
        capture(tmp_path / name, 0)
    (tmp_path / "notes.md").write_text("# notes\n")
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "within").mkdir()
    capture(tmp_path / "within" / "d.pcap", 0)
    os.mkfifo(tmp_path / "fifo")
    opened = open_sources([str(tmp_path)])
    assert [Path(source.path).name for source in opened] == ["a.txt", "b.pcap", "c"]
    assert sorted(str(note).rpartition("/")[2].partition(";")[0] for note in opened.notes) == [
        "empty.pcap: not a capture: it is empty",
        "notes.md: not a capture: it is a text file",
    ]
    assert not opened.failures


def test_one_bad_file_does_not_keep_the_others_from_being_read(tmp_path: Path) -> None:
    good = capture(tmp_path / "good", 0)
    (tmp_path / "bad").write_bytes(bytes(100))
    opened = open_sources([str(tmp_path / "bad"), good, str(tmp_path / "none")])
    assert [source.path for source in opened] == [good]
    assert [str(failure).rpartition("/")[2] for failure in opened.failures] == [
        (
            "bad: not a capture: it begins with zeros; wirecase reads pcap and pcapng, plain, gzip or zstd "
            "(and more: wirecase guide evidence)"
        ),
        "none: cannot be opened: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a capture: it is empty"),
        (bytes(64), "not a capture: it begins with zeros"),
        (b"hello\n", "not a capture: it is a text file"),
        ("é".encode() * 1000, "not a capture: it is a text file"),
        (b"\x7fELF\x02\x01\x01", "not a capture: it is an ELF program"),
        (b"\x00\x01\x02\x03\xff", "not a capture: it begins with the bytes 00 01 02 03 ff"),
        (bytes(257).replace(b"\0", b"x") + b"ustar", "not a capture: it is a tar archive"),
        (b"CLIENT_RANDOM 00 11\n", "a TLS key log; give it with --keylog"),
        (b"# SSL/TLS secrets\nCLIENT_RANDOM 00 11\n", "a TLS key log; give it with --keylog"),
        (b"snoop\0\0\0\0\0\0\x02", "a snoop capture; convert it with: editcap -F pcapng IN OUT"),
        (b"GMBU\0\2", "a Microsoft Network Monitor 2 capture; convert it"),
        (b"\xfd7zXZ\x00\x00", "packed with xz; unpack it first: xz -dc FILE | wirecase diagnose -"),
        (b"BZh91AY", "packed with bzip2"),
        (b"\xd4\xc3\xb2\xa1\x02", "cut inside its file header (5 of 24 bytes)"),
        (b"\x0a\x0d\x0d\x0a", "damaged in its first block, the section header"),
    ],
)
def test_what_is_no_capture_is_told_with_what_to_do(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        open_sources([str(path)])
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_erf_is_named(tmp_path: Path) -> None:
    record = (
        bytes(4) + T0.to_bytes(4, "little") + b"\x02\x04" + (80).to_bytes(2, "big") + bytes(2) + b"\0\x3c" + bytes(64)
    )
    (tmp_path / "a").write_bytes(record * 3)
    with pytest.raises(NotACaptureError, match="ERF"):
        open_sources([str(tmp_path / "a")])


def test_damage_that_leaves_no_packet_is_an_input_error_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    data = pcapng(packets(3))
    path.write_bytes(data[:28] + data[48:])  # without the interface description
    with pytest.raises(InputError, match="no packet could be read: packets refer to interface 0"):
        open_sources([str(path)])
    path.write_bytes(data[:32] + bytes(4) + data[36:48])  # a block length of zero
    with pytest.raises(InputError, match="claims a length of 0 bytes"):
        open_sources([str(path)])


def test_a_folder_without_captures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no capture in this folder: it holds no files"):
        open_sources([str(tmp_path)])
    (tmp_path / "a").write_text("text")
    with pytest.raises(InputError, match="none of its 1 files is one"):
        open_sources([str(tmp_path)])


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(UsageError):
        open_sources([])
    with pytest.raises(UsageError, match="name it once"):
        open_sources(["-", "-"])
    with pytest.raises(InputError, match="cannot be opened"):
        open_sources(["a\0b"])


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Be somebody who may not read everything, even where root runs the tests."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(user)


def test_a_file_without_rights(tmp_path: Path) -> None:
    path = capture(tmp_path / "a", 0)
    os.chmod(path, 0)
    with without_privileges(), pytest.raises(InputError, match="Permission denied"):
        open_sources([path])


def test_standard_input_comes_last_and_is_not_touched(tmp_path: Path) -> None:
    path = capture(tmp_path / "a", 0)
    assert [source.path for source in open_sources(["-", path])] == [path, "-"]


def test_names_cannot_bring_control_characters_into_a_message() -> None:
    assert shown("a\x1b[2J\n\u202eb é") == "a\\x1b[2J\\n\\u202eb é"
    assert shown("\udcff") == "\\udcff"


def test_a_file_is_read_a_second_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(pcap(packets(3))[:-5])
    (source,) = open_sources([str(path)])
    for _ in range(2):
        assert sum(len(batch.starts) for batch in source.batches()) == 3
        assert len(source.damages) == 1
        assert source.info.packets == 3


def test_progress_is_told_in_bytes_of_the_file(tmp_path: Path) -> None:
    opened = open_sources([capture(tmp_path / "a", 0), capture(tmp_path / "b", 0)])
    size = (tmp_path / "a").stat().st_size
    assert opened.total_bytes == 2 * size
    for source in opened:
        assert source.bytes_read == 0
        for _ in source.batches():
            assert source.bytes_read == size
        assert source.bytes_read == size
    assert open_sources([str(tmp_path), "-"]).total_bytes is None


def test_reading_may_be_stopped_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(pcapng(packets(3)) + idb(link=113) + epb(packets(1)[0], number=1))
    (source,) = open_sources([str(path)])
    with source:
        batches = source.batches()
        next(batches)
    batches.close()
    assert source.info.packets == 3


def test_numpy_and_threads_stay_out_of_a_small_reading(tmp_path: Path) -> None:
    path = capture(tmp_path / "a", 0)
    code = (
        "import sys, threading; from wirecase.sources import open_sources\n"
        "(source,) = open_sources(sys.argv[1:])\n"
        "print(sum(len(b.starts) for b in source.batches()), threading.active_count(), len(source.info.sha256))\n"
        "print([m for m in ('numpy', 'zstandard', 'asyncio', 'concurrent', 'select', 'queue') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, env=ENV)
    assert run.stdout.split("\n")[:2] == ["3 1 64", "[]"]


ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
