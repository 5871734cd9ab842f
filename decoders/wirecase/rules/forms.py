"""Evidence that is no packet capture: what must not be judged there, and what it cannot show.

Such evidence reaches the rules as made-up packets (`wirecase.sources.forms`). Nothing that was made up may be blamed on
anybody: `is_hidden` names the rules that would do so, `temper` weakens what stands on a peer's own word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wirecase.model import Evidence, Finding, FormFacts, UnseenEnd
from wirecase.rules.base import Match, Rule
from wirecase.session.call import Call
from wirecase.session.run import Run
from wirecase.session.session import Session

_TCP = ("tcp-", "obs-offload", "obs-snaplen", "obs-gap", "obs-bad-reset", "obs-conflicting-data")
_FRAMES = (
    "h2-", "hpack-", "fc-", "goaway-", "rst-", "tls-", "keepalive-", "idle-", "close-", "stream-", "max-concurrent-",
    "body-cut-", "client-", "obs-midconnection", "obs-one-direction",
)  # fmt: skip
_ORDER = (
    "fc-", "stream-", "goaway-race", "max-concurrent-", "h2-stream-state-", "h2-settings-not-acked", "h2-rapid-reset",
    "idle-", "keepalive-", "grpc-deadline", "close-", "client-",
)  # fmt: skip
_KNOWN = {"messages": frozenset(("rst-cancel-by-client",)), "bytes": frozenset[str]()}
"""What a form shows all the same: a cancellation is an event of its own in binary logs."""
_SAID_BY_CLIENT = frozenset(("grpc-app-status", "grpc-local-reply", "grpc-deadline", "grpc-message-too-large"))


def form_of(subject: Call | Session | Run, forms: dict[int, FormFacts]) -> FormFacts | None:
    """Return the form of the evidence that a call or a connection stands in, None for a packet capture."""
    session = subject.session if isinstance(subject, Call) else subject
    if isinstance(session, Run):
        return None
    first = session.client.first or session.server.first
    return forms.get(first.source) if first is not None else None


_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ALIKE = 60
"""Characters by which the words about two ends are the same words."""
_SHOWN = 120
_REWRITTEN = {
    "messages": " Headers and bodies are shown as HTTP/2 frames that were written for them; packets stand for records.",
    "bytes": "",
}


def is_hidden(rule: str, form: FormFacts, subject: Call | Session | Run) -> bool:
    """Tell whether a rule looks at what was made up for evidence of this form."""
    if rule == "obs-capture-ends" and form.level == "messages" and isinstance(subject, Session):
        return subject.h2.open_at_end_count <= form.unseen_count + form.untold  # not open: their ends are not shown
    if rule in _KNOWN[form.level]:
        return False
    if rule.startswith(_TCP) or (form.level == "messages" and rule.startswith(_FRAMES)):
        return True
    return not form.ordered and rule.startswith(_ORDER)


def temper(match: Match, rule: str, form: FormFacts) -> None:
    """Weaken what stands on a peer's own word; say of open calls whose connections were closed that they were."""
    if rule == "obs-capture-ends" and form.level == "bytes" and form.connections and form.closed == form.connections:
        match.severity, match.who, match.across = "warning", ["unknown"], None
        match.title = "The connection was closed with calls under way, by whom is not shown"
        match.explanation = (
            f"{form.name[0].upper()}{form.name[1:]} tells that the connection was closed, but not by which side nor "
            "how. The calls that were open then got no end on it."
        )
        match.fix = "Take a packet capture of such a connection, or look for its end in the logs of both sides."
    if form.client_log and rule in _SAID_BY_CLIENT:
        match.certainty = "probable" if match.certainty == "certain" else match.certainty
        match.explanation += (
            " This log is a client's own: its library may have made the status up without an answer of the server."
        )


def forget_missing_times(findings: list[Finding]) -> None:
    """Take the times away that are none: evidence without times counts from 0."""
    for finding in findings:
        finding.time = finding.time or None
        for place in finding.occurrences:
            place.time = place.time or None
        for evidence in finding.evidence:
            evidence.time = evidence.time or None


def _forms(run: Run) -> Iterator[tuple[int, str, FormFacts]]:
    for number, source in enumerate(run.sources):
        if source.form is not None:
            yield number, source.path, source.form


