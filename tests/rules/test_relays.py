"""One call on both sides of a proxy: what the proxy changed, and the connection that closed under its request."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from wirecase.model import CLIENT, SERVER, CallTotals, ConnectionRef, Mark
from wirecase.pipeline import Options, diagnose
from wirecase.rules.base import Match
from wirecase.rules.leg_match import CallPrint
from wirecase.rules.relays import CROSSED, HELD_BACK, IDLE, RULES, SOON
from wirecase.session.run import Run

FIXTURES = Path(__file__).parents[2] / "fixtures"
MS = 1_000_000
DISAGREE, RACE = "proxy-legs-disagree", "proxy-upstream-race"


def leg(index: int, begun: float, over: float, **facts: Any) -> CallPrint:
    """A call on connection `index` from `begun` to `over`, ms; by default a healthy one."""
    known: dict[str, Any] = {
        "source": 0, "path": "/a.B/C", "client": "c", "server": f"s:{index}", "ids": frozenset((1,)),
        "request": (9, 9), "asked": True, "response": (9, 9), "proxied": frozenset(), "agent": None, "settings": None,
        "outcome": "ok", "status": b"0", "http": 200, "how": "trailers", "by": SERVER, "answered": True,
        "quiet": None, "whole": True,
    }  # fmt: skip
    known |= facts
    start, end = int(begun * MS), int(over * MS)
    source = known["source"]
    return CallPrint(
        call=index, place=(index, 1), start=start, end=end, begun=Mark(source, 1, start, 0),
        over=Mark(source, 2, end, 0),
        **known,
    )  # fmt: skip


def found(rule: str, front: CallPrint, *backs: CallPrint) -> list[Match]:
    run = Run([], [], Counter(), CallTotals(), [])
    run.leg_pairs = [(back, front) for back in backs]
    run.leg_refs = {one.place[0]: ConnectionRef(one.place[0], "c:1", one.server) for one in (front, *backs)}
    (check,) = (one.check for one in RULES if one.id == rule)
    return list(check(run))


LOST = {"status": None, "outcome": "failed", "response": None}
"""A front leg whose client got no status."""


@pytest.mark.parametrize(
    "front",
    [
        leg(0, 0, 100, **LOST),
        leg(0, 0, 100, **LOST, how="data"),
        leg(0, 0, 100, **LOST, http=502, how="data"),
        leg(0, 0, 100, **LOST, how="rst"),
        leg(0, 0, 90 + HELD_BACK / MS, **LOST, how="fin"),
        leg(0, 0, 100, status=b"14", outcome="failed", response=None),
    ],
)
def test_a_status_that_does_not_come_out_of_the_proxy(front: CallPrint) -> None:
    (match,) = found(DISAGREE, front, leg(1, 10, 90))
    assert (match.severity, match.certainty, match.who, match.retry_safe) == ("error", "certain", ["proxy"], "no")
    assert "grpc-status 0 (OK)" in match.title
    assert match.place is not None and match.place[0].index == 0


@pytest.mark.parametrize(
    ("front", "back"),
    [
        (leg(0, 0, 100), leg(1, 10, 90)),
        (leg(0, 0, 100, status=b"5"), leg(1, 10, 90, status=b"5")),
        (leg(0, 0, 100, **LOST, by=CLIENT, how="rst"), leg(1, 10, 90)),
        (leg(0, 0, 100, **LOST, how="open"), leg(1, 10, 90)),
        (leg(0, 0, 91, **LOST, how="fin"), leg(1, 10, 90)),
        (leg(0, 0, 91, status=b"4", outcome="failed", response=None), leg(1, 10, 90)),
        (leg(0, 0, 91, **LOST, http=504), leg(1, 10, 90)),
        (leg(0, 0, 80, **LOST), leg(1, 10, 90)),
        (leg(0, 0, 100, **LOST), leg(1, 10, 90, left=True, status=b"14")),
        (leg(0, 0, 100, **LOST), leg(1, 10, 90, **LOST, how="fin")),
        (leg(0, 0, 100, **LOST), leg(1, 10, 90, whole=False)),
        (leg(0, 0, 100, **LOST, whole=False), leg(1, 10, 90)),
        (leg(0, 0, 100, status="unknown"), leg(1, 10, 90)),
    ],
    ids=["the same", "the same error", "the client left", "not over", "the proxy died just then", "its time was up",
         "a gateway's time was up", "too late to pass on",
         "the proxy left first", "the server broke off", "a hole behind", "a hole before", "hidden"],
)  # fmt: skip
def test_no_disagreement(front: CallPrint, back: CallPrint) -> None:
    assert not found(DISAGREE, front, back)


def test_after_retries_the_last_leg_counts() -> None:
    front = leg(0, 0, 100, status=b"5", outcome="failed", response=None)
    assert not found(DISAGREE, front, leg(1, 10, 40), leg(2, 50, 90, status=b"5", response=None))
    assert found(DISAGREE, front, leg(1, 10, 40, status=b"5", response=None), leg(2, 50, 90))


def test_a_body_that_was_changed_is_a_warning() -> None:
    (match,) = found(DISAGREE, leg(0, 0, 100), leg(1, 10, 90, response=(12, 3)))
    assert (match.severity, match.certainty) == ("warning", "probable")
    assert "12 bytes, then 9" in match.title


GATEWAY = {"status": None, "http": 502, "outcome": "failed", "response": None, "how": "data"}
CUT = {"status": None, "http": None, "outcome": "failed", "response": None, "answered": False, "how": "fin"}


@pytest.mark.parametrize(
    ("back", "certainty", "retry"),
    [
        (leg(1, 90, 50, **CUT, quiet=5000 * MS), "certain", "yes"),
        (leg(1, 90, 91, **CUT, quiet=IDLE), "probable", "unknown"),
        (leg(1, 90, 91, **CUT, quiet=5 * MS), "possible", "unknown"),
        (leg(1, 90, 90 + CROSSED / MS, **CUT, quiet=5 * MS), "possible", "unknown"),
        (leg(1, 90, 91, **(CUT | {"how": "goaway"})), "certain", "yes"),
    ],
)
def test_a_connection_that_closes_under_a_request(back: CallPrint, certainty: str, retry: str) -> None:
    (match,) = found(RACE, leg(0, 0, 100, **GATEWAY), back)
    assert (match.certainty, match.retry_safe) == (certainty, retry)
    assert match.place is not None and match.place[0].index == 1
    assert ("had closed" in match.title) == (back.how == "fin" and certainty == "certain")
    assert "keepalive_timeout" in match.fix


@pytest.mark.parametrize(
    ("front", "back"),
    [
        (leg(0, 0, 100), leg(1, 90, 91, **CUT, quiet=IDLE)),
        (leg(0, 0, 100, **(GATEWAY | {"http": 504})), leg(1, 90, 91, **CUT, quiet=IDLE)),
        (leg(0, 0, 100, **GATEWAY), leg(1, 90, 91, **CUT)),
        (leg(0, 0, 200, **GATEWAY), leg(1, 90, 91 + CROSSED / MS, **CUT, quiet=IDLE)),
        (leg(0, 0, 100, **GATEWAY), leg(1, 90, 91, **(CUT | {"answered": True}), quiet=IDLE)),
        (leg(0, 0, 100, **GATEWAY), leg(1, 90, 91, **CUT, by=CLIENT, quiet=IDLE)),
        (leg(0, 0, 92 + SOON / MS, **GATEWAY), leg(1, 90, 91, **CUT, quiet=IDLE)),
        (leg(0, 0, 100, **GATEWAY), leg(1, 90, 91, **CUT, quiet=IDLE, source=1)),
    ],
    ids=["no error in front", "a timeout", "a new connection", "the server had time to read it", "an answer began",
         "the proxy closed", "much later", "two clocks"],
)  # fmt: skip
def test_no_race(front: CallPrint, back: CallPrint) -> None:
    assert not found(RACE, front, back)


def test_a_real_race_is_the_root_of_all_that_follows() -> None:
    diagnosis = diagnose(Options(sources=[str(FIXTURES / RACE / "capture.pcapng")]))
    by_rule = {one.rule: one for one in diagnosis.findings}
    race = by_rule[RACE]
    assert diagnosis.verdict.root_causes == [race.id]
    assert (by_rule["http-error-with-body"].caused_by, by_rule["http-error-with-body"].link) == (race.id, "leg")
    assert by_rule["body-cut-connection"].caused_by == race.id
    assert "What became of it at 127.0.0.1:8080: HTTP 502" in diagnosis.verdict.headline


def test_a_real_proxy_that_hides_the_status() -> None:
    diagnosis = diagnose(Options(sources=[str(FIXTURES / DISAGREE / "capture.pcapng")]))
    named = [one for one in diagnosis.findings if one.rule == DISAGREE]
    assert {one.details["behind"] for one in named} == {"grpc-status 0 (OK)", "grpc-status 12 (UNIMPLEMENTED)"}
    missing = [one for one in diagnosis.findings if one.rule == "grpc-status-missing"]
    assert {one.caused_by for one in missing} == {one.id for one in named}
    assert "Most likely at fault: the proxy (127.0.0.1:8080)." in diagnosis.verdict.headline
