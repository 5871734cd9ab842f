"""Small phrases that the reports for people share. Whatever comes from a capture is not yet escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wirecase.model import ClientSees, Diagnosis, Evidence, Finding, SourceInfo
from wirecase_cli.reports import times

DETAIL_LIMIT = 120
"""Characters of one detail that a report for people shows; the JSON report has all of it."""


def number(value: int) -> str:
    """Write a count: ``1,204``."""
    return f"{value:,}"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 call``, ``1,204 calls``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(count: int) -> str:
    """Write a number of bytes: ``512 B``, ``311.0 kB``, ``4.2 GB``."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def share(part: float) -> str:
    """Write a share of one: ``2.7 %``; what is not nothing never reads as nothing, nor what is not all as all."""
    percent = part * 100
    if 0 < percent < 0.1:
        return "under 0.1 %"
    if 99.9 < percent < 100:
        return "over 99.9 %"
    return f"{percent:.1f} %".replace(".0 %", " %")


def span(first: int | None, last: int | None) -> str:
    """Write a stretch of time in UTC, with the day once; as one moment if both ends read alike, empty if unknown."""
    if first is None or last is None:
        return ""
    start, end = f"{times.day(first)} {times.clock(first)}", f"{times.day(last)} {times.clock(last)}"
    if start == end:
        return f"{start} UTC"
    shown = times.clock(last) if times.day(first) == times.day(last) else end
    return f"{start} to {shown} UTC ({times.duration(last - first)})"


def source(info: SourceInfo) -> str:
    """Say how large an input is and when it was taken."""
    unit = "record" if info.form is not None and info.form.own_numbers else "packet"
    parts = [info.format, plural(info.packets, unit), size(info.bytes), span(info.first, info.last)]
    if info.engine:
        parts.append(f"unwrapped by {info.engine}")
    return ", ".join(part for part in parts if part)


def place(finding: Finding) -> list[str]:
    """Say where a finding's first occurrence lies, one phrase a line."""
    lines = []
    where = []
    if finding.connection is not None:
        connection = finding.connection
        where.append(f"connection {connection.index}, {connection.client} to {connection.server}")
    if finding.stream is not None:
        where.append(f"stream {finding.stream}")
    if finding.call is not None:
        where.append(f"call {finding.call}")
    if where:
        lines.append(", ".join(where))
    if finding.path:
        lines.append(finding.path)
    if finding.time is not None:
        lines.append(f"{times.day(finding.time)} {times.clock(finding.time)} UTC")
    return lines


def legs(finding: Finding) -> list[str]:
    """Return the legs of a finding's call, from the client on, one phrase each; nothing if only one was captured."""
    return [
        f"{leg.connection.client} to {leg.connection.server}" + (f", call {leg.call}" if leg.call is not None else "")
        for leg in finding.legs
    ]


def evidence(one: Evidence, diagnosis: Diagnosis) -> str:
    """Say where the bytes of evidence lie: who sent them, in which packet, at which offset."""
    parts = []
    if one.direction is not None:
        parts.append(f"sent by the {one.direction}")
    if one.packet is not None:
        form = None
        if one.source is not None and one.source < len(diagnosis.sources):
            form = diagnosis.sources[one.source].form
        parts.append(f"{'record' if form is not None and form.own_numbers else 'packet'} {one.packet}")
        if one.source is not None and len(diagnosis.sources) > 1 and one.source < len(diagnosis.sources):
            parts[-1] += f" of {diagnosis.sources[one.source].path}"
    if one.time is not None:
        parts.append(times.clock(one.time))
    if one.data and one.offset is not None:
        parts.append(f"{plural(max(one.length, len(one.data)), 'byte')} at offset {one.offset}")
    return ", ".join(parts)


def who(finding: Finding) -> str:
    """Say who is at fault, the likeliest first."""
    return " or ".join(finding.who) or "unknown"


