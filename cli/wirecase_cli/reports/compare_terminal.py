"""Comparisons at a terminal: the verdict, who is at fault, what the proxy changed, with bytes of both legs."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.comparing.model import Change, Comparison, Fault
from wirecase.model import Evidence
from wirecase_cli.reports import compare_json, compare_words, escape, hexview, words
from wirecase_cli.reports.drawing import DIM, STYLE, SYMBOL
from wirecase_cli.reports.lines import Part, draw, safe, wrap
from wirecase_cli.reports.screen import Screen

_FAULTS, _LOUD, _NOTES, _SINGLES = 8, 12, 40, 10


class Drawing:
    """Draws one comparison."""

    def __init__(self, found: Comparison, screen: Screen) -> None:
        self._found = found
        self._screen = screen

    def lines(self) -> Iterator[str]:
        """Yield the report, line by line."""
        found = self._found
        yield self._draw((f"wirecase {safe(found.version)}", DIM))
        for number, source in enumerate(found.sources):
            leg = "front and back" if found.clock.same else "front" if number in found.front else "back"
            yield from self._text(f"{leg}: {safe(source.path)}  {safe(words.source(source))}", DIM)
        yield self._draw(("", ""))
        loud: str = "error" if found.breaks else "info"
        sign = SYMBOL["error"] if loud == "error" else "✓" if found.totals.matched else SYMBOL["warning"]
        style = STYLE["error"] if loud == "error" else "bold"
        yield from self._text(f"{sign} {safe(found.headline)}", style, hang=2)
        for line in compare_words.totals(found):
            yield from self._text(f"  {line}", "", hang=4)
        if found.interrupted:
            yield from self._text("  interrupted: this is what was known when reading was stopped", "yellow", hang=4)
        if found.totals.matched:
            yield from self._text(f"  clock: {compare_words.clock(found.clock)}", "", hang=4)
            for one in found.latency:
                way, added = compare_words.latency(one, found.clock)
                yield from self._text(f"  added to {way}: {added}", "", hang=4)
        yield from self._faults()
        yield from self._changes()
        yield from self._singles()

    def _faults(self) -> Iterator[str]:
        if not self._found.faults:
            return
        yield from self._section("Which hop is at fault")
        for fault in self._found.faults[:_FAULTS]:
            yield from self._fault(fault)
        yield from self._more(len(self._found.faults) - _FAULTS, "verdict")

    def _fault(self, fault: Fault) -> Iterator[str]:
        head = f"{compare_words.HOPS[fault.hop]} ({fault.certainty}), {words.plural(fault.count, 'call')}: "
        yield from self._text(SYMBOL["error"] + " " + head + safe(fault.why), STYLE["error"], hang=2)
        yield from self._evidence(fault.front, fault.back)

    def _changes(self) -> Iterator[str]:
        loud = [change for change in self._found.changes if change.severity != "info"]
        notes = [change for change in self._found.changes if change.severity == "info"]
        if loud:
            yield from self._section("What the proxy changed, and it matters")
            for change in loud[:_LOUD]:
                yield from self._change(change)
            yield from self._more(len(loud) - _LOUD, "change")
        if notes:
            yield from self._section("What else it changed")
            for change in notes[:_NOTES]:
                yield from self._text(f"· {self._headed(change)}", "", hang=2)
            yield from self._more(len(notes) - _NOTES, "change")

    def _headed(self, change: Change) -> str:
        told = safe(change.title)
        facts = compare_json.details(change)
        if "name" in facts:
            values = [(leg, facts.get(leg)) for leg in ("front", "back")]
            shown = [f"{leg} {safe(escape.from_bytes(value), 120)}" for leg, value in values if value is not None]
            told += f": {'; '.join(shown)}" if shown else ""
        elif change.text and change.severity == "info":
            told += f". {safe(change.text)}"
        return f"{told} ({words.plural(change.count, 'call')})"

    def _change(self, change: Change) -> Iterator[str]:
        yield from self._text(f"{SYMBOL[change.severity]} {self._headed(change)}", STYLE[change.severity], hang=2)
        if change.text:
            yield from self._text(f"  {safe(change.text)}", "", hang=2)
        first = change.calls[0] if change.calls else (None, None)
        yield from self._text(f"  first: call {first[0]} in front, call {first[1]} behind", DIM, hang=2)
        yield from self._evidence(change.front, change.back)

    def _singles(self) -> Iterator[str]:
        for title, singles in (
            ("Only in front", self._found.only_front),
            ("Only behind", self._found.only_back),
        ):
            if singles:
                yield from self._section(title)
                for one in singles[:_SINGLES]:
                    yield from self._text(f"· {safe(compare_words.single(one))}", "", hang=2)
                yield from self._more(len(singles) - _SINGLES, "call")

    def _evidence(self, front: list[Evidence], back: list[Evidence]) -> Iterator[str]:
        for leg, evidence in (("front", front), ("back", back)):
            for one in map(compare_words.shown, evidence[:2]):
                yield from self._text(
                    f"  {leg}: {safe(compare_words.place(one, self._found))}: {safe(one.note)}", DIM, hang=4
                )
                per_row = 16 if hexview.row_width(one, 16) + 4 <= self._screen.width else 8
                for row in hexview.rows(one, [], per_row=per_row, most=3):
                    yield self._draw((f"    {row.offset}  {row.hex}  {row.text}", ""))

    def _section(self, title: str) -> Iterator[str]:
        yield self._draw(("", ""))
        yield self._draw((title + " ", "bold"), ("─" * (self._screen.width - len(title) - 1), DIM))

    def _more(self, count: int, noun: str) -> Iterator[str]:
        if count > 0:
            yield self._draw((f"  and {words.plural(count, 'more ' + noun)}: --format json has all of it", DIM))

    def _text(self, content: str, style: str, *, hang: int = 0) -> Iterator[str]:
        """Break safe text into lines, the further ones indented by `hang`."""
        own = len(content) - len(content.lstrip(" "))
        lines = wrap(content[own:], self._screen.width - max(hang, own))
        for number, line in enumerate(lines):
            yield self._draw((" " * (hang if number else own) + line, style))

    def _draw(self, *parts: Part) -> str:
        return draw(parts, self._screen)


def terminal(found: Comparison, screen: Screen) -> str:
    """Return the comparison as text for `screen`."""
    return "".join(Drawing(found, screen).lines())
