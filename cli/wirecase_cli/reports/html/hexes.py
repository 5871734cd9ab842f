"""Evidence as rows of bytes for the page: what decides is marked by colour, by a line below and by a sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from wirecase.case.redact.shapes import find_shapes
from wirecase.model import Evidence, Finding
from wirecase_cli.reports import hexview, words
from wirecase_cli.reports.html import blocks

PER_ROW = 16
MOST_ROWS = 16
_HIDDEN = "\u00b7"
_NAMES = {"^": "decisive", "~": "second"}


@dataclass(slots=True, frozen=True)
class Run:
    """Neighbouring cells of one row that are drawn alike."""

    kind: str
    """``decisive``, ``second``, ``masked`` or empty."""
    text: str


@dataclass(slots=True, frozen=True)
class Row:
    """One row: where it begins, its bytes in hex and as text, and the signs below them (empty if there are none)."""

    offset: str
    hex: list[Run]
    text: list[Run]
    hex_signs: str
    text_signs: str


@dataclass(slots=True)
class Hex:
    """The bytes of one piece of evidence."""

    rows: list[Row] = field(default_factory=list)
    legend: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind, sign and what the bytes so marked are."""
    more: str = ""
    """How many bytes are not shown."""
    masked: bool = False


def draw(finding: Finding, one: Evidence) -> Hex | None:
    """Return the bytes of `one` as `hexview.drawn` wants them, credentials masked; None if there is nothing to show."""
    if not hexview.drawn(finding, one):
        return None
    spans = hexview.spans(finding, one)
    shown = one.data[: PER_ROW * MOST_ROWS]
    hidden = _hidden(one)
    start = one.offset or 0
    width = len(str(start + len(shown) - 1))
    out = Hex(masked=any(at < len(shown) for at in hidden))
    for at in range(0, len(shown), PER_ROW):
        chunk = shown[at : at + PER_ROW]
        kinds = ["masked" if at + i in hidden else _kind(at + i, spans) for i in range(len(chunk))]
        signs = "".join(_sign(at + i, spans) if kinds[i] != "masked" else " " for i in range(len(chunk)))
        pairs = [_HIDDEN * 2 if kind == "masked" else f"{byte:02x}" for byte, kind in zip(chunk, kinds, strict=True)]
        text = [
            _HIDDEN if kind == "masked" else chr(byte) if 0x20 <= byte < 0x7F else "."
            for byte, kind in zip(chunk, kinds, strict=True)
        ]
        marked = bool(signs.strip())
        out.rows.append(
            Row(
                offset=str(start + at).rjust(width),
                hex=_hex_runs(pairs, kinds),
                text=_runs(text, kinds),
                hex_signs=_spaced([sign * 2 for sign in signs]).rstrip() if marked else "",
                text_signs=signs.rstrip() if marked else "",
            )
        )
    out.legend = [(_NAMES.get(span.sign, "decisive"), span.sign, span.label) for span in spans]
    left = max(one.length, len(one.data)) - len(shown)
    out.more = words.plural(left, "more byte") if left > 0 else ""
    return out


def _hidden(one: Evidence) -> set[int]:
    spans = [(shape.start, shape.stop) for shape in find_shapes(one.data, random=False)]
    spans += blocks.hidden(one.data, one.length)
    return {at for start, stop in spans for at in range(start, stop)}


def _kind(at: int, spans: Sequence[hexview.Span]) -> str:
    return _NAMES.get(_sign(at, spans), "")


def _sign(at: int, spans: Sequence[hexview.Span]) -> str:
    return next((span.sign for span in spans if span.start <= at < span.stop), " ")


def _runs(cells: list[str], kinds: list[str]) -> list[Run]:
    return [
        Run(kind, "".join(cell for cell, _ in group))
        for kind, group in groupby(zip(cells, kinds, strict=True), key=lambda pair: pair[1])
    ]


def _hex_runs(pairs: list[str], kinds: list[str]) -> list[Run]:
    """The same for hex: spaces between cells of one run belong to it, so that its mark is one stretch."""
    runs: list[Run] = []
    column = 0
    for kind, group in groupby(zip(pairs, kinds, strict=True), key=lambda pair: pair[1]):
        cells = [pair for pair, _ in group]
        if column:
            runs.append(Run("", _gap(column)))
        text = cells[0]
        for offset, cell in enumerate(cells[1:], 1):
            text += _gap(column + offset) + cell
        column += len(cells)
        runs.append(Run(kind, text))
    missing = PER_ROW * 3 - sum(len(run.text) for run in runs)
    return [*runs, Run("", " " * missing)] if missing > 0 else runs


def _gap(column: int) -> str:
    return "  " if column == PER_ROW // 2 else " "


def _spaced(cells: list[str]) -> str:
    return "".join((_gap(i) if i else "") + cell for i, cell in enumerate(cells))