def _note(title: str, explanation: str, fix: str, key: object) -> Match:
    return Match(
        severity="info",
        certainty="certain",
        who=["capture"],
        title=title,
        explanation=explanation,
        evidence=[],
        retry_why="This is about the evidence, not about a call.",
        fix=fix,
        key=key,
    )


def check_limits(run: Run) -> Iterator[Match]:
    """What the forms of the evidence cannot show, once for each form."""
    seen: dict[str, list[str]] = {}
    limits: dict[str, tuple[str, ...]] = {}
    levels: dict[str, str] = {}
    for _, path, form in _forms(run):
        seen.setdefault(form.name, []).append(path)
        limits[form.name], levels[form.name] = form.limits, form.level
    for name, paths in seen.items():
        where = paths[0] if len(paths) == 1 else f"{len(paths):,} inputs"
        match = _note(
            f"{where}: {name}, which does not show all that a packet capture does",
            f"Not shown: {'; '.join(limits[name])}. No finding rests on these.{_REWRITTEN[levels[name]]}",
            "For what is missing, take a packet capture at the same place.",
            name,
        )
        match.details = {"form": name, "not_shown": list(limits[name]), "sources": paths[:20]}
        match.count = len(paths)
        yield match


def check_truncated(run: Run) -> Iterator[Match]:
    """Payloads that were recorded in part."""
    for number, path, form in _forms(run):
        if not form.truncated:
            continue
        count = f"{form.truncated:,} {'payload' if form.truncated == 1 else 'payloads'}"
        match = _note(
            f"{path} holds only the beginning of {count}",
            f"Whoever wrote {form.name} cut long payloads. What a missing part could explain is blamed on nobody.",
            "Record whole payloads: max_buffered_rx_bytes and max_buffered_tx_bytes of Envoy's tap (or its streamed "
            "form), GRPC_BINARY_LOG_FILTER without a limit on message bytes, the body size of a proxy.",
            number,
        )
        match.severity, match.details = "warning", {"source": number, "payloads": form.truncated}
        yield match


def check_ends(run: Run) -> Iterator[Match]:
    """Calls that were over without a status, and the form does not tell how they ended."""
    for number, path, form in _forms(run):
        alike: dict[str, list[UnseenEnd]] = {}
        for end in form.unseen_ends:
            alike.setdefault(_NUMBERS.sub("#", end.text)[:_ALIKE], []).append(end)
        for ends in alike.values():
            first, whole = ends[0], len(alike) == 1
            words = first.text if len(first.text) <= _SHOWN else f"{first.text[:_SHOWN]}…"
            count = form.unseen_count if whole else len(ends)
            calls = f"{count:,} calls" if count > 1 else f"The call {first.path}" if first.path else "A call"
            yield Match(
                severity=first.severity,
                certainty="certain",
                who=["unknown"],
                title=f"{calls} ended without a gRPC status: {words}",
                explanation=f"{path} is {form.name}. It shows that the call was over and that no status had come, but "
                "not whether it was reset, cut or ended, nor by whom.",
                evidence=[
                    Evidence(
                        role="primary",
                        note=f"the record that shows {first.path or 'the call'} last",
                        source=number,
                        packet=first.record,
                        time=first.time or None,
                    )
                ],
                details={
                    "text": first.text,
                    "calls": count,
                    "paths": list(dict.fromkeys(end.path for end in ends if end.path))[:20],
                },
                retry_why="It is not known how far the server got.",
                fix="Take a packet capture of such a call, or look for its end in the logs of proxy and server.",
                key=(number, words),
                count=count,
            )


def _rule(name: str, title: str, summary: str, check: object) -> Rule:
    return Rule(name, title, summary, ("wirecase: the observer's limits",), "run", check)  # type: ignore[arg-type]


RULES: tuple[Rule, ...] = (
    _rule(
        "obs-form-limits",
        "Evidence that is no packet capture",
        "What this form of evidence cannot show, and what is therefore not judged.",
        check_limits,
    ),
    _rule(
        "obs-form-truncated",
        "Payloads were cut",
        "The evidence holds only the beginning of payloads.",
        check_truncated,
    ),
    _rule(
        "call-end-unseen",
        "A call ended without a status, and it is not shown how",
        "The evidence shows that a call was over without a status, but not how it ended.",
        check_ends,
    ),
)
