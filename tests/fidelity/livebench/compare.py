"""Live with live, live with replay: one `Pair` for each client and fault, and the figures over all of them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from livebench.replayed import REFUSED, Replayed
from livebench.session import Said

Verdict = Literal["equal", "different", "refused", "unsteady", "failed"]
EXPLAINED = Path(__file__).resolve().parents[1] / "explained.toml"
WANTED = 0.98


@dataclass(frozen=True, slots=True)
class Pair:
    """One client against one fault."""

    client: str
    fault: str
    live: tuple[Said, ...]
    """Two or more runs of the same live session."""
    replayed: Said | None
    verdict: Verdict
    """``unsteady``: the live runs differ from each other, so nothing can be asked of a replay; ``refused``: replay said
    that it cannot serve this (exit 3); ``failed``: replay itself broke."""
    messages_equal: bool = True
    """Whether the counts of messages and the end of the process were the same too."""
    words: str = ""
    """Replay's own words where it refused or failed."""
    cause: str = ""
    """Why the replay differs, refuses, or the live runs differ, where that is known."""


def judge(client: str, fault: str, live: Sequence[Said], replay: Replayed) -> Pair:
    """Compare code and text of each call."""
    first, said, verdict = live[0], replay.said, "equal"
    if any(one.errors() != first.errors() for one in live):
        verdict = "unsteady"
    elif replay.status == REFUSED and (said is None or not said.calls):
        verdict = "refused"
    elif said is None or replay.status in (-1, 2, 70):
        verdict = "failed"
    elif said.errors() != first.errors():
        verdict = "different"
    full = said is not None and (said.calls, said.end) == (first.calls, first.end)
    cause = "" if verdict == "equal" else explanation(client, fault)
    return Pair(client, fault, tuple(live), said, verdict, full, replay.words, cause)  # type: ignore[arg-type]


def explanation(client: str, fault: str) -> str:
    """What is known of the difference, from explained.toml."""
    for entry in tomllib.loads(EXPLAINED.read_text()).get("difference", []):
        if fnmatchcase(client, entry["client"]) and fnmatchcase(fault, entry["fault"]):
            return str(entry["cause"])
    return ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts over some pairs."""

    pairs: int
    steady: int
    equal: int
    refused: int
    unexplained: int

    @property
    def share(self) -> float:
        """Equal ones among those that could be: steady and not refused."""
        asked = self.steady - self.refused
        return self.equal / asked if asked else 1.0


def figures(pairs: Iterable[Pair]) -> Figures:
    """Count."""
    listed = list(pairs)
    count = {word: sum(pair.verdict == word for pair in listed) for word in ("equal", "refused", "unsteady")}
    unexplained = sum(pair.verdict != "equal" and not pair.cause for pair in listed)
    return Figures(len(listed), len(listed) - count["unsteady"], count["equal"], count["refused"], unexplained)


def as_json(pairs: Sequence[Pair], about: dict[str, Any]) -> dict[str, Any]:
    """All of it, for machines."""
    names = sorted({pair.client for pair in pairs})
    return {
        "about": about,
        "figures": {name: _figures_json(pair for pair in pairs if pair.client == name) for name in names}
        | {"all": _figures_json(pairs)},
        "pairs": [asdict(pair) for pair in pairs],
    }


def _figures_json(pairs: Iterable[Pair]) -> dict[str, float]:
    counted = figures(pairs)
    return asdict(counted) | {"share": round(counted.share, 4)}


def _told(said: Said | None) -> str:
    if said is None:
        return "nothing"
    calls = "; ".join(f"{code} {text}".strip() + f" ({count})" for _, code, text, count in said.calls) or "no call"
    return calls if said.end in ("exit 0", "exit 1") else f"{calls}, {said.end}"


def _cell(text: str) -> str:
    return " ".join(text.split())[:400].replace("|", "\\|")


def as_markdown(pairs: Sequence[Pair], about: dict[str, Any]) -> str:
    """The figures and every difference, for people."""
    lines = ["# Fidelity of replay", "", *(f"- {key}: {value}" for key, value in about.items()), ""]
    lines += ["| client | faults | steady live | refused | equal in replay | share |", "|---|---|---|---|---|---|"]
    names = sorted({pair.client for pair in pairs})
    for name in [*names, "all"]:
        counted = figures(pair for pair in pairs if name in (pair.client, "all"))
        numbers = (counted.pairs, counted.steady, counted.refused, counted.equal, f"{counted.share:.1%}")
        lines.append(f"| {name} | " + " | ".join(map(str, numbers)) + " |")
    lines += [
        "",
        "## What is not equal",
        "",
        "| client | fault | | live | replayed | cause |",
        "|---|---|---|---|---|---|",
    ]
    for pair in pairs:
        if pair.verdict == "equal":
            continue
        live, other = _told(pair.live[0]), _told(pair.replayed)
        if pair.verdict == "unsteady":
            other = "; or ".join(sorted({_told(one) for one in pair.live} - {live})) + " (live again)"
        elif pair.verdict in ("refused", "failed"):
            other = pair.words
        cells = (pair.client, pair.fault, pair.verdict, live, other, pair.cause or "unexplained")
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    lines += ["", "## Equal in code and text, but not in the number of messages or the end of the process", ""]
    for pair in pairs:
        if pair.verdict == "equal" and not pair.messages_equal:
            lines.append(f"- {pair.client} {pair.fault}: {_cell(_told(pair.live[0]))} -> {_cell(_told(pair.replayed))}")
    return "\n".join(lines) + "\n"
