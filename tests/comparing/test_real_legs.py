"""Both sides of real proxies, in one capture and cut into two with clocks that differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from legs import leg

from wirecase.comparing import Comparison, compare
from wirecase.pipeline import Options

FIXTURES = Path(__file__).parents[2] / "fixtures"
CADDY = FIXTURES / "healthy-caddy-both-legs/capture.pcapng", 8191, 50051
APACHE = FIXTURES / "apache-page-midstream/capture.pcapng", 8181, 50051
APACHE_TIMEOUT = FIXTURES / "apache-timeout/capture.pcapng", 8181, 50051
HAPROXY = FIXTURES / "haproxy-server-killed/capture.pcapng", 9080, 50999
HOUR = 3_600_000_000_000
MS = 1_000_000


def kinds(found: Comparison, severity: str = "error") -> set[str]:
    return {change.kind for change in found.changes if change.severity == severity}


def cut(tmp_path: Path, case: tuple[Path, int, int], shift: int = 0) -> Comparison:
    source, front, back = case
    one = leg(source, tmp_path / "front.pcap", front)
    two = leg(source, tmp_path / "back.pcap", back, shift=shift)
    return compare(Options([one]), Options([two]))


@pytest.mark.parametrize("shift", [0, 17 * MS, -3 * HOUR, 40 * 24 * HOUR])
def test_a_healthy_proxy_breaks_nothing_and_its_clock_is_found(tmp_path: Path, shift: int) -> None:
    found = cut(tmp_path, CADDY, shift)
    assert found.totals.matched == found.totals.same == 3
    assert not found.breaks
    assert not found.faults
    assert not found.only_front
    assert not found.only_back
    assert kinds(found) == set()
    assert all(pair.request_equal and pair.response_equal for pair in found.pairs)
    clock = found.clock
    assert not clock.same
    assert clock.consistent
    assert clock.uncertainty is not None
    assert clock.uncertainty < 1 * MS
    assert abs(clock.offset - shift) <= clock.uncertainty
    assert {one.direction for one in found.latency} == {"request", "response", "end"}
    for one in found.latency:
        assert -2 * clock.uncertainty <= one.least <= one.median <= one.most < 3 * MS


def test_what_a_healthy_proxy_adds_is_told(tmp_path: Path) -> None:
    found = cut(tmp_path, CADDY)
    added = {c.details["name"]: c.details for c in found.changes if c.kind == "request-header-added"}
    assert {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"} <= added.keys()
    assert added["x-forwarded-for"]["front"] is None
    assert added["x-forwarded-for"]["back"] == b"127.0.0.1"


def test_one_capture_gives_the_same_as_two(tmp_path: Path) -> None:
    for case in (CADDY, APACHE, HAPROXY):
        both = compare(Options([str(case[0])]))
        two = cut(tmp_path, case)
        assert both.clock.same
        assert both.clock.offset == 0
        assert both.totals == two.totals
        assert kinds(both) == kinds(two)
        assert [fault.hop for fault in both.faults] == [fault.hop for fault in two.faults]


def test_a_page_in_the_body_is_shown_with_its_first_byte_on_both_legs(tmp_path: Path) -> None:
    found = cut(tmp_path, APACHE, 12 * MS)
    assert found.breaks
    assert kinds(found) == {"body-replaced", "close-translated"}
    change = next(one for one in found.changes if one.kind == "body-replaced")
    at = change.details["first_difference"]
    assert at == change.details["back_bytes"] == 3784
    front, back = change.front[0], change.back[0]
    assert b"<!DOCTYPE" in front.data
    assert b"<!DOCTYPE" not in back.data
    assert front.source == 0
    assert back.source == 1
    assert front.packet is not None
    assert front.data[:16] == back.data[1:17]
    assert [(fault.hop, fault.certainty) for fault in found.faults] == [("server", "certain")]


def test_the_packet_numbers_are_those_of_each_capture(tmp_path: Path) -> None:
    source, front, _ = APACHE
    found = cut(tmp_path, APACHE)
    page = next(one for one in found.changes if one.kind == "body-replaced").front[1]
    raw = (tmp_path / "front.pcap").read_bytes()
    at, packet = 24, b""
    for _ in range(page.packet or 0):
        size = int.from_bytes(raw[at + 8 : at + 12], "little")
        packet, at = raw[at + 16 : at + 16 + size], at + 16 + size
    assert page.data[:40] in packet
    assert source.exists()
    assert front == 8181


def test_a_proxy_that_hides_a_killed_server(tmp_path: Path) -> None:
    found = cut(tmp_path, HAPROXY)
    assert kinds(found) == {"close-translated"}
    assert found.faults[0].hop == "server"
    assert found.changes[0].details["back_how"] == "fin"
    assert found.changes[0].details["front_how"] == "data"
    assert found.changes[0].details["ended_first"] == "back"


def test_a_proxy_that_gives_up_first_is_at_fault_itself(tmp_path: Path) -> None:
    """The server's answer comes after the proxy's 503: nothing was rewritten."""
    for found in (compare(Options([str(APACHE_TIMEOUT[0])])), cut(tmp_path, APACHE_TIMEOUT)):
        assert "ended-by-proxy" in kinds(found) | kinds(found, "warning")
        assert not {"status-rewritten", "http-status-rewritten", "trailers-lost"} & kinds(found)
        assert found.faults[0].hop == "proxy"


def test_captures_of_other_traffic_match_nothing(tmp_path: Path) -> None:
    one = leg(CADDY[0], tmp_path / "one.pcap", CADDY[1])
    found = compare(Options([one]), Options([str(FIXTURES / "incident/capture.pcapng")]))
    assert not found.totals.matched
    assert not found.breaks
    assert not found.faults


def test_calls_that_never_went_on(tmp_path: Path) -> None:
    """The last call's packets are missing behind, though the capture covers its time: only then something is said."""
    source, front, back = CADDY
    whole = compare(Options([str(source)]))
    last = max(pair.back.opened.packet for pair in whole.pairs)
    ended = {pair.back.opened.packet: pair for pair in whole.pairs}[last]
    assert ended.back.ended is not None
    one = leg(source, tmp_path / "front.pcap", front)
    two = leg(source, tmp_path / "back.pcap", back, edit=lambda number, packet: packet if number < last else None)
    found = compare(Options([one]), Options([two]))
    assert found.totals.matched == 2
    assert [single.reason for single in found.only_front] == ["outside"]
    assert found.totals.only_front == 0
    assert not found.breaks
