"""Which program takes packets apart, wirecase itself or tshark; and Wireshark's second count of what they carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import running

if TYPE_CHECKING:
    from wirecase.comparing import Comparison
    from wirecase.model import Diagnosis, Finding
    from wirecase.pipeline import OnCall, Options
    from wirecase.session.call import Call
    from wirecase.sources import Open, OpenedSources

Stop = Callable[[], bool]


class Name(StrEnum):
    """Who takes packets apart down to TCP."""

    native = "native"
    tshark = "tshark"


Engine = Annotated[
    Name,
    typer.Option(
        "--engine",
        metavar="native|tshark",
        help="Who unwraps packets down to TCP: wirecase, or tshark, which also knows 802.11, GTP-U, IPsec with keys "
        "and more (wirecase guide tshark).",
    ),
]
Preferences = Annotated[
    list[str] | None,
    typer.Option(
        "--tshark-option",
        metavar="NAME:VALUE",
        help="A preference for tshark, as for its -o, e.g. keys for IPsec or 802.11. May be given several times.",
        show_default=False,
    ),
]


def check(engine: Name, preferences: Sequence[str] | None, *, cross_check: bool = False) -> None:
    """Raise an error in one line where tshark is asked for and not there, or preferences would reach nobody."""
    if engine is Name.tshark or cross_check:
        from wirecase.sources.tshark import tshark
        from wirecase.sources.tshark.program import check_preferences

        check_preferences(preferences or [])
        tshark()
    elif preferences:
        raise UsageError("--tshark-option needs --engine tshark" + (" or --cross-check" if cross_check else ""))


@contextmanager
def readable(sources: list[str], engine: Name, *, again: bool = False) -> Iterator[list[str]]:
    """Give the sources as files where they are read again, or by tshark: pipes are written to some first."""
    if again or engine is Name.tshark:
        with running.rereadable(sources) as names:
            yield names
    else:
        yield sources


def opener(engine: Name, preferences: Sequence[str] | None, stop: Stop | None = None) -> Open:
    """Return what opens the sources for `engine`."""
    from wirecase.sources import open_sources

    if engine is Name.native:
        return open_sources
    from wirecase.sources.tshark import TsharkEngine

    return TsharkEngine(preferences or (), stop)


def compared(
    options: Options,
    opened: OpenedSources,
    preferences: Sequence[str] | None,
    progress: Callable[[int, int | None], None] | None,
    stop: Stop,
    on_call: OnCall | None = None,
) -> Diagnosis:
    """Diagnose, then have Wireshark count the same captures and note how that compares."""
    from wirecase import pipeline
    from wirecase.crosscheck import Tally, cross_check
    from wirecase.sources.tshark import tshark

    tally = Tally()

    def heard(call: Call, named: list[Finding]) -> None:
        tally.on_call(call, named)
        if on_call is not None:
            on_call(call, named)

    found = pipeline.diagnose(options, progress=progress, stop=stop, opened=opened, on_call=heard, closed=tally.closed)
    if not found.interrupted:
        found.cross_check = cross_check(
            found, tally, tshark(), keylogs=options.keylogs, preferences=preferences or (), stop=stop
        )
    return found


def rename(found: Diagnosis | Comparison, names: list[str], sources: list[str]) -> None:
    """Call standard input and pipes by their names again in a report that was made from copies of them."""
    called = {name: source for name, source in zip(names, sources, strict=True) if name != source}
    if not called:
        return
    from wirecase.model import Diagnosis

    def told(text: str) -> str:
        for name, source in called.items():
            text = text.replace(name, source)
        return text

    for source in found.sources:
        source.path = called.get(source.path, source.path)
    found.failures[:] = map(told, found.failures)
    if isinstance(found, Diagnosis):
        found.verdict.headline = told(found.verdict.headline)
        found.verdict.not_inspected[:] = map(told, found.verdict.not_inspected)
        for finding in found.findings:
            finding.title, finding.explanation = told(finding.title), told(finding.explanation)
