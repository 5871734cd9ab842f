"""What ``extract`` and ``report`` share: which calls make the case, what is redacted, and the writing of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError
from wirecase_cli import engine, running

if TYPE_CHECKING:
    from wirecase.case.extract import Extracted
    from wirecase.case.redact import Redactor
    from wirecase.case.select import CallFilter
    from wirecase.pipeline import OnCall


class Payloads(StrEnum):
    """What becomes of messages."""

    redact = "redact"
    hash = "hash"
    keep = "keep"


Finding = Annotated[
    str | None,
    typer.Option(
        "--finding",
        metavar="F",
        help="The finding to show (F1 …), with its causes and consequences; by default the first root cause, or all "
        "calls where nothing was found.",
        show_default=False,
    ),
]
CallNumber = Annotated[
    int | None,
    typer.Option("--call", metavar="N", min=0, help="The call to cut out, by its number.", show_default=False),
]
Context = Annotated[
    int,
    typer.Option(
        "--context", metavar="N", min=0, max=1000, help="Keep N calls before and after each one, same connection."
    ),
]
Messages = Annotated[
    Payloads,
    typer.Option(
        "--payloads",
        metavar="redact|hash|keep",
        help="Messages: replace their values, replace equal ones by equal ones, or keep them.",
    ),
]
KeepSecrets = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-secrets",
        metavar="NAME",
        help="Keep what would be masked: a field's name, a kind of secret, addresses, or hosts. May be given "
        "several times.",
        show_default=False,
    ),
]


@dataclass(slots=True)
class Choice:
    """What to cut out, and what may stay in it."""

    finding: str | None
    call: int | None
    where: str | None
    context: int
    payloads: Payloads
    keep_secrets: list[str] | None
    kept: frozenset[str] = field(init=False)
    """What is kept, in lower case."""

    def __post_init__(self) -> None:
        if sum((self.finding is not None, self.call is not None, self.where is not None)) > 1:
            raise UsageError("--finding, --call and --where exclude each other")
        self.kept = frozenset(name.lower() for name in self.keep_secrets or [])

    def command(self, name: str, unwrap: engine.Name) -> str:
        """Return the command without names of files: those may tell more than the case."""
        parts = [f"wirecase {name} SOURCE"]
        if self.finding is not None:
            parts.append(f"--finding {self.finding}")
        if self.call is not None:
            parts.append(f"--call {self.call}")
        if self.where is not None:
            parts.append("--where FILTER")
        if self.context:
            parts.append(f"--context {self.context}")
        parts.append(f"--payloads {self.payloads.value}")
        parts += [f"--keep-secrets {one}" for one in sorted(self.kept)]
        if unwrap is not engine.Name.native:
            parts.append(f"--engine {unwrap.value}")
        return " ".join(parts)


@dataclass(slots=True)
class Reading:
    """How the sources are read."""

    sources: list[str]
    keylogs: list[str]
    ports: list[int]
    unwrap: engine.Name
    preferences: list[str] | None


def write(
    choice: Choice, reading: Reading, target: Path, name: str, on_call: OnCall | None = None
) -> tuple[Extracted, Redactor]:
    """Write the case to `target` on behalf of the command `name`; `on_call` is told of the calls in it.

    Return what was written, and what knows the values that were removed.
    """
    from wirecase.case.extract import Request, extract
    from wirecase.case.redact import Policy, Redactor, searching
    from wirecase.case.select import Selection

    kept = choice.kept
    masks = Redactor(
        Policy(
            payloads=choice.payloads.value, keep=kept, keep_addresses="addresses" in kept, keep_hosts="hosts" in kept
        )
    )
    where = None if choice.where is None else _filter(choice.where)
    selection = Selection(choice.finding, choice.call, where, choice.context)
    with running.rereadable(reading.sources) as files, running.progress() as progress:
        request = Request(
            files, target, selection, reading.ports, engine.opener(reading.unwrap, reading.preferences),
            choice.payloads.value, choice.command(name, reading.unwrap), reading.keylogs,
            on_call,
        )  # fmt: skip
        return extract(request, masks, search=searching(masks), progress=progress), masks


def _filter(text: str) -> CallFilter:
    from wirecase import query

    wanted = query.compile_filter(text)
    if "finding" in wanted.fields:
        raise UsageError("--where cannot ask for a finding here: use --finding")
    return lambda call, named: wanted(query.row_of(call, named))
