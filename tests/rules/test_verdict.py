"""The headline, the order of root causes, what was not inspected, and how far the faults reach."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from captured import Capture
from h2_bytes import data, message, rst

from wirecase.model import CallTotals, ConnectionRef, Damage, Finding, Occurrence, Severity, Verdict
from wirecase.pipeline import Options, diagnose
from wirecase.rules.verdict import verdict
from wirecase.session.run import Hidden, Run


def run(total: int = 0, ok: int = 0, **facts: object) -> Run:
    whole = {
        "sources": [],
        "damages": [],
        "protocols": Counter(h2=1),
        "findings": [],
        "calls": CallTotals(total=total, ok=ok, failed=total - ok),
    }
    return Run(**{**whole, **facts})  # type: ignore[arg-type]


def finding(
    number: int,
    rule: str,
    severity: Severity = "error",
    *,
    streams: int = 0,
    caused_by: str | None = None,
    count: int | None = None,
    path: str | None = "/a.B/C",
) -> Finding:
    places = [Occurrence(0, 2 * n + 1, n, path, n, 1000 + n) for n in range(min(streams, 100))]
    return Finding(
        rule=rule,
        severity=severity,
        certainty="certain",
        title=f"Title of {rule}",
        explanation="",
        who=["proxy"],
        id=f"F{number}",
        caused_by=caused_by,
        connection=ConnectionRef(0, "c:1", "s:1"),
        stream=1 if streams else None,
        call=0 if streams else None,
        time=number,
        count=count or max(streams, 1),
        occurrences=places,
    )


def test_a_clean_capture_is_said_to_be_clean_with_its_counts() -> None:
    told = verdict([], run(12, 12, protocols=Counter(h2=3)))
    assert told.headline == "No wire fault found: 12 gRPC calls on 3 HTTP/2 connections, 12 ok."
    assert told.root_causes == []


def test_what_was_not_inspected_never_reads_as_clean() -> None:
    told = verdict([], run(0, 0, protocols=Counter(tls=3), hidden={"no-keys": Hidden(3, Counter({"s:443": 3}))}))
    assert "3 TLS connections without keys" in told.not_inspected
    assert "3 TLS connections without keys" in told.headline
    assert "nothing can be said" in told.headline
    half = verdict([], run(2, 2, protocols=Counter(h2=1, tls=1), hidden={"no-keys": Hidden(1, Counter({"s:443": 1}))}))
    assert "found" not in half.headline.split(":")[0]
    assert "1 TLS connection without keys" in half.headline


def test_damage_and_links_are_named() -> None:
    told = verdict([], run(1, 1, damages=[Damage(0, 5, "cut", 3)], unsupported_links={147: 9}))
    assert any("damaged" in phrase for phrase in told.not_inspected)
    assert any("link type 147" in phrase for phrase in told.not_inspected)


def test_an_empty_input() -> None:
    assert "nothing can be said" in verdict([], run(protocols=Counter())).headline


def test_the_headline_says_how_many_what_and_who() -> None:
    told = verdict([finding(1, "rst-midbody", streams=3)], run(40, 37))
    assert told.headline.startswith("3 of 40 gRPC calls are hit (8%): Title of rst-midbody.")
    assert "a proxy" in told.headline
    assert (told.blast.calls, told.blast.of, told.blast.paths) == (3, 40, ["/a.B/C"])
    assert told.blast.share == 0.075


def test_one_call_of_one() -> None:
    assert verdict([finding(1, "rst-midbody", streams=1)], run(1)).headline.startswith("The only gRPC call is hit:")
    assert verdict([finding(1, "rst-midbody", streams=2)], run(2)).headline.startswith("Both gRPC calls are hit:")


def test_a_fault_that_names_no_call() -> None:
    assert verdict([finding(1, "tcp-refused")], run(0)).headline.startswith("No gRPC call came about:")
    assert verdict([finding(1, "tcp-refused")], run(5, 5)).headline.startswith(
        "No gRPC call is known to be hit (5 seen):"
    )


def test_more_than_a_hundred_places_are_counted() -> None:
    assert verdict([finding(1, "rst-midbody", streams=100, count=4000)], run(9000, 5000)).blast.calls == 4000


def test_calls_are_never_more_than_there_were() -> None:
    assert verdict([finding(1, "rst-midbody", streams=9)], run(3)).blast.calls == 3


def test_roots_are_what_nothing_explains_the_weightiest_first() -> None:
    findings = [
        finding(1, "grpc-status-missing", streams=1, caused_by="F4"),
        finding(2, "obs-gap", "warning"),
        finding(3, "grpc-deadline", "warning", streams=30),
        finding(4, "rst-midbody", streams=2),
        finding(5, "rst-midbody", streams=7),
        finding(6, "proxy-fingerprint", "info", streams=50),
    ]
    told = verdict(findings, run(100, 60))
    assert told.root_causes == ["F5", "F4", "F3", "F2"]


def test_a_warning_that_explains_an_error_weighs_like_one() -> None:
    findings = [
        finding(1, "goaway-race", streams=4, caused_by="F3"),
        finding(2, "rst-midbody", streams=1),
        finding(3, "goaway-max-requests", "warning"),
    ]
    assert verdict(findings, run(9)).root_causes == ["F3", "F2"]


def test_limits_alone_are_no_fault() -> None:
    told = verdict([finding(1, "obs-gap", "warning", streams=2)], run(3, 3))
    assert told.headline.startswith("No wire fault in what could be read:")
    assert told.blast.calls == 0


def test_other_causes_are_announced() -> None:
    told = verdict([finding(1, "rst-midbody", streams=3), finding(2, "tcp-zero-window", "warning")], run(5))
    assert "1 further root cause below." in told.headline


def test_the_first_cause_tells_how_many_calls_are_its_own() -> None:
    findings = [finding(1, "rst-midbody", streams=3), finding(2, "tcp-zero-window", "warning")]
    assert "3 of 5 gRPC calls are hit: Title" in verdict(findings, run(5)).headline
    other = finding(3, "http-error-with-body")
    other.occurrences, other.call = [Occurrence(9, 1, 9, "/a.B/C", 1, 1)], 9
    assert "4 of 5 gRPC calls are hit, 3 of them by this: Title" in verdict([*findings, other], run(5)).headline


def test_what_hangs_on_the_same_stream_adds_no_calls_of_other_causes() -> None:
    cause, other = finding(1, "http-error-with-body", streams=1), finding(2, "http-error-empty")
    other.occurrences, other.call = [Occurrence(0, 9, 9, "/a.B/C", 1, 1)], 9
    both = finding(3, "grpc-invalid-compression-flag", streams=4, caused_by="F1")
    both.link = "stream"
    assert "5 of 6 gRPC calls are hit, 1 of them by this" in verdict([cause, other, both], run(6)).headline


def test_the_chain_is_told_to_the_leg_of_the_client() -> None:
    back, front, top = (
        finding(1, "body-cut-connection", streams=1),
        finding(2, "rst-midbody", streams=1, caused_by="F1"),
        finding(3, "http-error-empty", streams=1, caused_by="F2"),
    )
    for place, one in enumerate((back, front, top)):
        one.connection = ConnectionRef(place, "c:1", f"s:{place}")
    told = verdict([back, front, top], run(1)).headline
    assert "Title of body-cut-connection. What became of it at s:2: Title of http-error-empty. Most likely" in told


def test_a_cause_that_is_inferred_from_the_time_is_never_certain() -> None:
    cause, page = finding(1, "tcp-refused"), finding(2, "http-error-with-body", streams=1, caused_by="F1")
    for link, words in (("moment", "at fault (probable):"), ("server", "(probable)"), ("leg", "at fault: a proxy")):
        page.link = link  # type: ignore[assignment]
        assert words in verdict([cause, page], run(1)).headline


def test_what_is_refused_afterwards_takes_nothing_from_the_cause() -> None:
    cut, refused = finding(1, "body-cut-connection", streams=1), finding(2, "tcp-refused", caused_by="F1")
    refused.link, refused.call = "server", None
    assert "at fault: " in verdict([cut, refused], run(1)).headline


def test_a_nat_that_passes_a_fault_on_makes_nothing_of_it() -> None:
    back, front = finding(1, "body-cut-connection", streams=1), finding(2, "body-cut-connection", caused_by="F1")
    back.connection, front.connection = ConnectionRef(0, "c:1", "s:0"), ConnectionRef(1, "c:1", "s:1")
    assert "What became of it" not in verdict([back, front], run(1)).headline


def test_a_proxy_whose_both_sides_were_seen_is_named() -> None:
    race = finding(1, "proxy-upstream-race", streams=1)
    race.who, race.details = ["proxy", "server"], {"proxy_address": "10.0.0.9:80"}
    assert "at fault: the proxy (10.0.0.9:80)." in verdict([race], run(1)).headline


def test_calls_whose_ends_are_not_shown_are_hit() -> None:
    unseen = finding(1, "call-end-unseen", count=2)
    unseen.connection, unseen.who, unseen.details = None, ["unknown"], {"paths": ["/a.B/C"]}
    told = verdict([unseen], run(5, 3))
    assert told.headline == "2 of 5 gRPC calls are hit: Title of call-end-unseen. Who is at fault is not shown."
    assert told.blast.paths == ["/a.B/C"]


def test_of_equal_causes_the_better_proven_comes_first() -> None:
    sure, guess = finding(2, "rst-midbody", streams=2), finding(1, "stream-stalled", streams=2)
    guess.certainty = "possible"
    below = finding(3, "grpc-deadline", "warning", streams=2, caused_by="F1")
    assert verdict([sure, guess, below], run(9)).root_causes == ["F2", "F1"]


def test_a_client_that_is_content_with_broken_bytes_is_a_headline_of_its_own() -> None:
    cut = finding(1, "grpc-message-truncated", streams=1)
    content = finding(2, "client-accepts-broken-bytes", "info", streams=1, caused_by="F1")
    assert verdict([cut, content], run(1)).headline.startswith("The wire was broken and the client was most likely")
    content.certainty = "possible"
    assert verdict([cut, content], run(1)).headline.startswith("The only gRPC call is hit:")


def test_from_bytes() -> None:
    capture = Capture()
    connection = capture.connect().hello()
    for stream in (1, 3, 5):
        connection.call(stream)
    connection.request(7).headers(7).server(data(7, message(b"x")), rst(7, 2)).close()
    told: Verdict = capture.diagnose().verdict
    assert told.headline.startswith(
        "1 of 4 gRPC calls is hit: The server reset the stream with INTERNAL_ERROR (2) after 1 message."
    )
    assert told.not_inspected == []


def test_blame_is_only_probable_where_either_end_may_have_it() -> None:
    for who, said in (
        (["server", "proxy"], "at fault: the server"),
        (["server", "client"], "at fault (probable): the s"),
    ):
        one = finding(1, "a-rule", streams=1)
        one.who = list(who)
        assert f"Most likely {said}" in verdict([one], run(1)).headline


def test_what_host_left_out_is_told_as_that() -> None:
    nothing: Counter[str] = Counter()
    assert verdict([], run(protocols=nothing)).headline.startswith("No TCP connection is in the input")
    for count, said in (
        (1, "The only TCP connection is not of the host"),
        (3, "None of 3 TCP connections is of the host"),
    ):
        assert verdict([], run(protocols=nothing, left_out=count)).headline.startswith(said)


def test_connections_of_other_hosts_are_counted() -> None:
    capture = str(Path(__file__).parents[2] / "fixtures/incident/capture.pcapng")
    headline = diagnose(Options([capture], host="192.0.2.99")).verdict.headline
    assert headline.endswith(" of the host that was asked for: nothing can be said.")
