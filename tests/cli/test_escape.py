"""Text of a capture must reach no reader alive."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase_cli.reports import escape

HARMLESS = "ÅÄÖ, 漢字, ελληνικά: 100 % «fine» – §8.1"


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("\x1b]52;c;aGk=\x07", r"\x1b]52;c;aGk=\x07"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\u009b31m"),
        ("\x85\x90", r"\u0085\u0090"),
        ("a\x00b\x7f", r"a\x00b\x7f"),
        ("one\ntwo\r\tthree", r"one\ntwo\r\tthree"),
        ("fdp.exe\u202egnp", r"fdp.exe\u202egnp"),
        ("\u2066\u2069\u200f\u061c", r"\u2066\u2069\u200f\u061c"),
        ("\u200b\u200d\ufeff\u2060", r"\u200b\u200d\ufeff\u2060"),
        ("\u2028\u2029\u00a0\u3000", r"\u2028\u2029\u00a0\u3000"),
        ("\U000e0041\ue000", r"\U000e0041\ue000"),
        ("\udc9b\ud800", r"\x9b\ud800"),
        ("\u3164\u2800", r"\u3164\u2800"),
        ("\u0301x", r"\u0301x"),
        ("x\u0301\u0302\u0303", "x\u0301\u0302\\u0303"),
        (HARMLESS, HARMLESS),
        ("[bold]`|<b>", "[bold]`|<b>"),
    ],
)
def test_line(given_text: str, shown: str) -> None:
    assert escape.line(given_text) == shown


@given(st.text(alphabet=st.characters()))
def test_line_holds_nothing_unsafe(text: str) -> None:
    shown = escape.line(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert escape.line(shown) == shown
    shown.encode("utf-8")


@given(st.binary())
def test_from_bytes_takes_any_bytes(data: bytes) -> None:
    assert escape.from_bytes(data).isprintable()


def test_from_bytes_keeps_text_and_writes_out_the_rest() -> None:
    assert escape.from_bytes(b"caf\xc3\xa9 \xff\x00\x1b") == "café \\xff\\x00\\x1b"


@pytest.mark.parametrize(
    "text",
    [
        "@someone",
        "a@b.example",
        "#12",
        "GH-12",
        "someone/project#3",
        "https://evil.example",
        "www.evil.example",
        "[x](javascript:alert(1))",
        "![x](http://evil.example/i.png)",
        "<script>alert(1)</script>",
        "<img/src=x>",
        "&lt;",
        "*bold*",
        "_em_",
        "~~gone~~",
        "a|b",
        "$x$",
        ":tada:",
        ":+1:",
        "deadbeefcafe",
        "`code`",
        "``` fence",
        "\\*",
        "- item",
        "1. item",
        "+ item",
        "=====",
        "# heading",
        "> quote",
    ],
)
def test_markdown_inline_puts_what_could_come_alive_into_a_code_span(text: str) -> None:
    assert_harmless(escape.markdown_inline(f"{text} and {text}"))
    assert_harmless(escape.markdown_inline(text))


@given(st.text(alphabet="ab@#[]()<>`*_~|\\ !:/.-+1w&$\n", max_size=40))
def test_markdown_inline_leaves_no_markup_outside_of_code(text: str) -> None:
    assert_harmless(escape.markdown_inline(text))


def assert_harmless(markdown: str) -> None:
    """Take the code spans out as CommonMark reads them, and look at what is left."""
    rest = without_code(markdown)
    assert not set(rest) & set("`*_[]<>&\\~$|{}#@"), markdown
    assert "://" not in rest
    assert "www." not in rest
    assert not re.match(r"(\d+[.)]|[-+])(\s|$)", rest)


def without_code(markdown: str) -> str:
    out, at = [], 0
    while at < len(markdown):
        if markdown[at] != "`":
            out.append(markdown[at])
            at += 1
            continue
        stop = at
        while stop < len(markdown) and markdown[stop] == "`":
            stop += 1
        fence = stop - at
        runs, look = None, stop
        while look < len(markdown):
            if markdown[look] != "`":
                look += 1
                continue
            end = look
            while end < len(markdown) and markdown[end] == "`":
                end += 1
            if end - look == fence:
                runs = end
                break
            look = end
        assert runs is not None, f"an open code span: {markdown}"
        at = runs
    return "".join(out)


def test_markdown_plain_words_stay_readable() -> None:
    text = "The proxy (nginx) answered 502, after 1,024 of 4,096 bytes; see RFC 9113 §8.1."
    assert escape.markdown_inline(text) == text


def test_markdown_code_in_a_table_keeps_its_column() -> None:
    assert escape.markdown_code("a|b", cell=True) == "`a\\|b`"


@pytest.mark.parametrize("text", ["`", "``", "a`", "` `` ```", "", " ", " x "])
def test_markdown_code_is_closed(text: str) -> None:
    assert without_code(escape.markdown_code(text)) == ""


def test_markdown_block_cannot_be_closed_from_inside() -> None:
    block = escape.markdown_block(["```", "````", "text\n```"]).split("\n")
    assert block[0] == "`````text"
    assert block[-1] == "`````"
    assert len(block) == 5


def test_cut() -> None:
    assert escape.cut("abcdef", 6) == "abcdef"
    assert escape.cut("abcdefg", 6) == "abcde…"
