"""``wirecase replay CASE --to HOST:PORT``: the recorded requests, sent to a real server."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import InputError, UsageError
from wirecase_cli import output

if TYPE_CHECKING:
    from wirecase.replay.caller import Comparison, Target

STATUS = {"fine": 0, "broken": 1, "untold": 4}
INTERRUPTED = 130
DEFAULT_TIMEOUT = 30.0
_LONGEST_VALUE = 64 * 1024


class Sender(StrEnum):
    """Who sends the requests."""

    raw = "raw"
    grpcio = "grpcio"


To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="HOST:PORT",
        help="The other direction: send the recorded requests to this server, and compare its answers with the "
        "recorded ones. Nothing else is dialled.",
        show_default=False,
    ),
]
Through = Annotated[
    Sender,
    typer.Option(
        "--through",
        metavar="raw|grpcio",
        help="With --to: send frames and bytes as recorded, or make the calls as grpcio makes them.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="With --to: do not ask before an address of another machine.")]
Ca = Annotated[
    str | None,
    typer.Option(
        "--ca", metavar="FILE", help="With --to and --tls: authorities to trust instead of the system's, PEM.",
        show_default=False,
    ),
]  # fmt: skip
Insecure = Annotated[bool, typer.Option("--insecure", help="With --to and --tls: take any certificate.")]
ServerName = Annotated[
    str | None,
    typer.Option(
        "--server-name", metavar="NAME", help="With --to and --tls: the name to ask for and check.", show_default=False
    ),
]
Authority = Annotated[
    str | None,
    typer.Option(
        "--authority", metavar="NAME", help="With --to: send this :authority, not the recorded one.", show_default=False
    ),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata",
        metavar="NAME=VALUE",
        help="With --to: send this field in place of the recorded one, e.g. authorization=@FILE, which reads the value "
        "from FILE. May be given several times.",
        show_default=False,
    ),
]


@dataclass(slots=True)
class Wish:
    """What the command line asks for."""

    case: str
    to: str
    through: Sender = Sender.raw
    yes: bool = False
    tls: bool = False
    ca: str | None = None
    insecure: bool = False
    server_name: str | None = None
    authority: str | None = None
    metadata: list[str] = field(default_factory=list)
    """``NAME=VALUE`` or ``NAME=@FILE`` each."""
    finding: str | None = None
    call: int | None = None
    speed: str = "1"
    """A factor, or ``max``."""
    timeout: float | None = None
    """Seconds for each call."""
    keylogs: Sequence[str] = ()
    ports: Sequence[int] = ()
    format: str = "terminal"
    file: Path | None = None


def send(wish: Wish, serving: Mapping[str, object]) -> int:
    """Send, print the comparison, return the exit status; `serving` holds the options that --to excludes."""
    for name, value in serving.items():
        if value:
            raise UsageError(f"{name} is for a case that is served, --to sends it: leave one of them out")
    if wish.finding is not None and wish.call is not None:
        raise UsageError("--finding and --call exclude each other")
    if not wish.tls and (wish.ca or wish.insecure or wish.server_name):
        raise UsageError("--ca, --insecure and --server-name need --tls")
    if wish.ca and wish.insecure:
        raise UsageError("--ca and --insecure exclude each other")
    if wish.format not in ("terminal", "json"):
        raise UsageError(f"--format {wish.format} is not for --to: terminal or json")

    from wirecase.replay.caller import Request, Tls, call_again, look_up
    from wirecase.replay.session import parse_speed

    speed = parse_speed(wish.speed)
    metadata = [metadata_field(one) for one in wish.metadata]
    target = look_up(wish.to)
    confirm(target, yes=wish.yes)
    result = call_again(
        Request(
            wish.case, target, wish.finding, wish.call, wish.ports, wish.keylogs, wish.through.value,
            Tls(wish.ca, wish.insecure, wish.server_name) if wish.tls else None, speed,
            DEFAULT_TIMEOUT if wish.timeout is None else wish.timeout, wish.authority, metadata,
        )
    )  # fmt: skip
    text = _render(result, wish)
    if wish.file is not None:
        output.to_file(wish.file, text)
    else:
        output.to_stdout(text)
    return INTERRUPTED if result.interrupted else STATUS[result.overall]


def check_unused(options: Mapping[str, object]) -> None:
    """Raise UsageError for options that say nothing without --to."""
    for name, value in options.items():
        if value:
            raise UsageError(f"{name} needs --to HOST:PORT")


def confirm(target: Target, *, yes: bool) -> None:
    """Ask before anything is sent to another machine. Raises UsageError if nobody can be asked, or the answer is no."""
    if yes or target.is_loopback:
        return
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"--to {target.name}: {target.address} is not this machine; add --yes to send the recorded requests there"
        )
    from wirecase_cli.reports.escape import line

    sys.stderr.write(f"Send the recorded requests to {line(target.name)} ({line(target.address)})? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was sent")


def metadata_field(text: str) -> tuple[str, str]:
    """Read ``NAME=VALUE``; a value that begins with @ names the file that holds it: no process list shows it."""
    name, mark, value = text.partition("=")
    name = name.strip().lower()
    if not mark or not name or not name.isascii() or not all(char.isalnum() or char in "-_.:" for char in name):
        raise UsageError(f"--metadata {name}: write NAME=VALUE, or NAME=@FILE")
    if value.startswith("@"):
        try:
            value = Path(value[1:]).read_text(encoding="utf-8")[:_LONGEST_VALUE].strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise InputError(f"{value[1:]} cannot be read: {reason}") from error
    if not value.isprintable():
        raise UsageError(f"--metadata {name}: the value holds characters that no header may hold")
    return name, value


def _render(result: Comparison, wish: Wish) -> str:
    if wish.format == "json":
        from wirecase_cli.reports import answers_json

        return answers_json.render(result)
    from wirecase_cli.reports import answers_terminal, screen

    return answers_terminal.render(result, screen.plain() if wish.file is not None else screen.of_stdout())
