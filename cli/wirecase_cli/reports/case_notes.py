"""What a Markdown report says of the cases among its sources, and the line that replays one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wirecase.model import Diagnosis
from wirecase_cli.reports.escape import cut, line, markdown_code, markdown_inline

MAX_TEXT = 300
MAX_SOURCES = 5
MAX_MISSING = 8


@dataclass(slots=True)
class CaseNotes:
    """What is known of the sources beside their packets."""

    manifests: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Number of a source that is a case -> what it says about itself."""
    replay: str | None = None
    """The command that replays what was diagnosed; None where nothing can be."""


def gather(found: Diagnosis, folder: Path | None = None) -> CaseNotes:
    """Read the manifests of the sources that are cases, and see what can be replayed.

    `folder` is where relative paths start, if not in the working directory.
    """
    from wirecase.case.manifest import read_manifest
    from wirecase.errors import InputError

    notes = CaseNotes(replay=_replay(found, folder or Path()))
    for number, source in enumerate(found.sources):
        path = os.path.join(folder or "", source.path)
        if source.format.startswith("pcapng") and os.path.isfile(path):
            try:
                notes.manifests[number] = read_manifest(path)
            except InputError:
                continue
    return notes


def _replay(found: Diagnosis, folder: Path) -> str | None:
    from wirecase.replay.plan.scout import NOT_SERVED, is_problem

    if len(found.sources) != 1 or not os.path.isfile(folder / found.sources[0].path):
        return None
    shown = [one for one in found.findings if one.connection is not None and is_problem(one)]
    if all(one.rule in NOT_SERVED for one in shown):
        return None
    path = found.sources[0].path
    quoted = shlex.quote(f"./{path}" if path.startswith("-") else path)
    roots = found.verdict.root_causes
    # The front leg is what a client met: with several causes it is chosen by the replay itself.
    chosen = f" --finding {roots[0]}" if len(roots) == 1 and any(one.id == roots[0] for one in shown) else ""
    return f"wirecase replay {quoted}{chosen} -- ./client {{target}}"


def head(found: Diagnosis, notes: CaseNotes) -> Iterator[str]:
    """Yield a line for each case, and what it was cut from."""
    for number, manifest in notes.manifests.items():
        source = found.sources[number]
        made = f"made by wirecase {_inline(manifest.get('version'))} with {_code(manifest.get('command'))}"
        yield f"- **Case:** {_code(source.path)}, SHA-256 {_code(source.sha256)}, {made}"
        for origin in _dicts(manifest.get("sources"))[:MAX_SOURCES]:
            size = f", {origin['packets']:,} packets" if isinstance(origin.get("packets"), int) else ""
            yield f"  - cut from a capture with SHA-256 {_code(origin.get('sha256'))}{size}"
        redaction = manifest.get("redaction")
        if isinstance(redaction, dict):
            yield f"  - payloads: {_inline(redaction.get('payloads'))}"
        for one in _dicts(manifest.get("not_carried"))[:MAX_MISSING]:
            yield f"  - does not show {_code(one.get('rule'))}: {_inline(one.get('why'))}"


def foot(notes: CaseNotes) -> Iterator[str]:
    """Yield the line that replays it."""
    if notes.replay is not None:
        yield from ("", f"Replay it to a client: {markdown_code(line(notes.replay))}")


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _inline(value: object) -> str:
    return markdown_inline(cut(line(_text(value)), MAX_TEXT))


def _code(value: object) -> str:
    return markdown_code(cut(line(_text(value)), MAX_TEXT))


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else "unknown"
