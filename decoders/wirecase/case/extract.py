"""From a recording to a case: diagnose, choose, cut, diagnose again, annotate.

The findings that a case carries are those of its own diagnosis, so that every packet number, address and text in them
is the case's. They are held against those of the recording first: a case that tells something else is not written.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from wirecase import __version__
from wirecase.case import verbatim
from wirecase.case.carry import why_not
from wirecase.case.compare import Match, added, compare, lost
from wirecase.case.cut import Cut, Progress, cut
from wirecase.case.manifest import SCHEMA, Manifest, comments_of, finding_json
from wirecase.case.manifest import shown as printable
from wirecase.case.pcapng import annotate, section
from wirecase.case.plan import Plan
from wirecase.case.redaction import Masks
from wirecase.case.select import MOST_CALLS, Neighbours, Scout, Selection, findings_of, plan_of
from wirecase.errors import InputError, UsageError, WirecaseError
from wirecase.files import appearing
from wirecase.model import Diagnosis, Finding
from wirecase.pipeline import OnCall, Options, diagnose
from wirecase.session.session import Session
from wirecase.sources import Open, open_sources

_MOST_COMMENTS = 20
"""On one packet."""
Search = Callable[[IO[bytes], Sequence[bytes]], Sequence[str]]
"""Looks for removed secrets in a written file, not within the texts that were kept on purpose (the paths of calls);
returns a line for each one found."""


class CannotCarryError(InputError):
    """Nothing of the fault can be shown in a case."""


class VerdictLostError(WirecaseError):
    """The case would tell something else than the recording."""

    exit_status = 4


class SecretFoundError(WirecaseError):
    """A removed secret stands in what was written."""

    exit_status = 4


@dataclass(slots=True)
class Request:
    """What to extract."""

    sources: list[str]
    """What can be read several times: files and folders, no pipes."""
    target: Path
    selection: Selection = field(default_factory=Selection)
    ports: list[int] = field(default_factory=list)
    open: Open = open_sources
    """Opens the sources, see `wirecase.pipeline.Options`."""
    payloads: str = "redact"
    """``keep``, ``redact`` or ``hash``."""
    command: str = "wirecase extract"
    """The command, without names of files, for the manifest."""
    keylogs: list[str] = field(default_factory=list)
    """TLS keys; the case is written without TLS and without them."""
    on_call: OnCall | None = None
    """Told of the calls of the case, for a report about it."""


@dataclass(slots=True)
class Extracted:
    """What was written."""

    path: Path
    size: int
    sha256: str
    packets: int
    matches: list[Match]
    """Each chosen finding with the one that shows it."""
    not_carried: list[Match]
    notes: list[dict[str, object]]
    manifest: Manifest
    diagnosis: Diagnosis
    """That of the case, for reports about it."""
    recording: Diagnosis
    """That of the recording: nothing in it is redacted."""
    texts: list[bytes]
    """What stands in the case on purpose although it may hold a removed value: the paths of calls."""

    @property
    def findings(self) -> list[Finding]:
        """Those of the case."""
        return self.diagnosis.findings


def extract(
    request: Request, masks: Masks, *, search: Search | None = None, progress: Progress | None = None
) -> Extracted:
    """Write a case, or raise an error in one line and leave no file behind."""
    with ExitStack() as stack:
        sources = request.sources
        found, chosen, plan = _choose(sources, request, progress)
        options = Options(list(sources), keylogs=request.keylogs, ports=request.ports, open=request.open)
        verbatim.settle(plan, options, masks)
        folder = request.target.parent
        body = stack.enter_context(tempfile.NamedTemporaryFile(prefix=".wirecase-", suffix=".part", dir=folder))
        made = cut(
            sources, plan, masks, body, ports=request.ports, keep=request.payloads == "keep", progress=progress,
            keylogs=request.keylogs,
            opener=request.open,
        )  # fmt: skip
        body.flush()
        if not made.packets:
            raise CannotCarryError("the capture holds no packet of what was chosen")
        again = diagnose(Options([body.name], ports=request.ports), on_call=request.on_call)
        matches = compare(chosen, again.findings, made.connections, plan)
        _judge(found, matches, again)
        manifest = _manifest(request, found, again, matches, made, masks)
        return _finish(request, body, manifest, matches, made, found, again, search)


def _choose(sources: list[str], request: Request, progress: Progress | None) -> tuple[Diagnosis, list[Finding], Plan]:
    """Diagnose the recording and settle what to keep."""
    selection = request.selection
    found, scout = _scouted(sources, request, selection, progress)
    if not found.findings and not selection.by_call and selection.finding is None:
        calls = found.calls.total
        if not calls:
            raise CannotCarryError("the capture shows no fault and no gRPC call: there is nothing to make a case of")
        if calls > MOST_CALLS:
            raise UsageError(
                f"the capture shows no fault, and a case cannot hold all of {calls:,} calls: choose some with --where"
            )
        selection = Selection(where=lambda call, named: True)
        found, scout = _scouted(sources, request, selection, progress)
    chosen = findings_of(found, scout)
    plan = plan_of(chosen, scout)
    if not plan.connections:
        named = f"{chosen[0].id} {chosen[0].rule}" if chosen else "what was asked for"
        reason = (why_not(chosen[0].rule) if chosen else None) or "it stands on no connection"
        raise CannotCarryError(f"{named} cannot be shown in a case: {reason}")
    if request.selection.context:
        _add_neighbours(sources, request, plan)
    return found, chosen, plan


def _scouted(
    sources: list[str], request: Request, selection: Selection, progress: Progress | None
) -> tuple[Diagnosis, Scout]:
    """Diagnose the recording; note the calls if some were asked for, which takes a multiple of the time."""
    scout = Scout(selection)
    options = Options(list(sources), keylogs=request.keylogs, ports=request.ports, open=request.open)
    on_call = scout.on_call if selection.by_call else None
    return diagnose(options, progress=progress, closed=scout.closed, on_call=on_call), scout


def _add_neighbours(sources: list[str], request: Request, plan: Plan) -> None:
    listeners: dict[int, Neighbours] = {}

    def record(session: Session) -> Neighbours | None:
        kept = plan.connections.get(session.index)
        if kept is None or kept.streams is None:
            return None
        listeners[session.index] = Neighbours(kept.streams, request.selection.context)
        return listeners[session.index]

    diagnose(Options(list(sources), keylogs=request.keylogs, ports=request.ports, open=request.open), record=record)
    for index, listener in listeners.items():
        kept = plan.connections[index]
        if kept.streams is not None:
            kept.streams |= listener.found


def _judge(found: Diagnosis, matches: Sequence[Match], again: Diagnosis) -> None:
    """Raise an error unless the case tells what the recording told."""
    if matches and not any(match.shown for match in matches):
        first = matches[0]
        reason = why_not(first.recorded.rule)
        if reason is not None:
            raise CannotCarryError(f"{first.recorded.id} {first.recorded.rule} cannot be shown in a case: {reason}")
    missing = lost(matches)
    if missing:
        first = missing[0]
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise VerdictLostError(
            f"the verdict did not survive: {first.recorded.id} {first.recorded.rule}{more}: {first.missing}; "
            "nothing was written"
        )
    wrong = added(found.findings, again.findings)
    if wrong:
        raise VerdictLostError(
            f"the verdict did not survive: the case shows {wrong[0].rule}, which the recording does not; "
            "nothing was written"
        )


def _manifest(
    request: Request, found: Diagnosis, again: Diagnosis, matches: Sequence[Match], made: Cut, masks: Masks
) -> Manifest:
    shows: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for one in matches:
        recorded = {"finding": one.recorded.id, "rule": one.recorded.rule, "stream": one.recorded.stream,
                    "call": one.recorded.call}  # fmt: skip
        if one.recorded.connection is not None:
            recorded["connection"] = one.recorded.connection.index
        if one.shown is not None:
            shows.append({"finding": one.shown.id, "recorded": recorded})
        else:
            missing.append({**recorded, "why": one.missing})
    return {
        "schema": SCHEMA,
        "version": __version__,
        "command": request.command,
        "headline": again.verdict.headline,
        "root_causes": again.verdict.root_causes,
        "sources": [
            {"sha256": info.sha256, "format": info.format, "bytes": info.bytes, "packets": info.packets}
            for info in found.sources
        ],
        "findings": [finding_json(one) for one in again.findings],
        "shows": shows,
        "not_carried": missing,
        "connections": made.notes,
        "redaction": masks.manifest(),
    }


def _finish(
    request: Request, body: IO[bytes], manifest: Manifest, matches: list[Match], made: Cut, found: Diagnosis,
    again: Diagnosis, search: Search | None,
) -> Extracted:  # fmt: skip
    """Annotate, search, and put the file in its place."""
    head = section(comments_of(manifest, sentence(manifest)), f"wirecase {__version__}")
    comments: dict[int, list[str]] = {}
    for one in again.findings:
        for shown in one.evidence:
            if shown.packet is not None:
                text = printable(f"{one.id} {one.rule}: {shown.note}")
                held = comments.setdefault(shown.packet, [])
                if text not in held and len(held) < _MOST_COMMENTS:
                    held.append(text)
    with appearing(request.target) as target:
        body.seek(0)
        annotate(body, target, head, comments)
        target.flush()
        target.seek(0)
        leaks = search(target, made.paths) if search is not None else ()
        if leaks:
            raise SecretFoundError(f"a removed secret is still in the case ({leaks[0]}): nothing was written")
        target.seek(0)
        digest = hashlib.file_digest(target, "sha256").hexdigest()
        size = target.tell()
    read = again.sources[0]
    read.path, read.digest, read.bytes = str(request.target), digest, size  # comments are no packets: the rest holds
    return Extracted(
        request.target, size, digest, made.packets, matches, [one for one in matches if one.shown is None],
        made.notes, manifest, again, found, made.paths,
    )  # fmt: skip


def sentence(manifest: Manifest) -> str:
    """Return what Wireshark shows first: one sentence for people."""
    return f"A case by wirecase {manifest['version']}: {manifest['headline']}"
