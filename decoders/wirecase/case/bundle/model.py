"""What a bundle is made of, its limits, and its manifest."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wirecase.errors import InputError

SCHEMA = "wirecase/bundle/1"
MANIFEST = "MANIFEST.json"
CASE = "case.pcapng"

MOST_ENTRIES = 32
"""Files of a bundle, the manifest among them."""
MOST_BYTES = 2 << 30
"""Bytes of all files together once they are unpacked."""
MOST_MANIFEST = 4 << 20
MOST_RATIO = 200
"""How many times larger a file may be than its compressed form; what would be larger is stored uncompressed."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}(?:\.[A-Za-z0-9]{1,16}){0,3}")
"""Names of files: no folders, no dots in front, nothing that a shell or a file system takes for something else."""
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))})
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True, frozen=True)
class Entry:
    """One file of a bundle."""

    name: str
    media_type: str
    size: int
    sha256: str
    """Hex digest."""


@dataclass(slots=True)
class Facts:
    """What the manifest says beside its files."""

    version: str
    """Of the wirecase that wrote it."""
    command: str
    """Without names of files."""
    headline: str
    sources: list[dict[str, Any]]
    """What it was made from: SHA-256, format, bytes, packets."""
    recording: dict[str, Any]
    """Counts over all that was recorded: ``calls`` and ``findings``; nothing of its contents."""
    redaction: dict[str, Any]
    """As the case says it."""


@dataclass(slots=True)
class Bundle:
    """A bundle that was opened: the files that are there can be read at `folder`."""

    path: str
    folder: Path
    case: Path
    manifest: dict[str, Any]
    entries: list[Entry]
    there: list[str] = field(default_factory=list)
    """Files that the manifest names and that are there."""
    problems: list[str] = field(default_factory=list)
    """Files that are missing, changed, or not named in the manifest, one line each."""


def is_safe_name(name: str) -> bool:
    """Tell whether a file of a bundle may be called so."""
    return NAME.fullmatch(name) is not None and name.split(".", 1)[0].lower() not in _DEVICES


def manifest_json(facts: Facts, entries: list[Entry]) -> bytes:
    """Return ``MANIFEST.json``; the same facts give the same bytes."""
    document = {
        "schema": SCHEMA,
        "version": facts.version,
        "command": facts.command,
        "headline": facts.headline,
        "case": CASE,
        "files": [
            {"name": one.name, "media_type": one.media_type, "size": one.size, "sha256": one.sha256} for one in entries
        ],
        "sources": facts.sources,
        "recording": facts.recording,
        "redaction": facts.redaction,
    }
    return (json.dumps(document, ensure_ascii=True, indent=2) + "\n").encode("ascii")


def parse_manifest(path: str, data: bytes) -> tuple[dict[str, Any], list[Entry]]:
    """Return the manifest and the files that it names. Raises InputError if it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is no bundle: its {MANIFEST} is no JSON") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise InputError(f"{path}: is no bundle: its {MANIFEST} is not of {SCHEMA}")
    files = found.get("files")
    if not isinstance(files, list) or len(files) >= MOST_ENTRIES or not isinstance(found.get("version"), str):
        raise InputError(f"{path}: is no bundle: its {MANIFEST} is not of {SCHEMA}")
    entries = [_entry(path, one) for one in files]
    names = [one.name.lower() for one in entries]
    if len(set(names)) != len(names) or MANIFEST.lower() in names:
        raise InputError(f"{path}: its {MANIFEST} names a file twice")
    if found.get("case") not in [one.name for one in entries]:
        raise InputError(f"{path}: its {MANIFEST} names no case")
    if sum(one.size for one in entries) > MOST_BYTES:
        raise InputError(f"{path}: holds more than {MOST_BYTES >> 30} GiB: that is no bundle of wirecase")
    return found, entries


def _entry(path: str, one: object) -> Entry:
    if isinstance(one, dict):
        name, size, digest, kind = (one.get(key) for key in ("name", "size", "sha256", "media_type"))
        if (
            isinstance(name, str) and is_safe_name(name)
            and isinstance(size, int) and not isinstance(size, bool) and size >= 0
            and isinstance(digest, str) and _DIGEST.fullmatch(digest)
            and isinstance(kind, str)
        ):  # fmt: skip
            return Entry(name, kind, size, digest)
    raise InputError(f"{path}: its {MANIFEST} names a file that cannot be in a bundle")
