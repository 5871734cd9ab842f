"""Packets that the capture tool itself says it lost: what their absence may explain is claimed with less certainty.

A packet lost in the middle of a stream leaves a hole that the streams show, and `obs-gap` tells. One after which
nothing came on its connection leaves no hole: it looks like silence. So whoever is blamed for silence is blamed less
firmly.
"""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.model import Certainty, Finding
from wirecase.rules.base import Match, Rule
from wirecase.session.run import Run

BLAME_SILENCE = frozenset((
    "stream-no-response", "stream-stalled", "fc-stream-stalled", "fc-connection-stalled", "keepalive-unanswered",
    "tcp-connect-timeout", "tcp-peer-silent", "h2-settings-not-acked", "idle-cut", "call-end-unseen",
))  # fmt: skip
"""Rules that rest on something not being there."""
_LESS: dict[Certainty, Certainty] = {"certain": "probable", "probable": "possible", "possible": "possible"}


def lost_in(run: Run) -> int:
    """Return the packets that the tools behind all sources say they lost."""
    return sum(source.dropped or 0 for source in run.sources)


def temper(findings: list[Finding], run: Run) -> None:
    """Lower the certainty of what a lost packet would explain, and say why."""
    for finding in findings:
        if finding.rule not in BLAME_SILENCE:
            continue
        numbers = {item.source for item in finding.evidence if item.source is not None} or set(range(len(run.sources)))
        lost = sum(run.sources[number].dropped or 0 for number in numbers if number < len(run.sources))
        if lost:
            finding.certainty = _LESS[finding.certainty]
            finding.explanation += (
                f" The capture tool lost {_counted(lost)}: what is missing here may have been among them."
            )


def check(run: Run) -> Iterator[Match]:
    """A source whose tool lost packets."""
    for number, source in enumerate(run.sources):
        if not source.dropped:
            continue
        seen = source.packets + source.dropped
        yield Match(
            severity="warning",
            certainty="certain",
            who=["capture"],
            title=f"The capture tool lost {_counted(source.dropped)} ({source.dropped / seen:.1%})",
            explanation=f"The kernel had packets that nobody took in time: {_counted(source.dropped)} of {seen:,} are "
            "not in the capture, on whichever connections. Where they leave a hole in a stream, that is told, and "
            "nothing that the hole could explain is blamed on a peer; where nothing came after them, they look like "
            "silence, and findings about silence are less certain for it.",
            evidence=[],
            details={"dropped": source.dropped, "captured": source.packets},
            retry_why="This is about the capture, not about a call.",
            fix="Raise the kernel's buffer (wirecase watch --buffer 256, tcpdump -B 262144, dumpcap -B 256), capture "
            "less (a filter such as 'tcp port 50051'), or write to a faster disk.",
            key=number,
        )


def _counted(count: int) -> str:
    return f"{count:,} {'packet' if count == 1 else 'packets'}"


RULES = (
    Rule(
        id="obs-capture-drops",
        title="The capture tool lost packets",
        summary="The tool that captured says that packets were lost before it could write them.",
        references=("draft-ietf-opsawg-pcapng §4.6 (isb_ifdrop, isb_osdrop)",),
        scope="run",
        check=check,
    ),
)
