"""What explains what: the table, its scopes, and that it never runs in circles."""

from __future__ import annotations

from itertools import count

from captured import ACK, RST, SYN, Capture
from h2_bytes import END_STREAM, data, goaway, message, rst

from wirecase.model import ConnectionRef, Finding, Occurrence, Severity
from wirecase.rules import ALL_RULES
from wirecase.rules.cause_table import TABLE
from wirecase.rules.causes import link

S = 1_000_000_000
NUMBERS = count(1)


def finding(
    rule: str,
    connection: int = 0,
    stream: int | None = 1,
    time: float = 0,
    *,
    severity: Severity = "error",
    server: str = "s:1",
    call: int | None = None,
    at: list[float] | None = None,
    **details: object,
) -> Finding:
    places = [Occurrence(connection, stream, call, None, 1, int(t * S)) for t in (at or [time])]
    return Finding(
        rule=rule,
        severity=severity,
        certainty="certain",
        title=rule,
        explanation="",
        who=["server"],
        id=f"F{next(NUMBERS)}",
        connection=ConnectionRef(connection, "c:1", server),
        stream=stream,
        call=call,
        time=int(time * S),
        occurrences=places,
        details=details,
    )


def test_every_rule_that_the_table_names_exists() -> None:
    known = {rule.id for rule in ALL_RULES}
    assert set(TABLE) <= known
    for row in TABLE.values():
        assert {*row.stream, *row.connection, *row.backend, *row.server} <= known


def test_the_same_stream_comes_before_the_same_connection() -> None:
    missing = finding("grpc-status-missing")
    here, there = finding("rst-midbody"), finding("body-cut-connection", stream=3)
    link([missing, there, here])
    assert missing.caused_by == here.id


def test_another_stream_explains_nothing_about_a_stream() -> None:
    flag = finding("grpc-invalid-compression-flag", stream=1)
    link([flag, finding("http-error-with-body", stream=3)])
    assert flag.caused_by is None


def test_an_occurrence_counts_like_the_first_place() -> None:
    flag = finding("grpc-invalid-compression-flag", stream=1)
    flag.occurrences.append(Occurrence(0, 7, None, None, 2, 0))
    page = finding("http-error-with-body", stream=7)
    link([flag, page])
    assert flag.caused_by == page.id


def test_a_backend_s_fault_explains_the_front_s_answer() -> None:
    page = finding("http-error-with-body", 0, 1, 10.0, server="front:1", http_status=502, call=1)
    refused = finding("tcp-refused", 1, None, 9.8, server="back:1")
    link([page, refused])
    assert page.caused_by == refused.id


def test_a_fault_long_before_or_after_explains_nothing() -> None:
    for time in (5.0, 10.9):
        page = finding("http-error-with-body", 0, 1, 10.0, server="front:1", http_status=502)
        link([page, finding("tcp-refused", 1, None, time, server="back:1")])
        assert page.caused_by is None


def test_a_fault_of_the_same_server_is_no_backend_s() -> None:
    page = finding("http-error-with-body", 0, 1, 10.0, server="front:1", http_status=502)
    link([page, finding("body-cut-connection", 1, 1, 9.9, server="front:1", by="server")])
    assert page.caused_by is None


def test_only_a_gateway_s_error_speaks_of_the_backend() -> None:
    page = finding("http-error-empty", 0, 1, 10.0, server="front:1", http_status=400)
    link([page, finding("tcp-refused", 1, None, 9.9, server="back:1")])
    assert page.caused_by is None


def test_an_answer_that_was_passed_on_comes_from_the_leg_behind() -> None:
    edge = finding("http-error-with-body", 0, 1, 10.0, server="edge:1", call=5, http_status=502)
    ingress = finding("http-error-with-body", 1, 1, 9.999, server="ingress:1", call=6, http_status=502)
    refused = finding("tcp-refused", 2, None, 9.99, server="back:1")
    link([edge, refused, ingress])
    assert (edge.caused_by, ingress.caused_by) == (ingress.id, refused.id)


