"""``wirecase rules``: what wirecase looks for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from wirecase_cli import output

OK = 0


class Format(StrEnum):
    """What the list can be drawn as."""

    terminal = "terminal"
    json = "json"
    markdown = "markdown"


def rules(
    shape: Annotated[
        Format, typer.Option("--format", metavar="terminal|json|markdown", help="What to print.")
    ] = Format.terminal,
) -> int:
    """List all rules; wirecase explain RULE prints the page of one.

    Exit status: 0 fine, 2 wrong usage, 4 the list could not be written, 70 a defect of wirecase.
    """
    from wirecase import explaining
    from wirecase_cli.reports import explained, screen

    pages = list(explaining.pages().values())
    if shape is Format.json:
        output.to_stdout(explained.rules_json(pages))
    elif shape is Format.markdown:
        output.to_stdout(explaining.index())
    else:
        output.to_stdout(explained.rules_table(pages, screen.of_stdout()))
    return OK
