"""The answers of a real server beside the recorded ones, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from wirecase import __version__
from wirecase.replay.caller import CallResult, Comparison
from wirecase_cli.reports import answers_words as words
from wirecase_cli.reports.drawing import DIM, fields, hanging, joined, printed, safe, section, text
from wirecase_cli.reports.screen import Screen

STYLE = {"✓": "bold green", "·": "bold yellow", "✗": "bold red"}
OVERALL = {"fine": "✓", "broken": "✗", "untold": "·"}
MAX_CALLS = 40
MAX_DEVIATIONS = 12
_WEIGHT = {"still-broken": 0, "broken-differently": 1, "not-sent": 2, "changed": 3, "fixed": 4, "same": 5}


def render(result: Comparison, screen: Screen) -> str:
    """Return the report as text."""
    return printed(_parts(result), screen)


def _parts(result: Comparison) -> Iterator[RenderableType]:
    yield text(f"wirecase {__version__}", DIM)
    yield hanging("", joined((f"{safe(result.path)}  ", "bold"), (safe(result.headline), "")))
    how = "with grpcio" if result.through == "grpcio" else "as recorded"
    over = " over TLS" if result.tls else ""
    place = safe(result.target) + ("" if result.address == result.target else f" ({safe(result.address)})")
    yield hanging("  ", text(f"requests to {safe(result.recorded_server)} sent {how} to {place}{over}", DIM))
    yield Text()
    sign = OVERALL[result.overall]
    stopped = " (interrupted)" if result.interrupted else ""
    yield hanging(f"{sign} ", text(safe(result.summary) + stopped, "bold"), STYLE[sign])
    yield section("Calls")
    chosen = sorted(result.calls, key=lambda one: (_WEIGHT[one.verdict], one.recorded))
    for one in chosen[:MAX_CALLS]:
        yield from _call(one)
    if len(chosen) > MAX_CALLS:
        yield text(f"and {len(chosen) - MAX_CALLS:,} more calls; --format json has all of them", DIM)
    if not chosen:
        yield text("the recorded connections carry no call", DIM)
    yield from _connections(result)
    yield from _remarks(result)


def _call(one: CallResult) -> Iterator[RenderableType]:
    sign = words.SIGN[one.verdict]
    label = joined(
        (f"call {one.recorded} ", "bold"), (f"{one.verdict}: ", STYLE[sign]), (safe(one.why), ""),
        (f"  {safe(one.path)}", DIM),
    )  # fmt: skip
    yield hanging(f"{sign} ", label, STYLE[sign])
    if one.verdict == "same":
        return
    rows: list[tuple[str, Text | str]] = [("then", text(words.answer(one.before)))]
    if one.after is not None:
        rows.append(("now", text(words.answer(one.after))))
    found = words.rules(one)
    if found:
        rows.append(("found", text(safe(found))))
    yield fields(rows, indent=4)


def _connections(result: Comparison) -> Iterator[RenderableType]:
    told = [one for one in result.connections if one.before or one.after or one.error is not None]
    if not told:
        return
    yield section("Connections")
    for one in told[:MAX_CALLS]:
        sign = words.SIGN[one.verdict]
        then = ", ".join(fault.rule for fault in one.before) or "nothing"
        now = safe(one.error) if one.error is not None else ", ".join(fault.rule for fault in one.after) or "nothing"
        label = joined((f"connection {one.recorded} ", "bold"), (f"{one.verdict}: then {then}; now {now}", ""))
        yield hanging(f"{sign} ", label, STYLE[sign])


def _remarks(result: Comparison) -> Iterator[RenderableType]:
    if result.notes or result.deviations:
        yield section("To be known")
    for note in result.notes:
        yield hanging("  ", text(safe(note)))
    for one in result.deviations[:MAX_DEVIATIONS]:
        place = f"call {one.call}: " if one.call is not None else ""
        times = f" ({one.count} times)" if one.count > 1 else ""
        yield hanging("  ", joined((f"{one.what}: ", "bold"), (safe(place + one.why + times), "")))
    if len(result.deviations) > MAX_DEVIATIONS:
        yield text(f"and {len(result.deviations) - MAX_DEVIATIONS:,} more deviations", DIM)