def test_an_answer_that_had_begun_was_not_refused() -> None:
    reset = finding("rst-midbody", 0, 1, 10.0, server="front:1", by="server")
    link([reset, finding("tcp-refused", 1, None, 9.9, server="back:1")])
    assert reset.caused_by is None


def test_a_server_that_died_refuses_afterwards() -> None:
    died = finding("body-cut-connection", 0, 1, 10.0, server="back:1", by="server")
    refused = finding("tcp-refused", 1, None, 11.0, server="back:1")
    elsewhere = finding("tcp-refused", 2, None, 11.0, server="other:1")
    late = finding("tcp-refused", 3, None, 500.0, server="back:1")
    link([refused, elsewhere, late, died])
    assert (refused.caused_by, elsewhere.caused_by, late.caused_by) == (died.id, None, None)


def test_the_call_behind_has_the_higher_number() -> None:
    page = finding("rst-midbody", 0, 1, 10.0, server="front:1", call=5, by="server")
    before = finding("body-cut-connection", 1, 1, 9.9, server="back:1", call=4, by="server")
    link([page, before])
    assert page.caused_by is None
    behind = finding("body-cut-connection", 1, 1, 9.9, server="back:1", call=6, by="server")
    link([page, behind])
    assert page.caused_by == behind.id


def test_most_places_must_have_a_cause_nearby() -> None:
    page = finding("http-error-with-body", 0, 1, 10, server="front:1", http_status=502, at=[10, 20, 30, 40])
    refused = finding("tcp-refused", 1, None, 9.9, server="back:1", at=[9.9])
    link([page, refused])
    assert page.caused_by is None
    many = finding("tcp-refused", 2, None, 9.9, server="back:1", at=[9.9, 19.9, 29.9])
    link([page, many])
    assert page.caused_by == many.id


def test_several_backends_may_share_the_blame() -> None:
    page = finding("http-error-with-body", 0, 1, 10, server="front:1", http_status=502, at=[10, 20, 30])
    died = [
        finding("body-cut-connection", n + 1, 1, 10 * (n + 1) - 0.1, server="back:1", by="server") for n in range(3)
    ]
    link([page, *died])
    assert page.caused_by in {cause.id for cause in died}


def test_a_backend_that_never_answered_may_take_its_time() -> None:
    page = finding("http-error-with-body", 0, 1, 70.0, server="front:1", http_status=504)
    silent = finding("stream-no-response", 1, 1, 10.0, server="back:1", severity="warning", by="server")
    link([page, silent])
    assert page.caused_by == silent.id


def test_a_reaction_comes_after_and_from_the_other_side() -> None:
    cut = finding("body-cut-connection", time=5, by="client")
    link([cut, finding("h2-frame-size", time=6, by="server"), finding("h2-malformed-headers", time=4, by="client")])
    assert cut.caused_by is None
    breach = finding("h2-frame-size", time=4, by="server")
    link([cut, breach])
    assert cut.caused_by == breach.id


def test_information_is_never_a_root_cause() -> None:
    page = finding("http-error-with-body")
    link([page, finding("grpc-missing-te", severity="info")])
    assert page.caused_by is None


def test_what_ties_a_finding_to_its_cause_is_told() -> None:
    page = finding("http-error-with-body", 0, 1, 10.0, server="front:1", http_status=502)
    flag = finding("grpc-invalid-compression-flag", 0, 1, 10.0, server="front:1")
    refused = finding("tcp-refused", 1, None, 9.9, server="back:1")
    link([page, flag, refused])
    assert (flag.caused_by, flag.link) == (page.id, "stream")
    assert (page.caused_by, page.link) == (refused.id, "moment")
    assert "inferred from the time" in page.explanation
    assert "inferred" not in flag.explanation
    assert refused.link is None


