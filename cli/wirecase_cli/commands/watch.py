"""``wirecase watch``: packets as they come, findings as they happen."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import output, running
from wirecase_cli.commands.diagnose import status
from wirecase_cli.commands.options import FailingFrom, FailOn, Force, Keylogs, Ports, key_logs

if TYPE_CHECKING:
    from wirecase.live import Setup, Watch
    from wirecase.model import Diagnosis
    from wirecase.sources.capturing import CaptureTool
    from wirecase.sources.capturing.tools import ToolName

OK = 0


class Format(StrEnum):
    """What comes out."""

    terminal = "terminal"
    json = "json"


class Tool(StrEnum):
    """What captures."""

    dumpcap = "dumpcap"
    tcpdump = "tcpdump"


def watch(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[-]",
            help="- reads a capture that another program writes: ssh HOST tcpdump -U -w - | wirecase watch -",
            show_default=False,
        ),
    ] = None,
    interfaces: Annotated[
        list[str] | None,
        typer.Option(
            "--interface",
            "-i",
            metavar="IFACE",
            help="Capture on this interface; with dumpcap several times.",
            show_default=False,
        ),
    ] = None,
    capture_filter: Annotated[
        str,
        typer.Option(
            "--filter",
            "-f",
            metavar="BPF",
            help="Capture only what this matches, e.g. 'tcp port 50051' (pcap-filter(7)).",
            show_default=False,
        ),
    ] = "",
    listing: Annotated[bool, typer.Option("--list", help="List the interfaces and exit.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Keep the capture in FILE, as it comes.", show_default=False
        ),
    ] = None,
    force: Force = False,
    length: Annotated[
        float | None,
        typer.Option("--duration", metavar="SECONDS", min=0.1, help="End after so long.", show_default=False),
    ] = None,
    report: Annotated[
        Format,
        typer.Option(
            "--format",
            metavar="terminal|json",
            help="What to print; json is one object a line (wirecase guide watch).",
        ),
    ] = Format.terminal,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Lines for a log instead of a live screen; without a terminal it is so anyway."),
    ] = False,
    keylogs: Keylogs = None,
    ports: Ports = None,
    fail_on: FailingFrom = FailOn.error,
    tool: Annotated[
        Tool | None,
        typer.Option(
            "--tool", metavar="dumpcap|tcpdump", help="Who captures; by default who is there and may.",
            show_default=False,
        ),
    ] = None,
    buffer: Annotated[
        int, typer.Option("--buffer", metavar="MIB", min=1, max=2047, help="Kernel buffer for packets, in MiB.")
    ] = 64,
    idle: Annotated[
        float,
        typer.Option("--idle", metavar="SECONDS", min=1, help="Let go of connections that were silent for so long."),
    ] = 3600.0,
) -> int:  # fmt: skip
    """Diagnose what passes an interface, while it passes.

    dumpcap or tcpdump captures; findings are told as they happen, and a report ends it (Ctrl-C, --duration).

    Exit status: 0 no findings at or above --fail-on, 1 findings, 2 wrong usage, 3 nothing can be captured, 4 the
    capture could not be written, 70 a defect of wirecase, 130 interrupted (what is known so far is printed).
    """
    chosen: ToolName | None = "dumpcap" if tool is Tool.dumpcap else "tcpdump" if tool is Tool.tcpdump else None
    if listing:
        from wirecase.sources.capturing import capture_tool

        return _list(capture_tool(chosen))
    _check(source, interfaces, capture_filter, tool)
    if file is not None:
        output.check_file(file, [], force=force, device=False)

    from wirecase.live import Setup, Watch
    from wirecase.pipeline import Options
    from wirecase.sources.capturing import capture_tool
    from wirecase.sources.capturing.program import Wish

    options = Options(sources=["-"], keylogs=key_logs(keylogs), ports=list(ports or []))
    setup = Setup(options, keep=file, duration=length, idle=int(idle * 1e9))
    if interfaces:
        setup.tool = capture_tool(chosen)
        setup.wish = Wish(tuple(interfaces), capture_filter, buffer=buffer)
    else:
        setup.descriptor = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
    watcher = Watch(setup)
    if report is Format.terminal and not plain and sys.stdout is not None and sys.stdout.isatty():
        found = _on_screen(watcher, setup)
    else:
        found = _as_lines(watcher, report)
    return _conclude(watcher, found, setup, report, fail_on)


def _check(source: str | None, interfaces: list[str] | None, capture_filter: str, tool: Tool | None) -> None:
    if source is None and not interfaces:
        raise UsageError("what shall be watched? give -i IFACE (wirecase watch --list shows them), or - for a pipe")
    if source is not None:
        if source != "-":
            raise UsageError(f"{source}: watch reads an interface (-i) or a pipe (-); files are for wirecase diagnose")
        if interfaces or capture_filter or tool is not None:
            raise UsageError("- is captured by another program: leave out --interface, --filter and --tool")
        running.check_stdin([source], "watch")


def _list(tool: CaptureTool) -> int:
    from wirecase.sources.capturing import interfaces
    from wirecase_cli.reports.escape import line

    found = interfaces(tool)
    width = max(len(line(one.name)) for one in found)
    output.to_stdout("".join(f"{line(one.name).ljust(width)}  {line(one.about)}".rstrip() + "\n" for one in found))
    return OK


def _on_screen(watcher: Watch, setup: Setup) -> Diagnosis:
    from wirecase_cli.keys import Keys
    from wirecase_cli.reports.live_dissection import Dissector
    from wirecase_cli.reports.live_screen import Screen

    dissector = Dissector(setup.keep, setup.options.keylogs, setup.options.ports)
    try:
        with running.stoppable() as stop, Keys() as keys, Screen(keys=keys, dissector=dissector) as screen:
            return watcher.run(screen.show, stop)
    finally:
        dissector.close()


def _as_lines(watcher: Watch, report: Format) -> Diagnosis:
    from wirecase_cli.reports.live_lines import Lines

    def write(text: str) -> None:
        if not output.to_stdout(text):
            watcher.leave()

    lines = Lines(write, as_json=report is Format.json)
    with running.stoppable() as stop:
        found = watcher.run(lines.show, stop)
    lines.end(watcher, found)
    return found


def _conclude(watcher: Watch, found: Diagnosis, setup: Setup, report: Format, fail_on: FailOn) -> int:
    from wirecase_cli.reports import live_lines

    for failure in found.failures:
        running.tell(failure)
    if remark := live_lines.summary(watcher):
        running.tell(remark)
    if report is Format.terminal:
        from wirecase_cli.reports import screen, terminal

        output.to_stdout(terminal.render(found, screen.of_stdout()))
    if setup.keep is not None and found.sources[0].packets:
        running.tell(f"the capture is in {setup.keep}: wirecase extract cuts a case out of it, and wirecase show "
                     f"--dissect N tells Wireshark's words about packet N")  # fmt: skip
    return status(found, fail_on)
