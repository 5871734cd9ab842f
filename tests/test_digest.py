"""The digest of a file that a process of its own computes beside its reader."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wirecase import digest
from wirecase.digest import Digest, EarlyDigest, begin, digest_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork a process")
CONTENT = random.Random(7).randbytes(300_000)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that is long enough, and mapped in several pieces."""
    monkeypatch.setattr(digest, "WORTH", 1000)
    monkeypatch.setattr(digest, "_MAPPED", 1 << 16)
    path = tmp_path / "capture"
    path.write_bytes(CONTENT)
    yield path
    assert not digest._begun


def early(path: Path) -> EarlyDigest:
    facts = os.stat(path)  # the process may change the file at once
    assert begin(str(path))
    found = digest_of(facts)
    assert isinstance(found, EarlyDigest)
    return found


def test_the_digest_of_a_whole_file_is_that_of_its_bytes(file: Path) -> None:
    found = early(file)
    for at in range(0, len(CONTENT), 70_000):
        found.update(CONTENT[at : at + 70_000])
        found.settle()
    assert found.size == len(CONTENT)
    assert found.hexdigest() == hashlib.sha256(CONTENT).hexdigest()
    assert found.hexdigest() == hashlib.sha256(CONTENT).hexdigest()


def test_of_a_file_that_was_read_in_part_only_that_part_counts(file: Path) -> None:
    found = early(file)
    found.update(CONTENT[:1234])
    assert found.hexdigest() == hashlib.sha256(CONTENT[:1234]).hexdigest()


def test_bytes_that_were_added_meanwhile_count_if_they_were_read(file: Path) -> None:
    found = early(file)
    with file.open("ab") as more:
        more.write(b"more")
    found.update(CONTENT + b"more")
    assert found.hexdigest() == hashlib.sha256(CONTENT + b"more").hexdigest()


def test_the_death_of_the_process_costs_time_only(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "_work", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    found = early(file)
    found.update(CONTENT)
    assert found.hexdigest() == hashlib.sha256(CONTENT).hexdigest()


def test_a_file_that_is_cut_under_the_process_does_no_harm(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_first(*arguments: int) -> None:
        os.truncate(file, 100)
        digest_work(*arguments)

    digest_work = digest._work
    monkeypatch.setattr(digest, "_work", cut_first)
    found = early(file)
    found.update(CONTENT[:100])
    assert found.hexdigest() == hashlib.sha256(CONTENT[:100]).hexdigest()


def test_what_was_begun_is_used_once_and_for_that_file_only(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(CONTENT)
    assert begin(str(file))
    assert isinstance(digest_of(os.stat(other)), Digest)
    found = digest_of(os.stat(file))
    assert isinstance(found, EarlyDigest)
    assert isinstance(digest_of(os.stat(file)), Digest)
    found.hexdigest()


def test_nothing_is_begun_for_what_is_no_long_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"x" * 999)
    for path in (str(small), str(tmp_path), str(tmp_path / "none"), "--format", "a\0b", "/dev/zero"):
        assert not begin(path)
    monkeypatch.setattr(digest, "LONGEST", 2000)
    assert not begin(str(file))


def test_a_pipe_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening one would wait for its other end, or take away what is meant for somebody else."""
    monkeypatch.setattr(digest, "WORTH", 0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    opened: list[object] = []
    monkeypatch.setattr(os, "open", lambda *told: opened.append(told))
    assert not begin(str(pipe))
    assert not begin("/dev/null")
    assert opened == []


def test_what_became_a_pipe_is_let_go(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = os.stat(file)
    file.unlink()
    os.mkfifo(file)
    monkeypatch.setattr(os, "stat", lambda _: facts)
    before = set(os.listdir("/dev/fd"))
    assert not begin(str(file))
    assert set(os.listdir("/dev/fd")) == before


def test_a_report_goes_to_a_pipe_that_is_named_as_output(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = Path(__file__).parents[1] / "fixtures/rst-midbody/capture.pcapng"
    command = [sys.executable, "-m", "wirecase_cli", "diagnose", str(source), "--format", "json", "-o", str(pipe)]
    writer = subprocess.Popen(command)
    assert json.loads(pipe.read_text(encoding="utf-8"))["schema"] == "wirecase/report/1"
    assert writer.wait(timeout=60) == 1


def test_without_processes_to_be_had_nothing_is_begun(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert not begin(str(file))
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before


def test_a_report_of_a_long_capture_names_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "long.pcap"
    packet = bytes(60_000)
    record = struct.pack("<IIII", 1_700_000_000, 0, len(packet), len(packet)) + packet
    path.write_bytes(
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1) + record * (digest.WORTH // 60_000 + 1)
    )
    command = [sys.executable, "-m", "wirecase_cli", "diagnose", "--format", "json", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    source = json.loads(done.stdout)["sources"][0]
    assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source["bytes"] == path.stat().st_size
