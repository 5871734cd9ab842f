"""The verdict on a client, for a person at a terminal: each question with its answer, then what the wire showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from wirecase import __version__
from wirecase.replay.model import Check, LiveCall, Outcome
from wirecase.replay.result import ReplayResult
from wirecase_cli.reports import replay_words as words
from wirecase_cli.reports.drawing import DIM, fields, hanging, joined, printed, safe, section, text
from wirecase_cli.reports.screen import Screen

SIGN: dict[Outcome, str] = {"pass": "✓", "fail": "✗", "untold": "·"}
STYLE: dict[Outcome, str] = {"pass": "bold green", "fail": "bold red", "untold": "bold yellow"}
MAX_FINDINGS = 6
MAX_CALLS = 24
MAX_CONNECTIONS = 10
MAX_DEVIATIONS = 12
MAX_EVIDENCE = 6


def render(result: ReplayResult, screen: Screen, before: ReplayResult | None = None) -> str:
    """Return the report as text; with `before`, the verdicts on two clients side by side, `result` being the second."""
    return printed(_parts(result) if before is None else _pair(before, result), screen)


def _parts(result: ReplayResult) -> Iterator[RenderableType]:
    yield from _head(result)
    yield Text()
    yield _verdict(result)
    yield _client(result)
    yield from _checks(result)
    yield from _wire(result)
    yield from _deviations(result)
    yield from _output(result, "Output of the client")


def _pair(before: ReplayResult, after: ReplayResult) -> Iterator[RenderableType]:
    yield from _head(after)
    yield Text()
    for name, one in (("before", before), ("after", after)):
        label = joined((f"{name}: ", DIM), (words.HEADLINE[one.outcome], "bold"))
        yield hanging(f"{SIGN[one.outcome]} ", label, STYLE[one.outcome])
    yield section("Before and after")
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_row(Text("", DIM), Text("before", DIM), Text("after", DIM))
    for name in dict.fromkeys(one.name for one in [*after.checks, *before.checks]):
        row = [_cell(one, name) for one in (before, after)]
        table.add_row(Text(name), *row)
    yield table
    for name, one in (("Before", before), ("After", after)):
        yield section(f"{name}: {words.HEADLINE[one.outcome]}", STYLE[one.outcome])
        yield _client(one)
        yield from (_check(check) for check in one.checks if check.outcome != "untold")
        yield from _output(one, f"{name}: output of the client")


def _cell(result: ReplayResult, name: str) -> Text:
    outcome = next((one.outcome for one in result.checks if one.name == name), None)
    return Text("") if outcome is None else Text(f"{SIGN[outcome]} {outcome}", STYLE[outcome])


def _head(result: ReplayResult) -> Iterator[RenderableType]:
    case = result.case
    yield text(f"wirecase {__version__}", DIM)
    yield joined((f"{safe(case.path)}  ", "bold"), (f"sha256 {safe(case.sha256)}", DIM))
    asked = f"finding {case.finding}" if case.finding else f"call {case.call}" if case.call is not None else ""
    wanted = f", {safe(asked)}" if asked else ""
    yield hanging("  ", text(f"served in place of {safe(case.server)}{wanted}: {safe(case.headline)}"))
    for finding in [one for one in case.findings if one.severity != "info"][:MAX_FINDINGS]:
        yield hanging(
            "  ", joined((f"{safe(finding.id)} ", "bold"), (safe(finding.title), ""), (f"  {finding.rule}", DIM))
        )


def _verdict(result: ReplayResult) -> RenderableType:
    outcome = result.outcome
    label = text(words.HEADLINE[outcome] + (" (interrupted)" if result.interrupted else ""), "bold")
    return hanging(f"{SIGN[outcome]} ", label, STYLE[outcome])


def _client(result: ReplayResult) -> RenderableType:
    run = result.run
    if run is None:
        return fields([("server", text(safe(result.trace.target))), ("client", text("not started by wirecase"))])
    return fields(
        [
            ("client", text(safe(words.command(run.command)))),
            ("", ""),
            ("ended", text(safe(words.ending(run)))),
            ("took", text(words.resources(run))),
            ("rounds", text(words.rounds(result))),
        ]
    )


def _checks(result: ReplayResult) -> Iterator[RenderableType]:
    yield section("Checks")
    yield from (_check(one) for one in result.checks)


def _check(one: Check) -> RenderableType:
    label = joined((f"{one.outcome:<6}  ", STYLE[one.outcome]), (f"{one.name}: ", "bold"), (safe(one.why), ""))
    lines: list[RenderableType] = [hanging(f"{SIGN[one.outcome]} ", label, STYLE[one.outcome])]
    if one.outcome == "fail" or one.name == "no_leak":
        for entry in one.evidence[:MAX_EVIDENCE]:
            told = {name: words.evidence(value) for name, value in entry.items() if value not in (None, "", [])}
            facts = ", ".join(f"{name} {_value(value)}" for name, value in told.items())
            lines.append(hanging("            ", text(safe(facts), DIM)))
    return Group(*lines)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_value(item)}" for name, item in value.items() if item not in (None, "", []))
    return ", ".join(map(_value, value)) if isinstance(value, list) else str(value)


def _wire(result: ReplayResult) -> Iterator[RenderableType]:
    trace = result.trace
    yield section("What the client did on the wire")
    if not trace.connections:
        yield text("it never connected", DIM)
        return
    for one in trace.connections[:MAX_CONNECTIONS]:
        label = joined((f"connection {one.number} ", "bold"), (safe(words.connection(one)), ""))
        yield hanging(f"{one.opened:8.3f} s  ", label, DIM)
    yield from _more(len(trace.connections) - MAX_CONNECTIONS, "connection")
    calls = trace.calls if len(trace.calls) <= MAX_CALLS else _telling(result)
    for call in calls:
        label = joined(
            (f"call {call.number} ", "bold"),
            (safe(call.path), ""),
            (f"  on connection {call.connection}, served as {words.served(call)}; {words.reaction(call)}", DIM),
        )
        yield hanging(f"{call.at:8.3f} s  ", label, DIM)
    yield from _more(len(trace.calls) + trace.forgotten_calls - len(calls), "call")


def _telling(result: ReplayResult) -> list[LiveCall]:
    calls = result.trace.calls
    chosen = {call.number for call in calls if call.faults} | {call.number for call in calls[-2:]}
    return [call for call in calls if call.number in chosen][:MAX_CALLS]


def _deviations(result: ReplayResult) -> Iterator[RenderableType]:
    notes = Counter(result.case.notes) | Counter((one.what, one.why) for one in result.trace.deviations)
    if not notes:
        return
    yield section("Where it differs from the recording, and why")
    for (what, why), count in list(notes.items())[:MAX_DEVIATIONS]:
        times = f" ({count} times)" if count > 1 else ""
        yield hanging("  ", joined((f"{safe(what)}: ", "bold"), (safe(why), ""), (times, DIM)))
    yield from _more(len(notes) - MAX_DEVIATIONS, "difference")


def _output(result: ReplayResult, title: str) -> Iterator[RenderableType]:
    lines = words.output_tail(result.run) if result.run is not None else []
    if lines:
        yield section(title)
        yield from (hanging("  ", text(safe(line))) for line in lines)


def _more(count: int, noun: str) -> list[Text]:
    return [text(f"and {count:,} more {noun}{'' if count == 1 else 's'}", DIM)] if count > 0 else []
