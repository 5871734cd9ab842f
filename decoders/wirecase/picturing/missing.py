"""What findings about flow control mean for the series that they are about, and the frame that should have come."""

from __future__ import annotations

from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Finding
from wirecase.picturing.model import Hop, Missing, Series, Stall, What
from wirecase.picturing.wanted import Target, targets

_STALLS = ("fc-stream-stalled", "fc-connection-stalled")
_KINDS = {"fc-violation": "over", "fc-overflow": "overflow", "fc-zero-increment": "zero"}


def tie(hop: Hop, findings: list[Finding]) -> None:
    """Tell the series of `hop` which findings are about them, and what was missing."""
    places = {(one.stream, one.sender, one.what): one for one in hop.series}
    for finding in findings:
        for target in targets(finding, hop.connection.index):
            series = places.get((target.stream, target.sender, target.what))
            if series is None:
                continue
            if finding.id not in series.findings:
                series.findings = (*series.findings, finding.id)
            if finding.rule in _STALLS:
                _stalled(series, finding, target, places)
            elif finding.rule in _KINDS:
                _broken(series, finding, _KINDS[finding.rule])
            elif finding.rule == "fc-window-leak":
                _leaked(series, finding)
            elif finding.rule == "stream-stalled":
                _silent(series, finding, target)
            else:
                _full(series, finding)
    for series in hop.series:  # a window that is lower than before is no leak unless a rule says so
        if series.leak is not None and not series.leak.findings:
            series.leak = None


def _where(stream: int) -> str:
    return f"on stream {stream}" if stream else "on the connection (stream 0)"


def _stalled(
    series: Series, finding: Finding, target: Target, places: dict[tuple[int, int, What], Series]
) -> None:  # fmt: skip
    stall = _stall(series, finding)
    if stall is None:
        return
    stall.findings = (*stall.findings, finding.id)
    owed = _owed(finding) if target.stream == finding.stream or not target.stream else None
    series.missing.append(_update(series, stall, finding, owed))
    other = places.get((0, target.sender, "connection window"))
    both = None if other is None or other is series else _at_end(other, stall)
    if other is not None and both is not None:
        series.missing.append(_update(other, both, finding, owed))


def _stall(series: Series, finding: Finding) -> Stall | None:
    """Return the stall that a finding names: the one that its evidence began, or else the last."""
    packet = finding.evidence[0].packet if finding.evidence else None
    for stall in series.stalls:
        if stall.packet == packet:
            return stall
    return series.stalls[-1] if series.stalls else None


def _at_end(series: Series, stall: Stall) -> Stall | None:
    """Return the stall of another series that lasted as long."""
    return next((one for one in series.stalls if one.since < stall.until <= one.until), None)


def _owed(finding: Finding) -> int | None:
    """Return how many bytes of the message in hand the sender had not sent."""
    got, declared = finding.details.get("got"), finding.details.get("declared")
    return declared - got if isinstance(got, int) and isinstance(declared, int) and declared > got else None


def _update(series: Series, stall: Stall, finding: Finding, owed: int | None) -> Missing:
    sender, receiver = SIDE_NAMES[series.sender], 1 - series.sender
    least = 1 - stall.value
    enough = None if owed is None else owed - stall.value
    text = f"WINDOW_UPDATE {_where(series.stream)} from the {SIDE_NAMES[receiver]}"
    text += f": an increment of at least {least:,} would have let the {sender} go on"
    if enough is not None:
        text += f", {enough:,} would have let it finish the message in hand"
    return Missing(
        "WINDOW_UPDATE", receiver, series.stream, least, enough, stall.since, stall.packet, stall.source, f"{text}.",
        finding.certainty, finding.id,
    )  # fmt: skip


def _broken(series: Series, finding: Finding, kind: str) -> None:
    for one in series.violations:
        if one.kind == kind and finding.id not in one.findings:
            one.findings = (*one.findings, finding.id)
    first = next((one for one in series.violations if one.kind == kind), None)
    if first is None:
        return
    receiver = SIDE_NAMES[1 - series.sender]
    least: int | None = None
    if kind == "over":
        least = first.amount
        text = (
            f"WINDOW_UPDATE {_where(series.stream)} from the {receiver} with an increment of at least {least:,}, "
            f"before packet {first.packet}; without it the {SIDE_NAMES[series.sender]} had to wait."
        )
    elif kind == "overflow" and first.allowed is not None:
        text = (
            f"A WINDOW_UPDATE {_where(series.stream)} with an increment of at most {max(first.allowed, 0):,}, or none."
        )
    elif kind == "overflow":
        text = "SETTINGS with an INITIAL_WINDOW_SIZE of at most 2,147,483,647."
    else:
        least = 1
        text = f"A WINDOW_UPDATE {_where(series.stream)} with an increment of 1 or more, or none."
    name = "SETTINGS" if kind == "overflow" and first.allowed is None else "WINDOW_UPDATE"
    series.missing.append(
        Missing(
            name,
            1 - series.sender,
            series.stream,
            least,
            None,
            first.time,
            first.packet,
            first.source,
            text,
            finding.certainty,
            finding.id,
        )
    )


def _leaked(series: Series, finding: Finding) -> None:
    leak = series.leak
    if leak is None:
        return
    leak.findings = (*leak.findings, finding.id)
    lost, receiver = leak.at_begin - leak.at_end, SIDE_NAMES[1 - series.sender]
    last = series.points[-1]
    series.missing.append(
        Missing(
            "WINDOW_UPDATE",
            1 - series.sender,
            0,
            lost,
            None,
            leak.begin,
            last.packet,
            last.source,
            f"WINDOW_UPDATE on the connection (stream 0) from the {receiver} for the {lost:,} bytes that it received "
            f"and did not give back, {leak.per_stream:,.1f} per finished stream.",
            finding.certainty,
            finding.id,
        )
    )


def _silent(series: Series, finding: Finding, target: Target) -> None:
    last = series.points[-1] if series.points else None
    if last is None:
        return
    owed = _owed(finding) if target.stream == finding.stream else None
    left = "" if last.value is None else f"; {last.value:,} bytes of window were left, so flow control did not stop it"
    more = "more DATA" if owed is None else f"{owed:,} more bytes of DATA for the message in hand"
    series.missing.append(
        Missing(
            "DATA or HEADERS",
            SERVER,
            target.stream,
            None,
            None,
            last.time,
            last.packet,
            last.source,
            f"{more}, or HEADERS with END_STREAM, from the server {_where(target.stream)}{left}.",
            finding.certainty,
            finding.id,
        )
    )


def _full(series: Series, finding: Finding) -> None:
    limit = finding.details.get("limit")
    first = next((point for point in series.points if point.value is not None and point.value <= 0), None)
    if first is None:
        return
    if limit == 0:
        name, side = "SETTINGS", SERVER
        text = "SETTINGS from the server with a MAX_CONCURRENT_STREAMS above 0: until then no stream may be opened."
    else:
        name, side = "END_STREAM or RST_STREAM", CLIENT
        text = (
            "The end of one of the open streams (END_STREAM from both sides, or RST_STREAM) before the next one begins."
        )
    series.missing.append(
        Missing(name, side, 0, None, None, first.time, first.packet, first.source, text, finding.certainty, finding.id)
    )
