"""What the README says about the tool is what the tool says about itself.

``make readme`` (this file, run as a program) writes the tool's words into the README.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from wirecase_cli.commands import guide
from wirecase_cli.main import main

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")

HELP = re.compile(r"(<!-- help: wirecase(| [a-z ]+) -->\n```\n)(.*?)(\n```)", re.S)
EXAMPLE = re.compile(r"(<!-- example -->\n```\n)(.*?)(\n```)", re.S)

# Other versions of Typer add notes of their own, e.g. a type in <> or a range in [].
NOTES = re.compile(r"<[^>]*>|\[\d+<=x<=\d+\]|[{}\[\]]|\.\.\.")


def words(text: str) -> list[str]:
    return NOTES.sub(" ", text).split()


def printed(arguments: list[str]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(arguments) == 0
    return out.getvalue()


def example() -> str:
    """What ``make demo`` prints, up to the first bytes that are marked."""
    with contextlib.chdir(ROOT):
        lines = printed(["diagnose", "--fail-on", "never", "fixtures/incident/capture.pcapng"]).splitlines()
    last = next(number for number, line in enumerate(lines) if line.startswith("  ^^ "))
    return "\n".join(lines[: last + 1])


@pytest.mark.parametrize(("command", "shown"), [(found[2], found[3]) for found in HELP.finditer(TEXT)])
def test_help_texts(command: str, shown: str) -> None:
    assert words(shown) == words(printed([*command.split(), "--help"]))


def test_exit_statuses_are_those_of_the_guide() -> None:
    table = re.compile(r"^\| \d+ \|.*$", re.M)
    assert table.findall(TEXT) == table.findall(guide.text("exit-status"))


def test_the_example_is_what_the_tool_prints() -> None:
    shown = EXAMPLE.search(TEXT)
    assert shown is not None
    assert shown[2].split() == example().split()


def rewrite() -> None:
    text = HELP.sub(lambda found: found[1] + printed([*found[2].split(), "--help"]).rstrip() + found[4], TEXT)
    README.write_text(EXAMPLE.sub(lambda found: found[1] + example() + found[3], text), encoding="utf-8")


if __name__ == "__main__":
    rewrite()
