"""What a case says about itself: JSON and a plain sentence in the comments of its section header."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from wirecase.case.pcapng import LONGEST_OPTION, section_comments
from wirecase.errors import InputError
from wirecase.model import SERVER, SIDE_NAMES, Finding

SCHEMA = "wirecase/case/1"
_MOST_OCCURRENCES = 20
_MOST_BYTES = 4 << 20
_LONGEST_COMMENT = 2000

Manifest = dict[str, Any]


def read_manifest(path: str) -> Manifest:
    """Return the manifest of the case at `path`. Raises InputError, in one line, if the file is no case."""
    try:
        with open(path, "rb") as file:
            comments = section_comments(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror}") from error
    found = None if comments is None else parse(comments)
    if found is None:
        raise InputError(f"{path}: is no case: it holds no manifest of {SCHEMA} (wirecase extract makes a case)")
    return found


def parse(comments: Sequence[bytes]) -> Manifest | None:
    """Return the manifest that stands in the comments of a section header, None if there is none that is whole."""
    start = next((i for i, one in enumerate(comments) if one.startswith(b'{"schema":"wirecase/case/')), None)
    if start is None:
        return None
    text = b"".join(comments[start:])
    if len(text) > _MOST_BYTES:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _is_sound(found) else None


def _is_sound(found: Manifest) -> bool:
    return (
        found.get("schema") == SCHEMA
        and isinstance(found.get("findings"), list)
        and isinstance(found.get("sources"), list)
        and isinstance(found.get("version"), str)
        and all(isinstance(one, dict) and isinstance(one.get("rule"), str) for one in found["findings"])
    )


def comments_of(manifest: Manifest, sentence: str) -> list[str]:
    """Return the comments of the section header: a sentence for people, and the JSON in as many parts as it needs."""
    text = json.dumps(manifest, ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f")
    return [shown(sentence), *(text[at : at + LONGEST_OPTION] for at in range(0, len(text), LONGEST_OPTION))]


def finding_json(one: Finding) -> Mapping[str, Any]:
    """Return a finding as the manifest holds it; its bytes are in the packets themselves."""
    connection = one.connection
    return {
        "id": one.id,
        "rule": one.rule,
        "severity": one.severity,
        "certainty": one.certainty,
        "title": one.title,
        "explanation": one.explanation,
        "who": list(one.who),
        "caused_by": one.caused_by,
        "connection": None
        if connection is None
        else {"index": connection.index, "client": connection.client, "server": connection.server},
        "stream": one.stream,
        "call": one.call,
        "path": one.path,
        "count": one.count,
        "occurrences": [
            {"connection": o.connection, "stream": o.stream, "call": o.call, "packet": o.packet}
            for o in one.occurrences[:_MOST_OCCURRENCES]
        ],
        "details": one.details,
        "evidence": [
            {"role": e.role, "direction": e.direction, "packet": e.packet, "offset": e.offset, "length": e.length,
             "note": e.note}
            for e in one.evidence
        ],
        "retry_safe": one.retry_safe,
        "fix": one.fix,
    }  # fmt: skip


def shown(text: str) -> str:
    """Return text for a comment: nothing in it controls a terminal or turns its direction."""
    text = text[:_LONGEST_COMMENT]
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def side_name(side: int) -> str:
    """Return ``client`` or ``server``."""
    return SIDE_NAMES[1 if side == SERVER else 0]
