"""One root cause in full: what happened, the bytes that prove it and its consequences, what clients log, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from wirecase.model import Diagnosis, Evidence, Finding
from wirecase_cli.reports import hexview, outline, words
from wirecase_cli.reports.drawing import DIM, MAX_TEXT, STYLE, fields, hanging, joined, safe, section, text, unwrapped
from wirecase_cli.reports.screen import Screen

if TYPE_CHECKING:
    from wirecase.picturing import Picture

MAX_CONSEQUENCES = 4
"""Consequences of one root cause that are explained with it; the tree has all of them."""
MAX_EVIDENCE = 4
MAX_FIXES = 2
"""Findings of a group whose advice is given: mending a root cause leaves little to do about its consequences."""
ROWS = 6
"""Rows of primary evidence; what only explains or follows gets half of them."""

_TOLD = {"fact": DIM, "missing": "bold"}

_Place = tuple[int | None, int | None, int | None, str | None]


class Block:
    """Draws one group of findings that share a root cause."""

    def __init__(
        self, group: outline.Group, diagnosis: Diagnosis, screen: Screen, picture: Picture | None = None
    ) -> None:
        """`picture` has the windows that findings are about, where there are such findings."""
        self._group = group
        self._picture = picture
        self._consequences = [child for child in group.descendants() if child.first.severity != "info"]
        self._members = [one.first for one in (group, *self._consequences)]
        self._diagnosis = diagnosis
        self._screen = screen
        self._shown: set[_Place] = set()

    def parts(self) -> Iterator[RenderableType]:
        """Yield what is to be printed, one after the other."""
        yield from self._what()
        yield from self._proof()
        yield from self._follows()
        yield from self._clients()
        yield from self._advice()

    def _what(self) -> Iterator[RenderableType]:
        group, one = self._group, self._group.first
        yield section(f"{one.id} {one.rule}", style=STYLE[one.severity])
        yield text(safe(one.title), "bold")
        seen = f"{one.severity}, {one.certainty}; at fault: {words.who(one)}"
        if group.count > 1:
            seen += f"; seen {words.number(group.count)} times"
        yield text(seen, DIM)
        if one.explanation:
            yield Text()
            yield text(safe(one.explanation, 4 * MAX_TEXT))
        yield Text()
        yield fields(
            [
                ("where", text("\n".join(safe(part) for part in words.place(one)))),
                ("legs", text("\n".join(safe(leg) for leg in words.legs(one)))),
                ("facts", _facts(one)),
                ("ids", text("\n".join(f"{safe(name)} {safe(value)}" for name, value in words.ids(self._members)))),
                ("also", text(", ".join(words.finding_ids(group.findings[1:])))),
            ]
        )

    # ---- evidence ----------------------------------------------------------------------------------------------

    def _proof(self) -> Iterator[RenderableType]:
        one = self._group.first
        for evidence in one.evidence[:MAX_EVIDENCE]:
            yield from self._evidence(one, evidence, ROWS if evidence.role == "primary" else ROWS // 2)
        yield from self._windows(one)

    def _follows(self) -> Iterator[RenderableType]:
        for child in self._consequences[:MAX_CONSEQUENCES]:
            one = child.first
            yield Text()
            yield hanging("  → ", joined((f"{one.id} ", "bold"), (safe(one.title), "")), DIM)
            yield hanging("    ", text(", ".join(safe(part) for part in words.place(one)), DIM))
            if one.explanation:
                yield hanging("    ", text(safe(one.explanation, 2 * MAX_TEXT)))
            evidence = self._decisive(one)
            if evidence is not None:
                yield from self._evidence(one, evidence, ROWS // 2)
            yield from self._windows(one)

    def _windows(self, one: Finding) -> Iterator[RenderableType]:
        """Picture the windows that a finding is about."""
        if self._picture is None:
            return
        from wirecase_cli.reports import windows_words

        screen = self._screen
        for line in windows_words.told(self._picture, one.id, screen.width - 2, unicode=screen.unicode):
            if line.kind == "title":
                yield Text()
                yield hanging("  ", text(safe(line.text), "underline"))
            elif line.kind == "chart":
                yield unwrapped((f"  {line.text}", ""))
            else:
                yield hanging("  → " if line.kind == "missing" else "  ", text(safe(line.text), _TOLD[line.kind]))

    def _decisive(self, one: Finding) -> Evidence | None:
        """Return the evidence that shows most, unless the reader has already seen what the finding rests on."""
        if not one.evidence or _place(one.evidence[0]) in self._shown:
            return None
        return hexview.decisive(one)

    def _evidence(self, finding: Finding, one: Evidence, most: int) -> Iterator[RenderableType]:
        spans = hexview.spans(finding, one)
        first = not self._shown
        self._shown.add(_place(one))
        where = safe(words.evidence(one, self._diagnosis))
        drawn = hexview.drawn(finding, one)
        if drawn or first:
            yield Text()
        yield hanging("  ", joined((safe(one.note) or "evidence", "underline"), (f"  {where}", DIM)))
        if not drawn:
            return
        per_row = 16 if hexview.row_width(one, 16) + 2 <= self._screen.width else 8
        for row in hexview.rows(one, spans, per_row=per_row, most=most):
            yield unwrapped((f"  {row.offset}  ", DIM), (f"{row.hex}  ", ""), (row.text, "green"))
            if row.hex_marks:
                gap = " " * (len(row.offset) + 4)
                yield unwrapped((f"{gap}{row.hex_marks.ljust(len(row.hex))}  {row.text_marks}", "bold red"))
        for span in spans:
            yield hanging(f"  {span.sign * 2} ", text(safe(span.label), "bold red"), "bold red")
        left = max(one.length, len(one.data)) - hexview.shown(one, per_row=per_row, most=most)
        if left > 0:
            yield text(f"  … {words.plural(left, 'more byte')}", DIM)

    # ---- words -------------------------------------------------------------------------------------------------

    def _clients(self) -> Iterator[RenderableType]:
        clients = words.clients(self._members)
        if not clients:
            return
        yield Text()
        yield text("  What the clients log", "underline")
        several = len(self._members) > 1
        for name, lines in clients.items():
            if several:
                yield hanging("  ", text(safe(name), "bold"))
            for finding_id, one in lines:
                remark = "" if one.checked else "  (not checked live)"
                head = f"    {finding_id}  " if several else f"  {safe(name)}  "
                yield hanging(head, joined((safe(one.code), "bold"), (remark, DIM)), DIM if several else "bold")
                yield hanging(" " * len(head) if several else "    ", text(safe(one.text), "magenta"))

    def _advice(self) -> Iterator[RenderableType]:
        one = self._group.first
        yield Text()
        yield fields([("retry", self._each(words.retries(self._members), "")), ("do", self._fixes())])
        if one.references:
            yield fields([("see", text("; ".join(safe(each) for each in one.references), DIM))])

    def _fixes(self) -> Text:
        return self._each(words.fixes(self._members[:MAX_FIXES]), "bold")

    def _each(self, lines: list[tuple[str, str]], style: str) -> Text:
        """Put lines below each other; where they differ between findings, each behind its finding's id."""
        out = Text(overflow="fold")
        for finding_id, line in lines:
            if out:
                out.append("\n")
            if len(lines) > 1:
                out.append(f"{finding_id}: ", DIM)
            out.append(safe(line), style)
        return out


def _place(one: Evidence) -> _Place:
    return one.source, one.packet, one.offset, one.direction


def _facts(one: Finding) -> Text:
    out = Text(overflow="fold")
    for name, value in words.details(one):
        if out:
            out.append("; ", DIM)
        out.append(f"{safe(name).replace('_', ' ')} ", DIM)
        out.append(safe(value, words.DETAIL_LIMIT))
    return out
