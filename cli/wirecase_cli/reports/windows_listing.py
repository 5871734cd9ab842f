"""The windows of a call or a connection below its timeline, for ``wirecase show --windows``."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.picturing import Picture
from wirecase.picturing.model import Series
from wirecase_cli.reports import windows_words, words
from wirecase_cli.reports.drawing import DIM
from wirecase_cli.reports.lines import draw, wrap
from wirecase_cli.reports.screen import Screen

MAX_CHARTS = 8


def chosen(picture: Picture, connection: int, stream: int | None) -> list[Series]:
    """Return the windows that concern a stream and its connection, or (None) the whole connection."""
    found = [one for hop in picture.hops if hop.connection.index == connection for one in hop.series]
    return found if stream is None else [one for one in found if one.stream in (0, stream)]


def lines(series: list[Series], screen: Screen) -> Iterator[str]:
    """Yield the charts, what findings are about first; windows in which nothing happened are only counted."""
    telling = [one for one in series if one.findings or one.stalls or one.moved or one.unknown_since is not None]
    if len(telling) > MAX_CHARTS:
        telling.sort(key=_weight)
    drawn = telling[:MAX_CHARTS]
    for one in drawn:
        yield "\n"
        for line in windows_words.drawn(one, screen.width, unicode=screen.unicode):
            if line.kind in ("title", "chart"):
                yield draw([(line.text, "bold" if line.kind == "title" else "")], screen)
                continue
            first, further = ("→ ", "  ") if line.kind == "missing" else ("  ", "  ")
            for number, part in enumerate(wrap(line.text, screen.width - 2)):
                yield draw([((further if number else first) + part, "" if line.kind == "missing" else DIM)], screen)
    left = len(series) - len(drawn)
    if left > 0:
        more = words.plural(left, "more window" if drawn else "window")
        yield "\n"
        yield draw([(f"{more}: {'unchanged, or ' if drawn else 'unchanged, '}in --format json", DIM)], screen)


def _weight(series: Series) -> tuple[bool, bool, bool]:
    return (not series.findings, bool(series.stream), not series.stalls)
