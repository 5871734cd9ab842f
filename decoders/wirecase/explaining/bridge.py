"""A log beside a capture: which finding explains which line, what nothing explains, and which faults nobody logged.

Text comes first (the rules that a record may stand for, the client's words, a flag, a code, a path), time second. The
two clocks need not agree: their offset is estimated from the pairs that the text makes, and is told.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from wirecase.case.redact.shapes import find_shapes
from wirecase.explaining.matching import Reading, read
from wirecase.explaining.records import Record, records
from wirecase.explaining.shape import normal
from wirecase.model import Diagnosis, Finding, LogLine, LogReport

LOOKED_AT = 2_000
"""Records with errors from which the offset of the clocks is estimated; those behind them are matched as they come."""
MOST_GROUPS = 200
"""Kinds of lines that are told of, matched or not; those beyond are counted."""
LONGEST_SAMPLE = 400
_NEAR = 2_000_000_000
"""ns by which a line may lie beside its fault, after the offset."""
_FAR = 90_000_000_000
"""ns beyond which text alone must carry the match."""
_BUCKET = 1_000_000_000
_PLAUSIBLE = 26 * 3600 * 1_000_000_000
"""ns by which clocks may differ, time zones included; more is believed only if several lines agree."""
_AGREE = 3
_FAULTS = ("error", "warning")
_LOUD = re.compile(r"\b(?:error|err|fatal|panic|panicked|exception|severe|warn|warning|failed|failure)\b", re.I)
_TOPIC = re.compile(r"grpc|\brpc\b|rpcexception|h2 protocol|http/?2|statuscode|statusruntime|rst_stream|goaway", re.I)


@dataclass(slots=True)
class _Line:
    """What is kept of a record with an error."""

    number: int
    time: int | None
    text: str
    """`normal`, for comparing."""
    sample: str
    """For showing: cut, secrets masked."""
    rules: tuple[str, ...]
    facts: dict[str, str]
    codes: frozenset[str]


@dataclass(slots=True)
class _Fault:
    """A finding as lines are compared with it."""

    finding: Finding
    texts: tuple[str, ...]
    """`normal` words that clients print for it."""
    codes: frozenset[str]
    times: list[int]
    """When it was met, ascending."""
    flag: str | None
    status: str | None
    message: str


@dataclass(slots=True)
class _Offset:
    value: int | None
    pairs: int = 0
    spread: int = 0


@dataclass(slots=True)
class _Tally:
    lines: dict[tuple[object, ...], LogLine] = field(default_factory=dict)
    beyond: int = 0


def match(diagnosis: Diagnosis, lines: Iterable[str], path: str) -> LogReport:
    """Match the lines of a log with the findings of a diagnosis; the log is read once, as a stream."""
    faults = [_fault(one) for one in diagnosis.findings if not one.rule.startswith("obs-")]
    first = next((source.first for source in diagnosis.sources if source.first is not None), None)
    year = None if first is None else 1970 + first // 31_556_952_000_000_000
    report = LogReport(path)
    errors = _errors(records(lines, year=year), report)
    held = list(islice(errors, LOOKED_AT))
    offset = _estimate(held, faults)
    report.offset, report.pairs, report.spread = offset.value, offset.pairs, offset.spread
    explained, open_lines = _Tally(), _Tally()
    named: set[str] = set()
    for batch in (held, errors):
        for one in batch:
            best = _best(one, faults, offset)
            if best is None:
                _count(open_lines, one, None, report)
            else:
                named.add(best[0].finding.id)
                _count(explained, one, best, report)
    report.matched, report.unexplained = list(explained.lines.values()), list(open_lines.lines.values())
    report.more_matched, report.more_unexplained = explained.beyond, open_lines.beyond
    report.unlogged = _unlogged(diagnosis, named)
    return report


def _errors(found: Iterator[Record], report: LogReport) -> Iterator[_Line]:
    """Yield the records that tell of an error, and count all."""
    for record in found:
        report.records += 1
        reading = read(record.text)
        if not _tells(record, reading):
            continue
        report.errors += 1
        rules = tuple(guess.rule for guess in reading.guesses[:8])
        yield _Line(
            record.line, record.time, normal(record.text), _sample(record.text), rules, reading.facts, reading.codes
        )


def _tells(record: Record, reading: Reading) -> bool:
    if reading.guesses and reading.guesses[0].score >= 12:
        return True
    head = record.lines[0]
    return _LOUD.search(head) is not None and _TOPIC.search(record.text) is not None


def _sample(text: str) -> str:
    """Return the beginning of a record with everything masked that looks like a secret."""
    data = " ⏎ ".join(line.strip() for line in text.split("\n", 6)[:6])[: 2 * LONGEST_SAMPLE].encode("utf-8", "replace")
    parts: list[bytes] = []
    done = 0
    for shape in sorted(find_shapes(data), key=lambda one: one.start):
        if shape.start >= done:
            parts += [data[done : shape.start], f"(masked {shape.kind})".encode()]
            done = shape.stop
    shown = b"".join([*parts, data[done:]]).decode("utf-8", "replace")
    return shown if len(shown) <= LONGEST_SAMPLE else shown[: LONGEST_SAMPLE - 1] + "…"


def _fault(finding: Finding) -> _Fault:
    details = finding.details
    flag, status = details.get("flag"), details.get("http_status")
    times = sorted(one.time for one in finding.occurrences if one.time is not None)
    if not times and finding.time is not None:
        times = [finding.time]
    texts = {normal(row.text).rstrip(".") for row in finding.client_sees if len(row.text) >= 8}
    message = details.get("grpc_message")
    return _Fault(
        finding, tuple(text for text in texts if not text.startswith("nothing")),
        frozenset(row.code for row in finding.client_sees), times,
        str(flag) if isinstance(flag, int) and flag > 1 else None,
        str(status) if isinstance(status, int) and status != 200 else None,
        normal(message) if isinstance(message, str) and len(message) > 3 else "",
    )  # fmt: skip


def _text_score(line: _Line, fault: _Fault) -> tuple[float, list[str]]:
    """Return how well the words fit, and by what; 0 if they do not."""
    score, by = 0.0, []
    if fault.finding.rule in line.rules:
        score, by = 10.0 - line.rules.index(fault.finding.rule), ["rule"]
    said = max((len(text) for text in fault.texts if text in line.text), default=0)
    if said:
        score, by = score + 6 + min(said, 60) / 10, [*by, "text"]
    if fault.message and fault.message in line.text:
        score, by = score + 10, [*by, "grpc-message"]
    if not score:
        return 0.0, []
    told = line.facts.get("flag")
    if told is not None and fault.flag is not None:
        if told != fault.flag:
            return 0.0, []
        score, by = score + 5, [*by, "flag"]
    told = line.facts.get("status")
    if told is not None and fault.status is not None:
        if told != fault.status:
            return 0.0, []
        score, by = score + 4, [*by, "HTTP status"]
    if line.codes and fault.codes & line.codes:
        score += 2
    if fault.finding.path and fault.finding.path.lower() in line.text:
        score, by = score + 4, [*by, "path"]
    return score, by


def _estimate(lines: list[_Line], faults: list[_Fault]) -> _Offset:
    """Estimate how far the log's clock is ahead of the capture's: the difference that most lines agree on."""
    buckets: Counter[int] = Counter()
    pairs: list[tuple[int, int]] = []
    for index, line in enumerate(lines):
        if line.time is None:
            continue
        seen: set[int] = set()
        for fault in faults:
            if _text_score(line, fault)[0] < 8:
                continue
            for time in fault.times[:50]:
                apart = line.time - time
                pairs.append((index, apart))
                seen.add(apart // _BUCKET)
        buckets.update(seen)
        if len(pairs) > 200_000:
            break
    likely = {bucket for bucket in buckets if abs(bucket * _BUCKET) <= _PLAUSIBLE}
    if likely:
        buckets = Counter({bucket: buckets[bucket] for bucket in likely})
    if not buckets or (not likely and max(buckets.values()) < _AGREE):
        return _Offset(None)

    def support(bucket: int) -> tuple[int, int]:
        # a line is written after its fault was met: the bucket behind counts as well
        return buckets[bucket] + buckets[bucket + 1], -abs(bucket)

    best = max(buckets, key=support)
    if support(0)[0] >= support(best)[0] or support(-1)[0] >= support(best)[0]:
        best = 0 if support(0)[0] >= support(-1)[0] else -1
    low, high = best * _BUCKET, (best + 2) * _BUCKET
    inside = sorted(apart for _, apart in pairs if low <= apart < high)
    agreeing = {index for index, apart in pairs if low <= apart < high}
    middle = inside[len(inside) // 2] if inside else 0
    spread = inside[-1] - inside[0] if inside else 0
    return _Offset(middle, len(agreeing), spread)


def _best(line: _Line, faults: list[_Fault], offset: _Offset) -> tuple[_Fault, list[str], int | None] | None:
    best: tuple[float, _Fault, list[str], int | None] | None = None
    for fault in faults:
        score, by = _text_score(line, fault)
        if not score:
            continue
        apart: int | None = None
        if line.time is not None and fault.times and offset.value is not None:
            apart = _nearest(fault.times, line.time - offset.value)
            if abs(apart) <= _NEAR:
                score, by = score + 6, [*by, "time"]
            elif abs(apart) > _FAR:
                if score < 14:
                    continue
                score -= 8
        if fault.finding.severity == "info":
            score -= 3
        if best is None or score > best[0]:
            best = (score, fault, by, apart)
    if best is None or best[0] < 5:
        return None
    return best[1], best[2], best[3]


def _nearest(times: list[int], moment: int) -> int:
    at = bisect_left(times, moment)
    near = times[max(at - 1, 0) : at + 1]
    return min((moment - time for time in near), key=abs)


def _count(tally: _Tally, line: _Line, best: tuple[_Fault, list[str], int | None] | None, report: LogReport) -> None:
    finding = best[0].finding if best is not None else None
    rule = line.rules[0] if line.rules else ""
    kind = rule or re.sub(r"[0-9a-f]{4,}|\d+", "#", line.text)[:160]
    key = (finding.id if finding is not None else None, kind, line.facts.get("flag"), line.facts.get("status"))
    known = tally.lines.get(key)
    if known is not None:
        known.count += 1
        known.last = line.time if line.time is not None else known.last
        if len(known.lines) < 20:
            known.lines.append(line.number)
        _calls(known, line, best, report)
        return
    if len(tally.lines) >= MOST_GROUPS:
        tally.beyond += 1
        return
    one = LogLine(
        line.number, line.time, line.time, line.sample, list(line.rules[:4]), [finding.id] if finding else [],
        best[1] if best is not None else [], [line.number],
    )  # fmt: skip
    tally.lines[key] = one
    _calls(one, line, best, report)


def _calls(one: LogLine, line: _Line, best: tuple[_Fault, list[str], int | None] | None, report: LogReport) -> None:
    """Add the call that lies nearest to the line in time, if time speaks for one."""
    if best is None or line.time is None or report.offset is None or "time" not in best[1] or len(one.calls) >= 20:
        return
    moment = line.time - report.offset
    near = [each for each in best[0].finding.occurrences if each.call is not None and each.time is not None]
    if near:
        call = min(near, key=lambda each: abs(moment - (each.time or 0))).call
        if call is not None and call not in one.calls:
            one.calls.append(call)


def _unlogged(diagnosis: Diagnosis, named: set[str]) -> list[str]:
    """Return the faults that no line tells of, nor of a cause or a consequence of theirs."""
    parents = {one.id: one.caused_by for one in diagnosis.findings}

    def root(one: str) -> str:
        seen = {one}
        while (above := parents.get(one)) is not None and above not in seen:
            seen.add(above)
            one = above
        return one

    told = {root(one) for one in named}
    return [
        one.id for one in diagnosis.findings
        if one.severity in _FAULTS and not one.rule.startswith("obs-") and root(one.id) not in told
    ]  # fmt: skip