def details(finding: Finding) -> list[tuple[str, str]]:
    """Return the rule's own facts as name and short text."""
    return [(str(name), _value(value)) for name, value in finding.details.items() if value not in (None, "", [], {})]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_value(item) for item in value[:8])
        return f"{shown}, … {len(value)} in all" if len(value) > 8 else shown
    if isinstance(value, bytes):
        return repr(value[: DETAIL_LIMIT + 1])[1:]
    return str(value)[: DETAIL_LIMIT * 4]


def calls(diagnosis: Diagnosis) -> str:
    """Summarise the calls: how many, and how they ended."""
    total = diagnosis.calls
    if not total.total:
        return "no gRPC call seen"
    parts = [f"{number(total.ok)} ok"]
    if total.failed:
        parts.append(f"{number(total.failed)} failed")
    if total.unfinished:
        parts.append(f"{number(total.unfinished)} unfinished")
    if total.legs:
        parts.append(f"seen again on other legs {number(total.legs)}")
    return f"{number(total.total)}: {', '.join(parts)}"


def by_status(diagnosis: Diagnosis) -> list[tuple[str, int]]:
    """Return the counts by grpc-status, the largest first."""
    return sorted(diagnosis.calls.by_status.items(), key=lambda item: (-item[1], item[0]))


def bytes_balance(diagnosis: Diagnosis) -> str:
    """Say where the captured bytes went, in one line."""
    books = diagnosis.accounting
    skipped = sorted(books.skipped.items(), key=lambda item: (-item[1], item[0]))
    total = sum(count for _, count in skipped)
    text = f"{number(books.captured)} captured = {number(books.decoded)} decoded + {number(total)} skipped"
    if skipped:
        text += f" ({', '.join(f'{reason} {number(count)}' for reason, count in skipped)})"
    return text


def unbalanced(diagnosis: Diagnosis) -> list[str]:
    """Say which directions do not add up: a defect of wirecase, never hidden."""
    return [
        f"connection {one.connection}, bytes of the {one.direction}: {number(one.captured)} captured, "
        f"{number(one.decoded)} decoded, {number(one.skipped)} skipped"
        for one in diagnosis.accounting.unbalanced
    ]


def finding_ids(findings: Sequence[Finding]) -> list[str]:
    """Return finding ids as a short list: the first ones and how many more there are."""
    all_ids = [one.id for one in findings]
    return all_ids if len(all_ids) <= 6 else [*all_ids[:5], f"and {len(all_ids) - 5} more"]


def ids(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Return the correlation ids that the findings' calls carried, each name once, the first finding's value."""
    return list({name: value for one in reversed(findings) for name, value in one.ids.items()}.items())


def clients(findings: Sequence[Finding]) -> dict[str, list[tuple[str, ClientSees]]]:
    """Return what each client logs, by client, each text once with the id of the finding that it belongs to."""
    found: dict[str, dict[tuple[str, str], tuple[str, ClientSees]]] = {}
    for one in findings:
        for sees in one.client_sees:
            name = f"{sees.client} {sees.version}".rstrip()
            found.setdefault(name, {}).setdefault((sees.code, sees.text), (one.id, sees))
    return {name: list(texts.values()) for name, texts in found.items()}


def fixes(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Return what to do, each advice once with the id of the first finding that gives it."""
    found: dict[str, str] = {}
    for one in findings:
        if one.fix:
            found.setdefault(one.fix, one.id)
    return [(finding_id, fix) for fix, finding_id in found.items()]


def retries(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Return whether calls may be repeated, each answer once; a consequence that knows nothing adds none."""
    found: dict[str, str] = {}
    for one in findings:
        if one is findings[0] or one.retry_safe != "unknown":
            found.setdefault(retry(one), one.id)
    return [(finding_id, answer) for answer, finding_id in found.items()]


def retry(finding: Finding) -> str:
    """Say whether the call may be repeated, and why."""
    why = f": {finding.retry_why}" if finding.retry_why else ""
    return f"{ {'yes': 'safe', 'no': 'not safe', 'unknown': 'not known to be safe'}[finding.retry_safe] }{why}"
