"""What a diagnosis says a client sees, held against what that client said in the very session that was diagnosed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from livebench import session
from livebench.server import Fault
from livebench.session import Said
from wirecase.model import ClientSees, Diagnosis
from wirecase.pipeline import Options, diagnose
from wirecase.rules.clients import checked
from wirecase.rules.clients.table import CURRENT

Verdict = Literal["equal", "code", "different", "retried"]
DRIVER = {"grpcio": "grpc-core (C++, Python)"}
"""The name in `client_sees` where it is not the driver's own."""
WRONG = ("different", "code")
_BEST = {"equal": 0, "code": 1, "different": 2}
_CHECKED = Path(checked.__file__)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `client_sees` for the client that met the fault."""

    client: str
    fault: str
    rule: str
    severity: str
    code: str
    text: str
    verdict: Verdict
    """``equal``: some call of the client ended with this code and these words; ``code``: with this code alone;
    ``retried``: the client made a call again that was never processed, and its application saw only how that ended."""
    said: tuple[tuple[str, str], ...]
    """Code and words of each call, as the client reported them."""


def diagnosed(recording: Path) -> Diagnosis:
    """The diagnosis of a session's capture."""
    return diagnose(Options([str(recording)]))


def compare(name: str, fault: str, diagnosis: Diagnosis, said: Sequence[Said]) -> list[Row]:
    """Each row for the driver client `name` in its current version, with its verdict.

    Where the client is not steady, any of its sessions may agree; of several rows in one finding, any may.
    """
    client = DRIVER.get(name, name)
    ends = [spoken(one) for one in said]
    calls = list(dict.fromkeys(end for one in ends for end in one))
    again = diagnosis.calls.total > max(map(len, ends), default=0)
    rows = []
    for finding in diagnosis.findings:
        told = [row for row in finding.client_sees if row.client == client and row.version == CURRENT[client]]
        if not told:
            continue
        verdict, _, row = min(
            ((judge(row, calls), at, row) for at, row in enumerate(told)), key=lambda one: _BEST[one[0]]
        )
        if verdict == "different" and again and finding.retry_safe == "yes":
            verdict = "retried"
        rows.append(Row(name, fault, finding.rule, finding.severity, row.code, row.text, verdict, tuple(calls)))
    return rows


def spoken(said: Said) -> list[tuple[str, str]]:
    """Code and words of each call; what is raised in a status's place stands in the code's place."""
    ends = []
    for line in said.raw:
        one = json.loads(line)
        code, details = str(one["code"]), str(one["details"])
        if not code:
            code, _, details = details.partition(": ")
        if code.startswith("CODE_"):  # grpc-js prints these words beside the details
            number = code.removeprefix("CODE_")
            if number in ("NaN", "undefined"):
                code, details = number, details or f"{number} undefined: "
        ends.append((code, details))
    if said.end == "hung" and not ends:
        ends.append(("none", ""))
    return ends


def judge(row: ClientSees, calls: Sequence[tuple[str, str]]) -> Verdict:
    """Hold a row against what the calls ended with."""
    coded = [details for code, details in calls if _same_code(row.code, code)]
    if not coded:
        return "different"
    return "equal" if any(_says(row.text, details) for details in coded) else "code"


def _same_code(told: str, code: str) -> bool:
    return told == code or f"CODE_{told.removeprefix('Code(').removesuffix(')')}" == code


def _says(told: str, details: str) -> bool:
    """Whether these are the words: a row holds their essence, with ``…`` for what it cannot know."""
    if not told or told.startswith("nothing"):
        return not details
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in told.split("…"))
    return re.search(pattern, " ".join(details.split())) is not None


def patient(name: str, fault: Fault) -> Fault:
    """The fault, with twice the time for a client that is slow to start: no deadline may pass but by the fault."""
    return replace(fault, timeout=2 * fault.timeout) if name == "grpc-java" else fault


def met(name: str, fault: Fault, folder: Path, tries: int = 3) -> list[Row]:
    """The rows of a live session of its own, captured into `folder`; of a few where the first does not agree."""
    said: list[Said] = []
    rows: list[Row] = []
    for attempt in range(tries):
        recording = folder / f"{name}-{fault.name}-{attempt}.pcap"
        said.append(session.live(name, patient(name, fault), recording))
        rows = compare(name, fault.name, diagnosed(recording), said)
        if not any(row.verdict in WRONG for row in rows):
            break
    return rows


def told(row: Row) -> str:
    """A row that is not right, beside what the client said."""
    said = " | ".join(f"{code} {details!r}" for code, details in row.said) or "nothing"
    return f"{row.rule} has {row.code} {row.text!r}; the client said {said}"


def write(rows: Sequence[Row]) -> None:
    """Put the pairs of client and rule whose rows were all right, and some of them met, into checked.py."""
    right: dict[str, set[str]] = {}
    wrong = {(row.client, row.rule) for row in rows if row.verdict in WRONG}
    for row in rows:
        if row.verdict == "equal" and (row.client, row.rule) not in wrong:
            right.setdefault(DRIVER.get(row.client, row.client), set()).add(row.rule)
    names = sorted(right)
    columns = "".join(f"    {json.dumps(name)},\n" for name in names)
    table = "".join(
        f'    "{rule}": "{"".join("x" if rule in right[name] else "." for name in names)}",\n'
        for rule in sorted(set().union(*right.values()))
    )
    head, mark, rest = _CHECKED.read_text().partition("_CLIENTS = (\n")
    _, end, tail = rest.partition('}\n"""By rule')
    _CHECKED.write_text(f"{head}{mark}{columns})\n_SEEN = {{\n{table}{end}{tail}")
