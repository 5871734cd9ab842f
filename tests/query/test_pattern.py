"""Patterns: they find what Python's own engine finds, and take linear time where that one does not."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wirecase.query.pattern import Pattern, PatternError

atoms = st.one_of(
    st.sampled_from(
        ["a", "b", "ab", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\.", "-", "^", "$", "(a|b)", "(?:(?:ab)*)"]
    )
)
repeats = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,1}", "{2,}", "+?", "*?"])


@st.composite
def patterns(draw: st.DrawFn) -> str:
    def piece() -> str:
        atom = draw(atoms)
        return atom if atom in "^$" else atom + draw(repeats)

    ways = ["".join(piece() for _ in range(draw(st.integers(0, 4)))) for _ in range(draw(st.integers(1, 3)))]
    return "|".join(ways)


@given(patterns(), st.lists(st.text("abc1.-", max_size=12), max_size=4))
@example("a{2,}$|^b", ["caa", "aab", "ba", ""])
@example("(a|b)*", [""])
def test_finds_what_re_finds(pattern: str, texts: list[str]) -> None:
    mine, theirs = Pattern(pattern), re.compile(pattern)
    for text in texts:
        assert mine.search(text) == bool(theirs.search(text)), text
        assert mine.search(text) == bool(theirs.search(text)), "asked again"


@given(st.text(max_size=40), st.text(max_size=20))
@example("a" * 50 + "(" * 50, "")
@example("((a{9}){9}){9}", "a")
@example("(?i)[a-", "a")
def test_any_text_is_a_pattern_or_a_declared_error(pattern: str, text: str) -> None:
    position = 0
    try:
        Pattern(pattern).search(text)
    except PatternError as error:
        position = error.position
    assert 0 <= position <= len(pattern)


@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"(a|a)*b", r"(a|aa)+c", r"a*a*a*a*a*a*b", r"(.*)(.*)(.*)x", r"(x+x+)+y"]
)
def test_what_explodes_elsewhere_takes_one_pass(pattern: str) -> None:
    found = Pattern(pattern)
    assert not found.search("a" * 60_000 + "!")
    assert len(found._sets) < 20  # so that a character costs a look-up


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        ("(?i)doget", "/x/DoGet", True),
        ("doget", "/x/DoGet", False),
        ("(?i)[a-c]+X", "ABCx", True),
        (r"^/shop[.]v\d+[.](Cart|Order)/", "/shop.v12.Order/Get", True),
        (r"^/shop[.]v\d+[.](Cart|Order)/", "/shop.v.Order/Get", False),
        ("[]a]", "]", True),
        ("[^]a]", "]a", False),
        ("a{,2}", "a{,2}", True),
        ("{x}", "{x}", True),
        ("", "", True),
        ("$", "abc", True),
        ("b^", "ab", False),
    ],
)
def test_what_is_understood(pattern: str, text: str, holds: bool) -> None:
    assert Pattern(pattern).search(text) is holds


@pytest.mark.parametrize(
    ("pattern", "position"),
    [("a(b", 1), ("ab)", 2), ("*a", 0), ("a**", 2), ("[ab", 0), ("a\\", 1), ("(?=a)", 0), (r"a\1", 1), (r"\b", 0),
     ("[b-a]", 1), ("a{3,2}", 1)],
)  # fmt: skip
def test_what_is_refused_and_where(pattern: str, position: int) -> None:
    with pytest.raises(PatternError) as caught:
        Pattern(pattern)
    assert caught.value.position == position


def test_a_pattern_cannot_grow_without_end() -> None:
    with pytest.raises(PatternError, match="too large"):
        Pattern("(((a{100}){100}){100}){100}")


def test_memory_stays_bounded() -> None:
    found = Pattern(".x")
    for number in range(0, 120_000, 100):
        found.search("".join(chr(0x4E00 + (number + i) % 20_000) for i in range(100)))
    assert len(found._steps) < 25_000
