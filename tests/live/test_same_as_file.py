"""Whatever is asked in between, a live session ends with what a file says: every fixture, a few packets at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wirecase.live import LivePipeline
from wirecase.model import Diagnosis, PacketBatch
from wirecase.pipeline import Options, diagnose
from wirecase.sources import Source

FIXTURES = Path(__file__).parents[2] / "fixtures"
LONGEST = 300_000
"""Bytes of a fixture that is read twice here."""
CASES = sorted(
    path
    for path in FIXTURES.glob("*/capture.pcap*")
    if path.stat().st_size <= LONGEST and path.parent.name != "container-not-a-capture"
)


def few(batch: PacketBatch, count: int) -> Iterator[PacketBatch]:
    for at in range(0, len(batch.starts), count):
        cut = slice(at, at + count)
        yield PacketBatch(
            batch.source, batch.link, batch.data, batch.starts[cut], batch.caplens[cut], batch.lengths[cut],
            batch.times[cut], batch.first_number + at, form=batch.form,
        )  # fmt: skip


def told(found: Diagnosis) -> tuple[object, ...]:
    findings = [(f.id, f.rule, f.severity, f.certainty, f.count, f.title, f.explanation) for f in found.findings]
    return findings, found.calls, found.accounting, found.verdict.headline


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.parent.name)
def test_live_and_file(path: Path) -> None:
    live = LivePipeline(Options([str(path)]), clock=lambda: 0)
    source = Source(str(path))
    keys = live.pipeline.keys
    keys.begin([source])
    for batch in source.batches():
        keys.take(source)
        for some in few(batch, 7):
            live.feed(some)
            live.pass_time()
            live.news()
    keys.take(source)
    live.board()
    expected = diagnose(Options([str(path)]), on_call=lambda _call, _findings: None)
    assert told(live.finish([source], interrupted=False)) == told(expected)


def test_there_are_many() -> None:
    assert len(CASES) > 100
