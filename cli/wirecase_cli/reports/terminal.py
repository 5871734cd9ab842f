"""The report for a tired person at a terminal: what happened first, the bytes that prove it, then what to do.

Colour only repeats what a word and a symbol already say. `drawing` keeps the capture's text harmless.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from wirecase.model import Diagnosis
from wirecase_cli.reports import cross_check, log_lines, outline, words
from wirecase_cli.reports.block import Block
from wirecase_cli.reports.drawing import DIM, STYLE, SYMBOL, fields, hanging, joined, printed, safe, section, text
from wirecase_cli.reports.screen import Screen

if TYPE_CHECKING:
    from wirecase.model import LogReport
    from wirecase.picturing import Picture

MAX_BLOCKS = 6
"""Root causes that are told in full; what is beyond stands in the tree."""
MAX_TREES = 40
MAX_CHILDREN = 12
MAX_LIMITS = 12
MAX_REMARKS = 30
MAX_SOURCES = 5
MAX_PATHS = 4
MAX_STATUSES = 12


def render(diagnosis: Diagnosis, screen: Screen, picture: Picture | None = None) -> str:
    """Return the report as text for `screen`, with a newline at its end.

    `picture` has the windows that findings are about (`wirecase_cli.reports.windows.gather`).
    """
    return printed(_parts(diagnosis, screen, picture), screen)


def _parts(diagnosis: Diagnosis, screen: Screen, picture: Picture | None) -> Iterator[RenderableType]:
    arranged = outline.of(diagnosis)
    yield _head(diagnosis)
    yield from _verdict(diagnosis, arranged)
    if arranged.roots:
        yield section("Causes and consequences")
        yield from (_tree(root) for root in arranged.roots[:MAX_TREES])
        yield from _more(len(arranged.roots) - MAX_TREES, "root cause")
        for root in arranged.roots[:MAX_BLOCKS]:
            yield from Block(root, diagnosis, screen, picture).parts()
        if len(arranged.roots) > MAX_BLOCKS:
            more = len(arranged.roots) - MAX_BLOCKS
            yield Text()
            yield text(f"{more} more root causes are not told here in full; --format json has all of it.", DIM)
        if picture is not None and not picture.hops:
            yield Text()
            yield from (text(remark, DIM) for remark in picture.remarks)
    if arranged.limits:
        yield section("What this capture cannot show")
        yield from (_limit(group) for group in arranged.limits[:MAX_LIMITS])
        yield from _more(len(arranged.limits) - MAX_LIMITS, "limit")
    if arranged.remarks:
        yield section("Also seen, no fault of the wire")
        yield from (_one_line(group) for group in arranged.remarks[:MAX_REMARKS])
        yield from _more(len(arranged.remarks) - MAX_REMARKS, "remark")
    if diagnosis.log is not None:
        yield section("Log")
        yield from _log(diagnosis, diagnosis.log)
    yield section("Calls and bytes")
    yield _totals(diagnosis)
    if (check := diagnosis.cross_check) is not None:
        yield section("Cross-check")
        yield hanging("✓ " if check.agrees else "▲ ", text(safe(cross_check.headline(check), 400)))
        yield from (hanging("  ", text(safe(line, 400), DIM)) for line in cross_check.lines(check))


def _log(diagnosis: Diagnosis, log: LogReport) -> Iterator[RenderableType]:
    yield text(safe(log_lines.headline(log)), "bold")
    if clock := log_lines.clock(log):
        yield text(safe(clock), DIM)
    for why, line in log_lines.matched(log):
        yield hanging("✓ ", joined((f"{safe(why)}  ", "bold"), (safe(line), DIM)), "bold green")
    yield from _more(log_lines.more(log, explained=True), "line")
    for why, line in log_lines.unexplained(log):
        yield hanging("▲ ", joined((f"not in the capture, {safe(why)}  ", "bold"), (safe(line), DIM)), "bold yellow")
    yield from _more(log_lines.more(log, explained=False), "line")
    for one in log_lines.unlogged(diagnosis):
        yield hanging("· ", joined(("nobody logged ", "bold"), (safe(one), "")))


def _head(diagnosis: Diagnosis) -> RenderableType:
    lines = [text(f"wirecase {safe(diagnosis.version)}", DIM)]
    for source in diagnosis.sources[:MAX_SOURCES]:
        lines.append(joined((f"{safe(source.path)}  ", "bold"), (safe(words.source(source)), DIM)))
    if len(diagnosis.sources) > MAX_SOURCES:
        lines.append(text(f"and {len(diagnosis.sources) - MAX_SOURCES} more sources", DIM))
    return Group(*lines)


def _verdict(diagnosis: Diagnosis, arranged: outline.Outline) -> Iterator[RenderableType]:
    verdict, blast = diagnosis.verdict, diagnosis.verdict.blast
    symbol, style = _sign(diagnosis, arranged)
    yield Text()
    yield hanging(f"{symbol} ", text(safe(verdict.headline), "bold"), style)
    if blast.calls and (when := words.span(blast.first, blast.last)):
        yield hanging("  From " if " to " in when else "  At ", text(when))
    if blast.paths:
        more = len(blast.paths) - MAX_PATHS
        paths = [safe(path) for path in blast.paths[:MAX_PATHS]] + ([f"and {more} more"] if more > 0 else [])
        yield hanging("  Paths: ", text("\n".join(paths)))
    if not_said := [safe(one) for one in verdict.not_inspected if one not in verdict.headline]:
        yield hanging("  Not inspected: ", text("; ".join(not_said), "yellow"))
    if diagnosis.interrupted:
        yield hanging("  Interrupted: ", text("this is what was known when reading was stopped.", "yellow"))
    for failure in diagnosis.failures:
        yield hanging("  Not read: ", text(safe(failure), "yellow"))


def _sign(diagnosis: Diagnosis, arranged: outline.Outline) -> tuple[str, str]:
    """Return the symbol of the verdict: a tick only where everything was looked at and nothing found."""
    members = [member for root in arranged.roots for member in (root, *root.descendants())]
    if any(member.first.severity == "error" for member in members):
        return SYMBOL["error"], STYLE["error"]
    if members:
        return SYMBOL["warning"], STYLE["warning"]
    doubts = diagnosis.verdict.not_inspected or diagnosis.interrupted or diagnosis.failures
    loud = any(group.first.severity != "info" for group in arranged.limits)
    if doubts or loud or not diagnosis.calls.total:
        return SYMBOL["warning"], "bold"
    return "✓", "bold green"


def _tree(root: outline.Group) -> Tree:
    tree = Tree(_one_line(root), guide_style=DIM)
    _grow(tree, root)
    return tree


def _grow(tree: Tree, group: outline.Group) -> None:
    for child in group.children[:MAX_CHILDREN]:
        _grow(tree.add(_one_line(child)), child)
    for line in _more(len(group.children) - MAX_CHILDREN, "consequence"):
        tree.add(line)


def _more(count: int, noun: str) -> list[Text]:
    return [text(f"and {words.plural(count, f'more {noun}')}", DIM)] if count > 0 else []


def _one_line(group: outline.Group) -> RenderableType:
    one = group.first
    tail = "  "
    if group.leg:
        tail += f"at {safe(group.leg)} "
    if group.count > 1:
        tail += f"×{words.number(group.count)} "
    if len(group.findings) > 1 and one.connection is not None:
        tail += f"on {len(group.findings)} connections "
    label = joined(
        (f"{one.severity} ", STYLE[one.severity]),
        (f"{one.id} ", "bold"),
        (safe(one.title), ""),
        (tail + one.rule, DIM),
    )
    return hanging(f"{SYMBOL[one.severity]} ", label, STYLE[one.severity])


def _limit(group: outline.Group) -> RenderableType:
    one = group.first
    lines: list[RenderableType] = [_one_line(group)]
    for content in (one.explanation, one.fix):
        if content:
            lines.append(Padding(text(safe(content), DIM), (0, 0, 0, 4)))
    return Group(*lines)


def _totals(diagnosis: Diagnosis) -> RenderableType:
    statuses = [f"{safe(name)} {words.number(count)}" for name, count in words.by_status(diagnosis)]
    more = len(statuses) - MAX_STATUSES
    broken = "; ".join(words.unbalanced(diagnosis))
    return fields(
        [
            ("calls", text(words.calls(diagnosis))),
            ("status", text(", ".join(statuses[:MAX_STATUSES] + ([f"{more} more"] if more > 0 else [])))),
            ("network", text(words.plural(diagnosis.connections, "TCP connection"))),
            ("bytes", text(safe(words.bytes_balance(diagnosis), 1000))),
            ("defect", text(f"the bytes do not add up, please report it: {broken}", "red") if broken else ""),
        ],
        indent=0,
    )
