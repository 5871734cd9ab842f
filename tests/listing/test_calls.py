"""Every call becomes one row, healthy ones too, and looking at them changes no verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from captures import Conversation, http2, merge, pcap
from h2_bytes import RESPONSE, Script, data, goaway, message, rst

from wirecase import listing
from wirecase.errors import UsageError
from wirecase.listing.store import SORT_FIELDS
from wirecase.model import CLIENT, SERVER, Diagnosis
from wirecase.pipeline import Options, diagnose
from wirecase.query import CallRow, compile_filter

FIXTURES = Path(__file__).parents[2] / "fixtures"
CAPTURES = [
    "incident", "goaway-race", "grpc-web-on-grpc", "obs-midconnection", "obs-gap", "rst-midbody", "h2-rapid-reset",
    "healthy-streaming", "healthy-h2c-upgrade", "stream-ids-exhausted",
]  # fmt: skip


def capture_of(case: str) -> str:
    return str(next(path for path in sorted((FIXTURES / case).iterdir()) if path.name.startswith("capture.pcap")))


def told(diagnosis: Diagnosis) -> Any:
    findings = [(one.id, one.rule, one.title, one.call, one.count, one.caused_by) for one in diagnosis.findings]
    return findings, diagnosis.calls, diagnosis.verdict, diagnosis.accounting


@pytest.mark.parametrize("case", CAPTURES)
def test_listing_changes_no_verdict_and_misses_no_call(case: str) -> None:
    options = Options([capture_of(case)])
    calls = listing.list_calls(options)
    assert told(calls.diagnosis) == told(diagnose(options))
    rows = list(calls)
    numbers = [row.call for row in rows]
    assert numbers == sorted(set(numbers))
    totals = calls.diagnosis.calls
    assert sum(row.kind in ("grpc", "unknown") for row in rows) == totals.total + totals.legs
    placed = {
        (one.rule, place.call)
        for one in calls.diagnosis.findings
        for place in one.occurrences
        if place.call is not None
    }
    assert placed <= {(rule, row.call) for row in rows for rule in row.rules}


def script_of(calls: int) -> Script:
    script = Script().hello()
    for number in range(calls):
        script.request(2 * number + 1, message(b"ask")).response(2 * number + 1, message(b"x" * (number % 7)))
    return script


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    """Two connections at once: 300 healthy calls, one with a status, one reset after a message, one cut by a FIN."""
    one = script_of(300)
    two = Script().hello()
    peer = two.peers[SERVER]
    two.request(1, message(b"a")).response(1, message(b"b"), (("grpc-status", "14"),))
    two.request(3, message(b"a")).server(peer.headers(3, RESPONSE), data(3, message(b"12345"))).server(rst(3, 2))
    two.request(5, message(b"a")).server(peer.headers(5, RESPONSE), data(5, message(b"1") + b"\0\0\0\0\x09abc"))
    first, second = http2(one), Conversation((40_001, 50_051)).open().play(two).fin(SERVER)
    path = tmp_path / "mixed.pcap"
    path.write_bytes(pcap(merge([first, second])))
    return str(path)


def rows_of(path: str, text: str, **options: Any) -> list[CallRow]:
    return list(listing.list_calls(Options([path]), where=compile_filter(text), **options))


def test_rows_tell_how_calls_went(mixed: str) -> None:
    (reset,) = rows_of(mixed, "connection=1 and how=rst")
    assert (reset.stream, reset.by, reset.error, reset.status, reset.http) == (3, "server", 2, None, 200)
    assert (reset.messages_sent, reset.messages_received, reset.bytes_received) == (1, 1, 10)
    assert reset.ended is not None
    assert reset.duration == reset.ended - reset.started > 0
    assert reset.rules == ("rst-midbody",)
    assert reset.findings
    (cut,) = rows_of(mixed, "how=fin")
    assert (cut.by, cut.messages_received, cut.bytes_received) == ("server", 1, 14)
    assert len(rows_of(mixed, "status=0 and not finding and how=trailers")) == 300
    assert [row.status for row in rows_of(mixed, "status=UNAVAILABLE")] == [14]


def test_a_filter_on_findings_knows_their_final_ids(mixed: str) -> None:
    calls = listing.list_calls(Options([mixed]))
    for finding in calls.diagnosis.findings:
        rows = rows_of(mixed, f"finding={finding.id}")
        assert [row.call for row in rows] == [place.call for place in finding.occurrences]


@pytest.mark.parametrize("sort", [field for name in SORT_FIELDS for field in (name, f"-{name}")])
def test_every_order(mixed: str, sort: str) -> None:
    everything = list(listing.list_calls(Options([mixed]), sort=sort))
    assert len(everything) == 303
    first = list(listing.list_calls(Options([mixed]), sort=sort, limit=20))
    assert [row.call for row in first] == [row.call for row in everything[:20]]
    late = rows_of(mixed, "call>=0 or finding", sort=sort, limit=20)  # sorted before it is filtered
    assert [row.call for row in late] == [row.call for row in first]


def test_orders_put_what_is_missing_last(mixed: str) -> None:
    for sort in ("status", "-status"):
        statuses = [row.status for row in listing.list_calls(Options([mixed]), sort=sort)]
        assert statuses[-2:] == [None, None]
    sizes = [row.bytes_sent + row.bytes_received for row in listing.list_calls(Options([mixed]), sort="-bytes")]
    assert sizes == sorted(sizes, reverse=True)


def test_an_unknown_order_is_a_usage_error(mixed: str) -> None:
    with pytest.raises(UsageError, match="did you mean duration"):
        listing.list_calls(Options([mixed]), sort="-duratin")


def test_many_rows_are_written_out_in_batches(tmp_path: Path) -> None:
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap(http2(script_of(2_500)).packets))
    calls = listing.list_calls(Options([str(path)]))
    assert [row.call for row in calls] == list(range(2_500))
    assert [row.call for row in calls] == list(range(2_500)), "asked again"


def test_a_goaway_that_ends_a_call_tells_its_code(tmp_path: Path) -> None:
    script = Script().hello()
    script.request(1, message(b"a")).response(1, message(b"b"))
    script.request(3, message(b"a")).server(goaway(1, 11, b"too_many_pings"))
    path = tmp_path / "goaway.pcap"
    path.write_bytes(pcap(http2(script, SERVER).packets))
    rows = rows_of(str(path), "how=goaway")
    assert [(row.stream, row.by, row.error) for row in rows] == [(3, "server", 11)]


def test_an_open_call_lasts_as_long_as_it_was_seen(tmp_path: Path) -> None:
    talk = Conversation().open().play(Script().hello().request(1, message(b"a"))).wait(5)
    talk.send(CLIENT, b"")  # an ACK
    path = tmp_path / "open.pcap"
    path.write_bytes(pcap(talk.packets))
    (row,) = rows_of(str(path), "how=open")
    assert row.ended is None
    assert 5_000_000_000 <= row.duration < 5_100_000_000
    assert row.status is None
