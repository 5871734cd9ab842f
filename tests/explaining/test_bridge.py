from __future__ import annotations

from collections.abc import Iterator

from wirecase.explaining import match
from wirecase.explaining.bridge import MOST_GROUPS
from wirecase.model import (
    Accounting,
    Blast,
    CallTotals,
    ClientSees,
    Diagnosis,
    Finding,
    Occurrence,
    SourceInfo,
    Verdict,
)
from wirecase.rules import clients

NOON = 1_748_779_200 * 10**9  # 2025-06-01T12:00:00Z
S = 10**9
PATH = "/pkg.Greeter/Say"


def finding(number: int, rule: str, times: list[int], sees: list[ClientSees], **more: object) -> Finding:
    places = [Occurrence(0, 2 * i + 1, 10 * number + i, PATH, i + 1, NOON + at * S) for i, at in enumerate(times)]
    values: dict[str, object] = {
        "severity": "error",
        "certainty": "certain",
        "title": rule,
        "explanation": "",
        "who": ["proxy"],
    }
    return Finding(
        rule=rule,
        id=f"F{number}",
        occurrences=places,
        client_sees=sees,
        time=places[0].time,
        path=PATH,
        **{**values, **more},
    )  # type: ignore[arg-type]


def diagnosis(*findings: Finding) -> Diagnosis:
    source = SourceInfo("c.pcap", first=NOON)
    verdict = Verdict("", [], [], Blast(0, 0, 0.0, [], None, None))
    return Diagnosis("1", [source], verdict, list(findings), CallTotals(), Accounting())


def page(times: list[int]) -> Finding:
    sees = clients.http_error(502, "text/html", b"<html>", 150)
    return finding(1, "http-error-with-body", times, sees, details={"http_status": 502, "flag": 60})


def cut(times: list[int]) -> Finding:
    return finding(2, "body-cut-connection", times, clients.body_cut())


def line(second: float, text: str) -> str:
    minute, rest = divmod(second, 60)
    return f"2025-06-01T12:{int(minute):02}:{rest:06.3f}Z ERROR {text}"


FLAG = clients.http_error(502, "text/html", b"<html>", 150)[0].text
CUT = "rpc error: code = Unavailable desc = error reading from server: EOF"


def test_lines_meet_findings_by_text_and_time() -> None:
    found = match(
        diagnosis(page([1, 20]), cut([40])), [line(1.01, FLAG), line(20.02, FLAG), line(40.01, CUT)], "app.log"
    )
    assert [(one.findings, one.count, one.calls) for one in found.matched] == [(["F1"], 2, [10, 11]), (["F2"], 1, [20])]
    assert {"rule", "text", "flag", "HTTP status", "time"} <= set(found.matched[0].by)
    assert (found.records, found.errors, found.unexplained, found.unlogged) == (3, 3, [], [])
    assert found.offset is not None
    assert abs(found.offset) < S


def test_the_offset_of_the_clocks_is_estimated() -> None:
    ahead = 2 * 3600  # a zone that the log does not name
    log = [f"2025-06-01 14:00:{second:02}.050 ERROR {FLAG}" for second in (1, 20, 33)]
    found = match(diagnosis(page([1, 20, 33]), cut([5])), log, "app.log")
    assert found.offset == ahead * S + 50_000_000
    assert found.pairs == 3
    assert found.matched[0].calls == [10, 11, 12]
    assert found.unlogged == ["F2"]


def test_a_log_of_another_day_is_matched_by_words_alone() -> None:
    found = match(diagnosis(page([1])), [f"2024-01-01T00:00:00Z ERROR {FLAG}"], "old.log")
    assert found.offset is None
    assert found.matched[0].findings == ["F1"]
    assert "time" not in found.matched[0].by


def test_a_flag_that_differs_is_another_fault() -> None:
    found = match(diagnosis(page([1])), [line(1, FLAG.replace("flag: 60", "flag: 67"))], "app.log")
    assert found.matched == []
    assert found.unexplained[0].rules[0] == "http-error-with-body"
    assert found.unlogged == ["F1"]


def test_what_nothing_explains_is_listed() -> None:
    log = [
        line(1, "x509: certificate signed by unknown authority"),
        line(2, "grpc call failed, no idea"),
        line(3, "disk full"),
    ]
    found = match(diagnosis(page([1])), log, "app.log")
    assert [one.line for one in found.unexplained] == [1, 2]
    assert found.unexplained[0].rules[0] == "tls-alert"
    assert found.unlogged == ["F1"]


def test_a_logged_consequence_speaks_for_its_cause() -> None:
    cause = finding(3, "tcp-refused", [1], [])
    consequence = page([1])
    consequence.caused_by = "F3"
    assert match(diagnosis(consequence, cause), [line(1, FLAG)], "app.log").unlogged == []


def test_limits_of_the_capture_and_remarks_need_no_line() -> None:
    gap = finding(4, "obs-gap", [1], [], severity="warning")
    remark = finding(5, "proxy-fingerprint", [1], [], severity="info")
    assert match(diagnosis(gap, remark), [], "app.log").unlogged == []


def test_a_servers_own_message_is_found_again() -> None:
    status = finding(
        6, "grpc-app-status", [1], [], severity="info", details={"grpc_message": "quota of team 7 is used up"}
    )
    found = match(diagnosis(status), [line(1, "rpc failed: quota of team 7 is used up")], "app.log")
    assert found.matched[0].findings == ["F6"]


def test_secrets_are_masked_in_samples() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
    found = match(
        diagnosis(page([1])), [line(1, f"{FLAG} authorization: Bearer {token} password=hunter2hunter2")], "app.log"
    )
    assert token not in found.matched[0].text
    assert "hunter2" not in found.matched[0].text
    assert "masked" in found.matched[0].text


def test_a_long_log_is_kept_in_bounds() -> None:
    def log() -> Iterator[str]:
        for number in range(3000):
            word = "".join(chr(97 + int(digit)) for digit in str(number))
            yield line(number % 60, f"grpc failed in module {word}")
        for number in range(3000):
            yield line(number % 60, FLAG)

    found = match(diagnosis(page(list(range(60)))), log(), "app.log")
    assert len(found.unexplained) == MOST_GROUPS
    assert found.more_unexplained == 3000 - MOST_GROUPS
    assert found.matched[0].count == 3000
    assert len(found.matched[0].lines) <= 20
    assert found.errors == 6000
