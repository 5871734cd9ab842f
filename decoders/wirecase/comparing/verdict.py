"""The sentence on top of a comparison."""

from __future__ import annotations

from wirecase.comparing.model import Comparison

_HOPS = {
    "client": "the client's side", "proxy": "the proxy", "server": "behind the proxy", "unknown": "not certain where",
}  # fmt: skip


def headline(found: Comparison, unreached: int) -> str:
    """Say in one sentence what the legs differ in, and who is at fault."""
    totals = found.totals
    if not totals.matched:
        return "No call could be found on both legs."
    calls = f"{totals.matched:,} call{'' if totals.matched == 1 else 's'} on both legs"
    worst = next((change for change in found.changes if change.severity == "error"), None)
    parts: list[str] = []
    if worst is not None:
        broken = f"{totals.broken:,} of {calls} {'is' if totals.broken == 1 else 'are'} broken on the way"
        parts.append(f"{broken}: {worst.title[:1].lower()}{worst.title[1:]}")
    else:
        parts.append(f"{calls}, none broken by what the proxy changed")
    if unreached:
        parts.append(f"{unreached:,} never {'goes' if unreached == 1 else 'go'} on behind the proxy")
    text = "; ".join(parts)
    if found.faults:
        first = found.faults[0]
        sure = "" if first.certainty == "certain" else f" ({first.certainty})"
        text += f". At fault: {_HOPS[first.hop]}{sure}"
    return text + "."
