"""A probe on a terminal: one line for each thing looked at, then the findings of the recording."""

from __future__ import annotations

from wirecase.model import Finding
from wirecase.probing import Check, Probe
from wirecase_cli.reports.drawing import STYLE, SYMBOL
from wirecase_cli.reports.lines import draw, safe, wrap
from wirecase_cli.reports.screen import Screen

_SIGN = {"ok": ("✓", "green"), "bad": ("✗", "bold red"), "note": ("·", "cyan"), "untold": ("▲", "bold yellow")}
_NAME = 16


def render(found: Probe, kept: str, screen: Screen) -> str:
    """Return the report; `kept` says what became of the recording."""
    target = found.request.target
    where = "" if target.name == target.address else f" ({safe(target.address)})"
    lines = [draw([(f"wirecase probe {safe(target.name)}{where}", "bold")], screen)]
    for one in found.checks:
        lines += _check(one, screen)
    if found.unreachable:
        lines += _hanging("✗", "bold red", "unreachable", safe(found.unreachable), screen)
    for finding in found.counted:
        lines += _finding(finding, screen)
    if found.interrupted:
        lines.append(draw([("interrupted: this is what was known then", "yellow")], screen))
    lines += ["\n", draw([(_verdict(found), "bold")], screen)]
    if kept:
        lines.append(draw([(safe(kept), "")], screen))
    return "".join(lines)


def _check(one: Check, screen: Screen) -> list[str]:
    sign, style = _SIGN[one.state]
    took = f" ({one.seconds * 1000:.1f} ms)" if one.seconds is not None else ""
    return _hanging(sign, style, one.id, safe(one.text) + took, screen)


def _hanging(sign: str, style: str, name: str, text: str, screen: Screen) -> list[str]:
    first, *rest = wrap(text, max(screen.width - _NAME - 5, 20))
    lines = [draw([("  ", ""), (sign, style), (f" {name.ljust(_NAME)} ", ""), (first, "")], screen)]
    return lines + [draw([(" " * (_NAME + 5) + line, "")], screen) for line in rest]


def _finding(one: Finding, screen: Screen) -> list[str]:
    title = f"{one.severity} {one.id} {one.rule}: {one.title}"
    lines = ["\n"]
    for i, line in enumerate(wrap(safe(title), screen.width - 2)):
        lead: list[tuple[str, str]] = [(f"{SYMBOL[one.severity]} ", STYLE[one.severity])] if not i else [("  ", "")]
        lines.append(draw([*lead, (line, STYLE[one.severity] if not i else "")], screen))
    for part in (one.explanation, f"To do: {one.fix}" if one.fix else ""):
        lines += [
            draw([("  ", ""), (line, "")], screen) for line in (wrap(safe(part), screen.width - 2) if part else ())
        ]
    return lines


def _verdict(found: Probe) -> str:
    if found.unreachable:
        return "No connection."
    bad = sum(one.state == "bad" for one in found.checks)
    untold = sum(one.state == "untold" for one in found.checks)
    errors = sum(one.severity == "error" for one in found.counted)
    if bad or errors:
        parts = [f"{bad} of {len(found.checks)} checks failed"] if bad else []
        if errors:
            parts.append(f"{errors} {'finding' if errors == 1 else 'findings'} on the wire")
        return "; ".join(parts) + "."
    return f"{untold} of {len(found.checks)} checks could not be told." if untold else "Nothing wrong was seen."
