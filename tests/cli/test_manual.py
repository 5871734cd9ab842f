"""The manual page says what the commands say of themselves.

``make man`` (this file, run as a program) writes the page.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import typer

from wirecase_cli.app import build
from wirecase_cli.commands import guide

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "cli" / "man" / "wirecase.1"
TEMPLATE = r"""
.TH WIRECASE 1
.SH NAME
wirecase \- say why gRPC calls died on the wire, and serve the moment again to a fixed client
.SH SYNOPSIS
.B wirecase
.I COMMAND
.RI [ OPTION ...]
.RI [ ARGUMENT ...]
.SH DESCRIPTION
{{ help | roff }}
{%- for command in commands %}
.SH "{{ command.name | upper }}"
.B wirecase {{ command.name }}
{{ command.usage | roff }}
.PP
{% for paragraph in command.paragraphs -%}
{{ paragraph | roff }}
.PP
{% endfor -%}
{% for names, text in command.parameters -%}
.TP
.B {{ names | roff }}
{{ text | roff }}
{% endfor -%}
{% endfor -%}
.SH "EXIT STATUS"
{% for status, meaning in statuses -%}
.TP
.B {{ status }}
{{ meaning | roff }}
{% endfor -%}
.SH ENVIRONMENT
.TP
.B SSLKEYLOGFILE
A key log that is read beside those that \-\-keylog names.
.TP
.B NO_COLOR
Set to anything, it keeps colour away; FORCE_COLOR asks for it in a pipe.
.TP
.B WIRECASE_DEBUG
Set to 1, a defect of wirecase prints its traceback.
.SH "SEE ALSO"
.BR tshark (1),
.BR tcpdump (8),
.BR dumpcap (1);
.B wirecase guide
lists the pages of documentation that come with the tool.
""".lstrip()


def roff(text: str) -> str:
    r"""Return one paragraph as roff reads it: no line of it begins a request, no character starts an escape."""
    flat = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    flat = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in flat)
    return "\\&" + flat if flat.startswith((".", "'")) else flat


def manual() -> str:
    group: Any = typer.main.get_command(build([]))
    environment = jinja2.Environment(autoescape=False, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    environment.filters["roff"] = roff
    statuses = re.findall(r"^\| (\d+) \| (.*) \|$", guide.text("exit-status"), re.M)
    return environment.from_string(TEMPLATE).render(
        help=group.help,
        commands=[described(name, command) for name, command in group.commands.items()],
        statuses=[(status, meaning.replace("`", "")) for status, meaning in statuses],
    )


def described(name: str, command: Any) -> dict[str, Any]:
    context = command.make_context(f"wirecase {name}", [], resilient_parsing=True)
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    return {
        "name": name,
        "usage": " ".join(piece.strip("{}") for piece in command.collect_usage_pieces(context)),
        "paragraphs": command.help.split("\n\n"),
        "parameters": [record for record in records if record is not None],
    }


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == manual(), "run: make man"


def test_every_command_and_option_has_a_place() -> None:
    text = PAGE.read_text(encoding="utf-8")
    group: Any = typer.main.get_command(build([]))
    for name, command in group.commands.items():
        section = re.search(rf'^\.SH "{name.upper()}"\n(.*?)^\.SH ', text, re.M | re.S)
        assert section is not None
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("-"):
                    assert option.replace("-", "\\-") in section[1], (name, option)


def test_a_formatter_has_nothing_to_complain_about() -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed: apt-get install groff-base")
    command = [groff, "-man", "-ww", "-Tutf8", "-rLL=100n", str(PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    complaints = [line for line in done.stderr.splitlines() if "can't break line" not in line and "adjust" not in line]
    assert not complaints
    assert "SEE ALSO" in re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(manual(), encoding="utf-8")
