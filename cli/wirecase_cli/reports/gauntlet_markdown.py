"""The score card as Markdown, to paste into an issue tracker or a summary of a CI run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wirecase import __version__
from wirecase.replay.gauntlet import Card, Cell
from wirecase.replay.gauntlet.fault import TOPICS
from wirecase_cli.reports import gauntlet_words as words
from wirecase_cli.reports import replay_words
from wirecase_cli.reports.escape import markdown_block, markdown_code, markdown_inline


def render(card: Card, again: str) -> str:
    """Return the card as Markdown with a newline at its end."""
    return "\n".join(_lines(card, again)) + "\n"


def _lines(card: Card, again: str) -> Iterator[str]:
    yield f"## The gauntlet: {words.HEADLINE[card.outcome]}" + (" (interrupted)" if card.interrupted else "")
    yield ""
    yield f"wirecase {__version__}, {len(card.cells)} faults in {card.seconds:.0f} s: {words.summary(card)}"
    yield ""
    yield markdown_block([replay_words.command(card.command)], language="sh")
    for title, cells in (
        ("Surprises", words.surprises(card)),
        ("Other failures", words.lesser(card)),
        ("Known to fail, and passed", words.fixed(card)),
        ("Untold", words.untold(card)),
    ):
        if cells:
            yield from ("", f"### {title}", "")
            yield from _table(cells)
    failed = words.failures(card)
    if failed:
        yield from ("", "One of them again:", "")
        yield markdown_block([words.again(card, failed[0], again)], language="sh")
    yield from ("", "### By topic", "", "| topic | faults | passed | failed | untold |", "|---|---|---|---|---|")
    for topic in TOPICS:
        of = [cell.outcome for cell in card.cells if cell.fault.topic == topic]
        if of:
            counts = " | ".join(str(of.count(one)) for one in ("pass", "fail", "untold"))
            yield f"| {topic} | {len(of)} | {counts} |"


def _table(cells: Sequence[Cell]) -> Iterator[str]:
    yield "| fault | what the server does | expected | reported | verdict |"
    yield "|---|---|---|---|---|"
    for cell in cells:
        known = " (known)" if cell.known_failing else ""
        yield (
            "| "
            + " | ".join(
                (
                    markdown_code(cell.fault.name, cell=True),
                    markdown_inline(cell.fault.summary, cell=True),
                    markdown_inline(cell.fault.wanted, cell=True),
                    markdown_inline(words.reported(cell), cell=True),
                    f"**{cell.word}**{known}: {markdown_inline(cell.why, cell=True)}",
                )
            )
            + " |"
        )
