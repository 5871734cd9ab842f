"""The verdict on a pair, and the figures: what is not equal may never count as equal."""

from __future__ import annotations

from livebench import compare
from livebench.faults import BY_NAME
from livebench.replayed import Replayed, ended
from livebench.session import Said

GOOD = Said(((0, "INTERNAL", "reset", 2),), "exit 1")


def judged(live: tuple[Said, Said], said: Said | None, status: int = 1) -> compare.Pair:
    return compare.judge("grpcio", "made-up", live, Replayed(said, status, "words", None))


def test_equal_needs_code_text_and_number_of_each_call() -> None:
    assert judged((GOOD, GOOD), GOOD).verdict == "equal"
    for calls in (
        ((0, "UNKNOWN", "reset", 2),),
        ((0, "INTERNAL", "other", 2),),
        ((1, "INTERNAL", "reset", 2),),
        (),
        (*GOOD.calls, (1, "OK", "", 1)),
    ):
        assert judged((GOOD, GOOD), Said(calls, "exit 1")).verdict == "different"


def test_counts_and_ends_are_told_beside_the_verdict() -> None:
    assert judged((GOOD, GOOD), GOOD).messages_equal
    fewer = judged((GOOD, GOOD), Said(((0, "INTERNAL", "reset", 1),), "exit 1"))
    assert (fewer.verdict, fewer.messages_equal) == ("equal", False)
    assert not judged((GOOD, GOOD), Said(GOOD.calls, "hung")).messages_equal


def test_unsteady_refused_and_failed_are_told_apart() -> None:
    other = Said(((0, "UNKNOWN", "cut", 2),), "exit 1")
    assert judged((GOOD, other), GOOD).verdict == "unsteady"
    assert judged((GOOD, GOOD), None, status=3).verdict == "refused"
    assert judged((GOOD, GOOD), None, status=70).verdict == "failed"
    assert judged((GOOD, GOOD), GOOD, status=70).verdict == "failed"
    assert judged((GOOD, GOOD), None, status=-1).verdict == "failed"


def test_the_share_is_of_what_could_be_asked() -> None:
    other = Said(((0, "UNKNOWN", "cut", 2),), "exit 1")
    pairs = [
        judged((GOOD, GOOD), GOOD),
        judged((GOOD, GOOD), other),
        judged((GOOD, other), GOOD),
        judged((GOOD, GOOD), None, status=3),
    ]
    counted = compare.figures(pairs)
    assert (counted.pairs, counted.steady, counted.refused, counted.equal, counted.unexplained) == (4, 3, 1, 1, 3)
    assert counted.share == 0.5
    table = compare.as_markdown(pairs, {"date": "today"})
    assert "| all | 4 | 3 | 1 | 1 | 50.0% |" in table
    assert compare.as_json(pairs, {})["figures"]["all"]["share"] == 0.5


def test_a_table_survives_what_a_client_may_say() -> None:
    odd = Said(((0, "INTERNAL", "a | b\nc", 2),), "exit 1")
    assert "a \\| b c" in compare.as_markdown([judged((odd, odd), GOOD)], {})


def test_how_the_client_ended_is_read_from_the_report() -> None:
    assert ended({"client": {"exit": 1, "signal": None, "timed_out": False}}) == "exit 1"
    assert ended({"client": {"exit": None, "signal": 11, "timed_out": False}}) == "signal 11"
    assert ended({"client": {"exit": None, "signal": 9, "timed_out": True}}) == "hung"


def test_every_explanation_is_of_a_fault_that_there_is() -> None:
    import tomllib
    from fnmatch import fnmatchcase

    from livebench import clients

    for entry in tomllib.loads(compare.EXPLAINED.read_text()).get("difference", []):
        assert any(fnmatchcase(name, entry["fault"]) for name in BY_NAME), entry
        assert any(fnmatchcase(name, entry["client"]) for name in clients.NAMES), entry
        assert entry["cause"].strip()