def test_of_several_causes_the_best_proven_is_named() -> None:
    late = finding("stream-stalled", 0, 1, 5.0)
    guess, sure = finding("fc-connection-stalled", 0, None, 4.0), finding("fc-connection-stalled", 0, None, 4.0)
    guess.certainty = "possible"
    link([late, guess, sure])
    assert late.caused_by == sure.id


def test_no_circles() -> None:
    everything = [
        finding(rule, connection, 1, number / 100, server=f"s:{connection}", call=number, severity="warning")
        for connection in (0, 1)
        for number, rule in enumerate(TABLE)
    ]
    link(everything)
    by_id = {f.id: f for f in everything}
    for start in everything:
        seen, step = set(), start
        while step.caused_by is not None:
            assert step.id not in seen
            seen.add(step.id)
            step = by_id[step.caused_by]


def test_ten_thousand_findings_are_no_trouble() -> None:
    pages = [finding("http-error-with-body", n, 1, n, server="front:1", http_status=502) for n in range(2000)]
    link([*pages, *(finding("tcp-refused", 5000 + n, None, n - 0.1, server="back:1") for n in range(50))])
    assert sum(page.caused_by is not None for page in pages) == 50


def test_thousands_of_legs_are_told_apart() -> None:
    resets = [finding("rst-midbody", n, 1, 1 + n, server=f"s:{n % 7}", by="server", call=2 * n) for n in range(2000)]
    cuts = [
        finding("body-cut-connection", 5000 + n, 1, 0.9 + n, server=f"b:{n % 7}", by="server", call=2 * n + 1)
        for n in range(2000)
    ]
    link([*resets, *cuts])
    assert [reset.caused_by for reset in resets] == [cut.id for cut in cuts]


# --- from bytes ------------------------------------------------------------------------------------------------------


def by_rule(capture: Capture) -> dict[str, Finding]:
    return {f.rule: f for f in capture.diagnose().findings}


def test_a_proxy_s_502_over_a_refused_backend() -> None:
    capture = Capture()
    front = capture.connect("10.0.0.1:40000", "10.0.0.2:443").hello().request()
    back = capture.connect("10.0.0.2:50000", "10.0.0.3:50051", established=False)
    back.packet(0, SYN)
    back.packet(1, RST | ACK, seq=0)
    front.headers(1, ((":status", "502"), ("content-type", "text/html"))).server(
        data(1, b"<html>502", END_STREAM)
    ).close()
    found = by_rule(capture)
    assert found["grpc-invalid-compression-flag"].caused_by == found["http-error-with-body"].id
    assert found["http-error-with-body"].caused_by == found["tcp-refused"].id
    assert found["tcp-refused"].caused_by is None
    assert capture.diagnose().verdict.root_causes == [found["tcp-refused"].id]


def test_a_reset_on_the_front_over_a_cut_on_the_back() -> None:
    capture = Capture()
    front = capture.connect("10.0.0.1:40000", "10.0.0.2:443").hello().request()
    back = capture.connect("10.0.0.2:50000", "10.0.0.3:50051").hello().request().headers()
    back.server(data(1, message(b"one")))
    front.headers().server(data(1, message(b"one")))
    back.fin(1)
    front.server(rst(1, 2)).close()
    back.fin(0)
    found = by_rule(capture)
    assert found["rst-midbody"].caused_by == found["body-cut-connection"].id


def test_a_crash_that_is_announced() -> None:
    capture = Capture()
    connection = capture.connect().hello().request().headers().server(data(1, message(bytes(90))[:50]))
    connection.server(goaway(1, 2, b"worker crashed")).fin(1).fin(0)
    found = by_rule(capture)
    assert found["body-cut-connection"].caused_by == found["goaway-error"].id


def test_a_deadline_over_a_silent_server() -> None:
    capture = Capture()
    capture.connect().hello().request(extra=(("grpc-timeout", "2S"),)).wait(2).client(rst(1, 8)).close()
    found = by_rule(capture)
    assert found["grpc-deadline"].caused_by == found["stream-no-response"].id
    assert found["rst-cancel-by-client"].caused_by == found["grpc-deadline"].id
