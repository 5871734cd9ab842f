"""The same packets as Wireshark's tools see: number, time, both lengths, link type."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from struct import pack

import pytest
from capture_bytes import Packet, block, epb, idb, packets, pcap, pcap_header, pcap_record, pcapng, read, shb

pytestmark = pytest.mark.skipif(
    not (shutil.which("tshark") and shutil.which("editcap")), reason="tshark and editcap are not installed"
)
WANTED = packets(9)
CAPTURES = {
    "pcap": pcap(WANTED),
    "pcap-be-nano": pcap(WANTED, ">", 0xA1B23C4D, unit=1),
    "pcap-aix": pcap_header(">", link=6, minor=2) + b"".join(pcap_record(i, ">", 1, swapped=True) for i in WANTED),
    "pcapng": pcapng(WANTED),
    "pcapng-sections": pcapng(WANTED[:4]) + pcapng(WANTED[4:], ">"),
    "pcapng-others": shb()
    + idb()
    + epb(WANTED[0])
    + block(0xBAD, pack("<I", 32473) + b"custom")
    + epb(WANTED[1])
    + block(9, b"__REALTIME_TIMESTAMP=1700000000000000\nMESSAGE=x\n\n")
    + epb(WANTED[2])
    + block(0x40000BAD, pack("<I", 32473) + b"custom")
    + block(0x204, bytes(40))
    + block(0x1234, b"unknown")
    + block(5, bytes(12))
    + epb(WANTED[3]),
    "pcapng-clocks": shb()
    + idb(resolution=0x80 | 20, offset=1_000_000_000)
    + b"".join(epb(item, raw=(item.time // 1000 - 10**15 << 20) // 10**6) for item in WANTED),
}


def tshark(path: Path) -> list[tuple[int, str, int, int]]:
    fields = ["frame.number", "frame.time_epoch", "frame.cap_len", "frame.len"]
    command = ["tshark", "-r", str(path), "-T", "fields", *(word for field in fields for word in ("-e", field))]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    numbers = {packet.number for packet in read(path).packets}  # what is no packet has a number there and none here
    rows = [row for row in rows if int(row[0]) in numbers]
    return [(int(number), time, int(caplen), int(length)) for number, time, caplen, length in rows]


def ours(path: Path) -> list[tuple[int, str, int, int]]:
    def row(packet: Packet) -> tuple[int, str, int, int]:
        return packet.number, f"{packet.time // 10**9}.{packet.time % 10**9:09}", len(packet.data), packet.length

    return [row(packet) for packet in read(path).packets]


@pytest.mark.parametrize("name", CAPTURES)
def test_what_we_built(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(CAPTURES[name])
    assert ours(path) == tshark(path)


@pytest.mark.parametrize("kind", ["modpcap", "nokiapcap", "rh6_1pcap", "suse6_3pcap", "nsecpcap", "pcapng"])
def test_what_editcap_wrote(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(WANTED))
    subprocess.run(["editcap", "-F", kind, str(tmp_path / "a"), str(tmp_path / "b")], check=True, capture_output=True)
    assert read(tmp_path / "b").same(WANTED)


@pytest.mark.parametrize("kind", ["snoop", "netmon1", "netmon2", "5views", "observer", "ngsniffer", "ngwsniffer_2_0"])
def test_what_we_do_not_read_is_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pcap(WANTED))
    made = subprocess.run(
        ["editcap", "-F", kind, str(tmp_path / "a"), str(tmp_path / "b")], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip(f"editcap cannot write Ethernet as {kind}")
    assert "convert it with: editcap -F pcapng" in read(tmp_path / "b").error
