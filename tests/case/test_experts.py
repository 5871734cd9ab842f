"""What Wireshark's own dissectors complain about in a case: nothing but the fault.

All cases are read by one tshark: their packets are put into one file, each case with addresses of its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from captures import pcap

from wirecase.case.extract import CannotCarryError, Request, extract
from wirecase.case.redact import Policy, Redactor
from wirecase.case.select import Selection
from wirecase.errors import UsageError
from wirecase.pipeline import Options, diagnose
from wirecase.sources import open_sources

FIXTURES = Path(__file__).parents[2] / "fixtures"
WARNING = 0x600000
"""Severities of expert items: chat, note, warning (this one), error."""
FRAMING = frozenset({
    "grpc-invalid-compression-flag", "grpc-message-truncated", "grpc-length-is-text", "grpc-desync-midstream",
    "grpc-unframed-protobuf", "obs-gap", "obs-snaplen",
})  # fmt: skip
HOLES = frozenset({"obs-gap", "obs-snaplen", "obs-offload"})
BELONGS_TO = (
    (r"Reassembling HTTP2 body for subdissector failed, .*", FRAMING),
    (r"Malformed Packet \(Exception occurred\)", FRAMING),
    (r"Body decompression failed", frozenset({"grpc-decompress-failed"})),
    (r"Decompression stopped after \d+ bytes .*", frozenset({"hpack-bomb"})),
    (r"Adding \S+ would put more than \d+ items in the tree.*", frozenset({"grpc-decompression-bomb"})),
    (r"ACKed segment that wasn't captured .*", HOLES),
    (r"Previous segment\(s\) not captured .*", HOLES),
)
"""What tshark 4 says, as a warning or an error, and the rules whose fault it speaks of."""
UPGRADED = "healthy-h2c-upgrade"
"""tshark's gRPC dissector stops at an assertion of its own where stream 1 was opened by a request of HTTP/1.1."""
NO_PROTOBUF = frozenset(
    (name, "Failed to parse value field")
    for name in (
        "nat-server-killed", "grpc-payload-undecodable", "h2-peer-speaks-http1-midway", "h2-frame-size-page",
    )
)  # fmt: skip
"""Where tshark looks for protobuf: in plain bytes, of which it complains in the recording likewise, and in a message
that is no protobuf, which only a schema shows, so that its case is that of a sound call; redacted it stays none."""

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def ip_packets(path: Path) -> list[tuple[int, bytes]]:
    """The packets of a case: (time, IP packet)."""
    found = []
    for source in open_sources([str(path)]).sources:
        with source:
            for batch in source.batches():
                for at, size, time in zip(batch.starts, batch.caplens, batch.times, strict=True):
                    found.append((time, bytes(batch.data[at : at + size])))
    return found


def has_reset(path: Path) -> bool:
    """Tell whether a recording shows a RST: then its case may as well."""
    seen = []

    def closed(session) -> None:
        seen.append(session.client.rst is not None or session.server.rst is not None)

    diagnose(Options([str(path)]), closed=closed)
    return any(seen)


def moved(packet: bytes, number: int) -> bytes:
    """The same packet between hosts that no other case has (checksums are not looked at)."""
    mark = number.to_bytes(2, "big")
    if packet[0] >> 4 == 4:
        return packet[:12] + b"\x0a" + mark + packet[15:16] + b"\x0a" + mark + packet[19:]
    return packet[:8] + b"\xfd\0" + mark + packet[12:24] + b"\xfd\0" + mark + packet[28:]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory) -> dict[str, tuple[set[str], set[str], bool]]:
    """By fixture: what tshark says of its case, the rules of the case, whether the recording shows a RST."""
    folder = tmp_path_factory.mktemp("cases")
    packets: list[tuple[int, bytes]] = []
    owners: list[str] = []
    told: dict[str, tuple[set[str], set[str], bool]] = {}
    for number, source in enumerate(sorted(FIXTURES.glob("*/capture.pcapng"))):
        target = folder / f"{number}.pcapng"
        try:
            made = extract(Request([str(source)], target, Selection()), Redactor(Policy()))
        except (CannotCarryError, UsageError):  # no call in it, or a limit of the capture
            continue
        name = source.parent.name
        told[name] = (set(), {one.rule for one in made.findings}, has_reset(source))
        for time, packet in ip_packets(target):
            packets.append((time, moved(packet, number)))
            owners.append(name)
    whole = folder / "all.pcap"
    whole.write_bytes(pcap(packets))
    fields = ("-e", "frame.number", "-e", "_ws.expert.severity", "-e", "_ws.expert.message")
    done = subprocess.run(
        ["tshark", "-r", str(whole), "-Y", "_ws.expert", "-T", "fields", *fields, "-E", "aggregator=\x1f"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        number, severities, messages = line.split("\t")[:3]
        for severity, message in zip(severities.split("\x1f"), messages.split("\x1f"), strict=False):
            if int(severity) >= WARNING:
                told[owners[int(number) - 1]][0].add(message)
    return told


def test_nothing_but_the_fault_is_complained_about(complaints):
    assert len(complaints) > 80
    wrong = []
    for name, (messages, rules, reset) in complaints.items():
        for message in messages:
            if message == "Connection reset (RST)":
                if not reset:
                    wrong.append((name, message))
                continue
            if (name, message) in NO_PROTOBUF or (name == UPGRADED and "failed assertion" in message):
                continue
            owners = [owner for pattern, owner in BELONGS_TO if re.fullmatch(pattern, message)]
            if not owners or not owners[0] & rules:
                wrong.append((name, message, sorted(rules)))
    assert wrong == []


def test_the_table_says_no_more_than_is_seen(complaints):
    """Every line of the table is needed."""
    seen = {message for messages, _, _ in complaints.values() for message in messages}
    for pattern, _ in BELONGS_TO:
        assert any(re.fullmatch(pattern, message) for message in seen) or "items in the tree" in pattern
