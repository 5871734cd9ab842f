"""The one place where text of a capture is made safe to show.

Whoever writes the bytes of a capture may be an attacker: a response body can hold terminal escapes that rewrite the
clipboard (OSC 52), characters that reverse the reading direction, or markup of the format that a report is written in.

The order is always the same: bytes become text (`from_bytes`), text becomes one harmless line (`line`), and a report
then adds what its own format needs (`markdown_inline`, `markdown_code`, `markdown_block`). The terminal report builds
`rich.text.Text` objects, which never read markup, so `line` is all that it needs.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

_UNSEEN_LETTERS = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that are letters or symbols by category and yet show nothing."""

_UNSAFE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""General categories that are never shown: controls, format (bidi, zero width, tags), unassigned, private, surrogates
and the line and paragraph separators."""

_MAX_MARKS = 2
"""Combining marks kept on one base character: more of them draw over the lines above and below."""


def from_bytes(data: bytes) -> str:
    r"""Show bytes as one line of text: what is UTF-8 and printable stands as it is, the rest as ``\xNN``."""
    return line(data.decode("utf-8", "backslashreplace"))


def line(text: str) -> str:
    r"""Return `text` as one line without any control, escape, bidi or invisible character.

    What is not harmless is written as an escape (``\n``, ``\x1b``, ``\u202e``), so nothing is lost. A byte that a
    file name smuggled in as a lone surrogate (PEP 383) is written as the byte that it was.
    """
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    marks = _MAX_MARKS  # a mark without a base would attach to the report's own text
    for char in text:
        category = unicodedata.category(char)
        if category[0] == "M":
            marks += 1
            out.append(char if marks <= _MAX_MARKS and category != "Me" else _escaped(char))
            continue
        if category in _UNSAFE or char in _UNSEEN_LETTERS or (category == "Zs" and char != " "):
            out.append(_escaped(char))
            marks = _MAX_MARKS
        else:
            out.append(char)
            marks = 0
    return "".join(out)


def _escaped(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cut(text: str, limit: int) -> str:
    """Cut `text` to at most `limit` characters, the last one ``…`` if any were lost."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


# Words that Markdown and the issue trackers leave alone: letters, digits and quiet punctuation. No word that holds
# one of ` * _ [ ] < > & \ ~ $ | { } ^ = # @ + passes, nor anything with a scheme.
_PLAIN_WORD = re.compile(r"[(\"'‘“]*[\w.,;:!?%/§×–—…'’-]+[)\"'’”.,;:!?…]*|[-–—=→+]{1,2}|[()\"'.,;:!?…]+")
_AUTOLINK = re.compile(
    r"://|(?i:www\.|mailto:)|:(?:[a-zA-Z_+-][\w+-]*|100|1234):|(?i:\bgh-\d)|\b[0-9a-fA-F]{7,40}\b|!\[|_"
)
_CLOSING = ".,;:?"
"""Punctuation that may stand behind a code span."""
_LIST_MARKER = re.compile(r"[-+*]|\d{1,9}[.)]|=+|-+")


def markdown_inline(text: str, *, cell: bool = False) -> str:
    """Return `text` for a line of Markdown, without any markup, link, mention or reference coming to life.

    Backslashes do not stop a tracker from linking ``@name`` or ``#12``, code spans do: every word that is more than
    letters and quiet punctuation goes into one. `cell` is for text inside a table.
    """
    words = line(text).split()
    parts: list[str] = []
    for plain, group in groupby(enumerate(words), key=lambda item: _is_plain(item[1], first=item[0] == 0)):
        run = " ".join(word for _, word in group)
        if not plain:
            core = run.rstrip(_CLOSING) or run
            run = markdown_code(core, cell=cell) + run[len(core) :]
        parts.append(run)
    return " ".join(parts)


def _is_plain(word: str, *, first: bool) -> bool:
    if first and _LIST_MARKER.fullmatch(word):
        return False
    return _PLAIN_WORD.fullmatch(word) is not None and _AUTOLINK.search(word) is None


def markdown_code(text: str, *, cell: bool = False) -> str:
    """Return `text` as a code span of Markdown: a fence longer than any run of backticks in it."""
    text = line(text)
    if not text.strip():
        return "` `"
    fence = "`" * (_longest_run(text, "`") + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    if cell:
        text = text.replace("|", "\\|")
    return f"{fence}{pad}{text}{pad}{fence}"


def markdown_block(lines: list[str], *, indent: str = "", language: str = "text") -> str:
    """Return `lines` as a fenced block of Markdown that nothing in them can close."""
    safe = [line(one) for one in lines]
    fence = "`" * max(3, *(_longest_run(one, "`") + 1 for one in safe), 3)
    return "\n".join(f"{indent}{one}".rstrip() for one in [f"{fence}{language}", *safe, fence])


def _longest_run(text: str, char: str) -> int:
    return max((len(list(group)) for key, group in groupby(text) if key == char), default=0)
