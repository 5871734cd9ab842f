"""Captures that only tshark unwraps: the faults in them are those of the plain capture, on the same packets."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import tunnelled

from wirecase.errors import InputError, UsageError
from wirecase.model import Diagnosis
from wirecase.pipeline import Options, diagnose
from wirecase.sources.tshark import TsharkEngine, TsharkError

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
FIXTURES = Path(__file__).parents[3] / "fixtures"
INCIDENT = FIXTURES / "incident" / "capture.pcapng"


def told(found: Diagnosis) -> list[tuple[object, ...]]:
    """What a report says, without the name of the file."""
    return [
        (one.rule, one.severity, one.certainty, one.title, one.count, one.stream, one.call, one.path,
         one.connection, [(each.packet, each.offset, each.data) for each in one.evidence])
        for one in found.findings
    ]  # fmt: skip


def through(path: Path, *preferences: str) -> Diagnosis:
    return diagnose(Options([str(path)], open=TsharkEngine(preferences)))


@pytest.mark.parametrize(
    ("wrap", "link", "preferences"),
    [(tunnelled.wifi, 127, ()), (tunnelled.gtp, 1, ()), (tunnelled.esp, 1, (tunnelled.ESP_NULL,))],
    ids=["802.11", "GTP-U", "ESP"],
)
def test_the_incident_is_found_in_a_tunnel(
    wrap: Callable[[bytes, int], bytes], link: int, preferences: tuple[str, ...], tmp_path: Path
) -> None:
    packets = tunnelled.ip_packets(INCIDENT)
    frames = [(wrap(packet, number), time) for number, (packet, time) in enumerate(packets)]
    path = tunnelled.pcap(tmp_path / "wrapped.pcap", link, frames)
    plain, found = diagnose(Options([str(INCIDENT)])), through(path, *preferences)
    assert told(found) == told(plain)
    assert found.calls == plain.calls
    assert found.sources[0].packets == len(packets)
    assert found.sources[0].sha256 and found.sources[0].engine.startswith("Wireshark ")
    assert (found.sources[0].first, found.sources[0].last) == (plain.sources[0].first, plain.sources[0].last)
    assert not found.accounting.unbalanced
    assert found.accounting.captured == found.accounting.decoded + sum(found.accounting.skipped.values())
    if wrap is not tunnelled.gtp:
        assert not diagnose(Options([str(path)])).calls.total


def test_a_frame_with_several_segments(tmp_path: Path) -> None:
    packets = tunnelled.ip_packets(INCIDENT)[:200]
    frames = [
        (tunnelled.aggregated([packet for packet, _ in packets[i : i + 2]], i), packets[i][1]) for i in range(0, 200, 2)
    ]
    path = tunnelled.pcap(tmp_path / "aggregated.pcap", 127, frames)
    plain = tunnelled.pcap(tmp_path / "plain.pcap", 101, packets)
    one, other = through(path), diagnose(Options([str(plain)]))
    assert one.calls == other.calls and one.calls.total
    assert one.sources[0].packets == 100
    assert {each.packet for found in one.findings for each in found.evidence} <= {
        (each.packet + 1) // 2 for found in other.findings for each in found.evidence if each.packet is not None
    }


@pytest.mark.parametrize(
    "name",
    ["container-bigendian", "container-gzip", "container-nanosecond", "flag67-grpc-go", "healthy-lossy-link",
     "healthy-mirror-twice", "link-ipv6", "link-sll2", "obs-conflicting-data", "obs-gap", "obs-offload", "obs-snaplen",
     "rst-midbody", "tcp-refused", "tcp-zero-window"],
)  # fmt: skip
def test_the_same_as_the_native_engine(name: str) -> None:
    path = next((FIXTURES / name).glob("capture.*"))
    plain, found = diagnose(Options([str(path)])), through(path)
    assert told(found) == told(plain)
    assert found.calls == plain.calls
    assert found.connections == plain.connections
    assert found.sources[0].sha256 == plain.sources[0].sha256


def test_frames_without_tcp_keep_their_numbers(tmp_path: Path) -> None:
    packets = tunnelled.ip_packets(FIXTURES / "flag67-grpc-go" / "capture.pcapng")
    other = tunnelled.ipv4(17, b"\0\x35\0\x35\0\x0c\0\0abcd")
    mixed = [each for packet, time in packets for each in ((other, time), (packet, time), (b"", time))]
    plain = diagnose(Options([str(tunnelled.pcap(tmp_path / "raw.pcap", 101, mixed))]))
    found = through(tmp_path / "raw.pcap")
    assert told(found) == told(plain)
    assert found.sources[0].packets == len(mixed)
    assert found.accounting.skipped["not TCP"] == len(packets) * len(other)


@pytest.mark.skipif(not shutil.which("editcap"), reason="editcap is not installed")
def test_a_format_that_only_wireshark_reads(tmp_path: Path) -> None:
    plain = next((FIXTURES / "rst-midbody").glob("capture.*"))
    path = tmp_path / "capture.snoop"
    subprocess.run(["editcap", "-F", "snoop", str(plain), str(path)], check=True)
    with pytest.raises(InputError, match="snoop"):
        diagnose(Options([str(path)]))
    found = through(path)
    assert [one.rule for one in found.findings] == [one.rule for one in diagnose(Options([str(plain)])).findings]
    assert found.sources[0].format == "other" and len(found.sources[0].sha256) == 64


def test_a_file_that_is_cut_is_read_to_its_end(tmp_path: Path) -> None:
    whole = tunnelled.pcap(tmp_path / "whole.pcap", 101, tunnelled.ip_packets(INCIDENT)).read_bytes()
    (tmp_path / "cut.pcap").write_bytes(whole[: len(whole) // 2])
    found, plain = through(tmp_path / "cut.pcap"), diagnose(Options([str(tmp_path / "cut.pcap")]))
    assert found.damaged and found.calls.total == plain.calls.total
    assert sum(one.rule == "obs-file-damaged" for one in found.findings) == 1


def test_damage_that_stops_tshark_is_told(tmp_path: Path) -> None:
    packets = tunnelled.ip_packets(INCIDENT)
    data = bytearray(tunnelled.pcap(tmp_path / "bad.pcap", 101, packets).read_bytes())
    at = 24 + sum(16 + len(packet) for packet, _ in packets[:100])
    data[at + 8 : at + 12] = b"\xff\xff\xff\x7f"
    (tmp_path / "bad.pcap").write_bytes(data)
    found = through(tmp_path / "bad.pcap")
    assert found.sources[0].packets == 100
    assert any("tshark stopped after packet 100" in one.reason for one in found.damaged)


def test_an_unknown_preference_is_one_line() -> None:
    with pytest.raises(TsharkError) as raised:
        through(INCIDENT, "no.such:thing")
    assert "no.such" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("preference", ["", "x", "-r:x", "a b", "--help", "tcp.x\n:1", ":v", "n:\0"])
def test_what_is_no_preference_is_refused(preference: str) -> None:
    with pytest.raises(UsageError):
        TsharkEngine([preference])


def test_what_is_no_capture_is_told_as_always(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="text file"):
        through(tmp_path / "notes.txt")


def test_what_is_not_on_disk_is_refused() -> None:
    with pytest.raises(InputError, match="needs a file on disk"):
        TsharkEngine()(["-"])
