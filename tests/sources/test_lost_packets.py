"""Interface statistics (§4.6 of the format): what the tool lost is told, and silence is blamed less firmly for it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from wirecase.pipeline import Options, diagnose
from wirecase.sources import Source
from wirecase.sources.pcapng_blocks import lost_packets

FIXTURES = Path(__file__).parents[2] / "fixtures"
SILENT = FIXTURES / "stream-no-response" / "capture.pcapng"


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def statistics(interface: int, **lost: int) -> bytes:
    body = struct.pack("<III", interface, 0, 0)
    for name, count in lost.items():
        body += option({"ifrecv": 4, "ifdrop": 5, "osdrop": 7, "comment": 1}[name], struct.pack("<Q", count))
    body += option(0, b"")
    return struct.pack("<II", 5, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


@pytest.mark.parametrize(
    ("blocks", "lost"),
    [
        ([], None),
        ([statistics(0, ifrecv=9)], None),
        ([statistics(0, ifrecv=9, ifdrop=0)], 0),
        ([statistics(0, ifdrop=3, osdrop=4)], 7),
        ([statistics(0, ifdrop=3), statistics(0, ifdrop=5)], 5),
        ([statistics(0, ifdrop=5), statistics(0, ifdrop=3)], 5),
        ([statistics(9, ifdrop=5)], None),
        ([statistics(0, ifdrop=(1 << 64) - 1)], 1 << 62),
    ],
    ids=["none", "silent", "zero", "both", "cumulative", "falling", "no such interface", "absurd"],
)
def test_what_was_lost(blocks: list[bytes], lost: int | None, tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(SILENT.read_bytes() + b"".join(blocks))
    source = Source(str(path))
    assert sum(len(batch.starts) for batch in source.batches()) > 10
    assert source.info.dropped == lost
    assert not source.damages


def test_a_block_cut_anywhere_is_no_crash() -> None:
    whole = bytearray(statistics(0, ifdrop=3, osdrop=4))
    for end in range(8, len(whole)):
        found = lost_packets(whole, 8, end, "<")
        assert found is None or found[0] == 0


def test_silence_is_blamed_less_firmly(tmp_path: Path) -> None:
    before = {one.rule: one for one in diagnose(Options([str(SILENT)])).findings}
    path = tmp_path / "capture.pcapng"
    path.write_bytes(SILENT.read_bytes() + statistics(0, ifdrop=1))
    found = diagnose(Options([str(path)]))
    after = {one.rule: one for one in found.findings}
    assert (before["stream-no-response"].certainty, after["stream-no-response"].certainty) == ("probable", "possible")
    assert "lost 1 packet:" in after["stream-no-response"].explanation
    assert after["rst-cancel-by-client"].certainty == "certain", "a frame that was seen was seen"
    assert after["obs-capture-drops"].details == {"dropped": 1, "captured": found.sources[0].packets}
    assert "1 packet that the capture tool lost" in found.verdict.not_inspected
