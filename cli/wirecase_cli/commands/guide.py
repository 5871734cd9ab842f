"""``wirecase guide``: the pages that come with the tool, where no browser is at hand."""

from __future__ import annotations

import io
import sys
from importlib import resources
from typing import Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import output

PAGES = {
    "first-steps": "install, the incident that ships, a case, a replay, a test, a capture of your own",
    "capturing": "how to take a capture that can be diagnosed, and TLS keys",
    "evidence": "Envoy taps, gRPC binary logs, HAR and others: how to record them, what they lose",
    "reading-a-report": "what the parts of a report mean",
    "reports": "all formats: SARIF and JUnit for CI, CSV, ndjson; the bundle to attach to a bug report",
    "filters": "the filter language of --where: fields, operators, examples",
    "tshark": "Wireshark as a second engine: unusual tunnels, a second count, one packet dissected",
    "replay": "a recorded fault served to a client: checks, expectations, recipes for tests",
    "gauntlet": "a client through every fault that ships: the driver protocol, score card, known failures, CI",
    "matrix": "what the current gRPC clients make of every fault, with versions and sources",
    "record": "a proxy that records, the flight recorder, hooks and metrics",
    "watch": "live traffic: interfaces, rights, hints, what is lost, lines and JSON for machines",
    "probe": "a live look at a server: its checks, keepalive, idle connections",
    "exit-status": "what the exit statuses mean",
}


def guide(
    page: Annotated[
        str | None,
        typer.Argument(metavar="[PAGE]", help="The page to print; without it, the list.", show_default=False),
    ] = None,
) -> int:
    """Print a page of documentation: how to capture, how to read."""
    if page is None:
        width = max(len(name) for name in PAGES)
        output.to_stdout("".join(f"{name.ljust(width)}  {about}\n" for name, about in PAGES.items()))
        return 0
    name = page.removesuffix(".md")
    if name not in PAGES:
        raise UsageError(f"there is no page {page!r}: {', '.join(PAGES)} (try: wirecase guide)")
    output.to_stdout(for_reader(text(name)))
    return 0


def text(name: str) -> str:
    """Return the Markdown of a page."""
    return resources.files("wirecase_cli").joinpath("pages", f"{name}.md").read_text(encoding="utf-8")


def for_reader(markdown: str) -> str:
    """Render Markdown where a person looks; in a pipe it stays Markdown."""
    from wirecase_cli.reports import screen

    if sys.stdout is None or not sys.stdout.isatty():
        return markdown
    from rich.console import Console
    from rich.markdown import Markdown

    where = screen.of_stdout()
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=where.width,
        force_terminal=where.color,
        no_color=not where.color,
        color_system="standard" if where.color else None,
        legacy_windows=False,
    )
    console.print(Markdown(markdown, code_theme="ansi_dark"))
    return buffer.getvalue()
