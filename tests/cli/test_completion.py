"""Shells complete commands and options."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def complete(words: str) -> list[str]:
    environment = {
        **os.environ,
        "_WIRECASE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    program = "import sys; from wirecase_cli.main import main; sys.argv = ['wirecase']; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("wirecase dia", ["diagnose"]),
        ("wirecase re", ["report", "replay", "record"]),
        ("wirecase diagnose --fol", ["--follow", "--follow-timeout"]),
        ("wirecase diagnose --fail-on w", ["warning"]),
        ("wirecase verify --nothing", []),
    ],
)
def test_what_a_shell_is_offered(words: str, expected: list[str]) -> None:
    assert complete(words) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_can_be_had(shell: str) -> None:
    program = "import sys; from wirecase_cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "--show-completion", shell]
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert "_COMPLETE" in done.stdout
