"""The commands of wirecase, listed explicitly, and how a wrong command line is told."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import cast

import typer

from wirecase.errors import UsageError

COMMANDS = (
    "diagnose", "calls", "show", "compare", "extract", "report", "verify", "replay", "gauntlet",
    "record", "watch", "probe", "explain", "rules", "doctor", "guide",
)  # fmt: skip
"""In the order of the help text. Each is a function of the same name in a module of the same name in `commands`."""

# Typer's own classes of command-line errors have no public name of their own; BadParameter has, and stands below them.
_COMMAND_LINE_ERROR = cast("type[Exception]", typer.BadParameter.__mro__[2])


def build(args: list[str]) -> typer.Typer:
    """Return the command line as a Typer app; if `args` begin with a command's name, with that command alone.

    The others are then not even imported: what they need costs more time than a short capture does.
    """
    app = typer.Typer(
        name="wirecase",
        help="Say why gRPC calls died on the wire, from a packet capture.",
        add_completion=not args or args[0] not in COMMANDS,  # its options stand before any command
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    for name in args[:1] if args and args[0] in COMMANDS else COMMANDS:
        app.command()(getattr(import_module(f"wirecase_cli.commands.{name}"), name))
    return app


def _options(
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and exit."),
) -> None:
    # Beside other arguments the version is still answered; alone it never comes here.
    if version:
        from wirecase import __version__

        sys.stdout.write(f"wirecase {__version__}\n")
        raise typer.Exit


def run(args: list[str]) -> int:
    """Run the command that `args` name and return its exit status.

    Raises UsageError, in one line with a hint, where they name none or name it wrongly.
    """
    try:
        status = build(args)(args, prog_name="wirecase", standalone_mode=False)
    except _COMMAND_LINE_ERROR as error:
        raise UsageError(_one_line(error)) from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    return status if isinstance(status, int) else 0


def _one_line(error: BaseException) -> str:
    if type(error).__name__ == "NoArgsIsHelpError":
        return "what shall be done? (try: wirecase --help)"
    message = " ".join(getattr(error, "format_message", error.__str__)().split()).rstrip(".")
    # The parser's own words that help nobody.
    for theirs, ours in (
        (" (Possible options: --help)", ""),
        ("valid int range", "whole number"),
        ("valid float range", "number"),
    ):
        message = message.replace(theirs, ours)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "wirecase"
    return f"{message[:1].lower()}{message[1:]} (try: {command} --help)"
