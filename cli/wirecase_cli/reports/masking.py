"""Values that a screen should not show by chance: credentials, told by the name of their field or by their shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wirecase.case.redact.policy import is_secret_name
from wirecase.case.redact.shapes import find_shapes
from wirecase.model import Diagnosis, Evidence, Finding


def value(name: bytes | None, content: bytes) -> tuple[bytes, bool]:
    """Return a header's value for showing, and whether something in it was masked."""
    if name is not None and is_secret_name(name.decode("latin-1").lower()):
        return f"(masked, {len(content)} bytes)".encode(), True
    shown = text(content)
    return shown, shown != content


def text(content: bytes) -> bytes:
    """Return `content` with everything that looks like a credential masked."""
    parts: list[bytes] = []
    done = 0
    for shape in find_shapes(content, random=False):
        if shape.start >= done:
            parts += [content[done : shape.start], f"(masked {shape.kind})".encode()]
            done = shape.stop
    return b"".join([*parts, content[done:]])


def diagnosis(found: Diagnosis) -> Diagnosis:
    """Return a diagnosis in whose texts and bytes everything that looks like a credential is masked.

    Bytes of evidence keep their length, so that what is said of their places stays true.
    """
    verdict, blast = found.verdict, found.verdict.blast
    return replace(
        found,
        sources=[replace(one, path=_said(one.path)) for one in found.sources],
        verdict=replace(
            verdict,
            headline=_said(verdict.headline),
            not_inspected=[_said(one) for one in verdict.not_inspected],
            blast=replace(blast, paths=[_said(one) for one in blast.paths]),
        ),
        findings=[_finding(one) for one in found.findings],
        calls=replace(found.calls, by_status={_said(name): n for name, n in found.calls.by_status.items()}),
        failures=[_said(one) for one in found.failures],
    )


def _finding(one: Finding) -> Finding:
    return replace(
        one,
        title=_said(one.title),
        explanation=_said(one.explanation),
        path=None if one.path is None else _said(one.path),
        occurrences=[replace(each, path=None if each.path is None else _said(each.path)) for each in one.occurrences],
        details={name: _detail(name, each) for name, each in one.details.items()},
        evidence=[_evidence(each) for each in one.evidence],
        client_sees=[replace(each, text=_said(each.text)) for each in one.client_sees],
        retry_why=_said(one.retry_why),
        fix=_said(one.fix),
        ids={name: _named(name, each) for name, each in one.ids.items()},
    )


def _evidence(one: Evidence) -> Evidence:
    data = bytearray(one.data)
    for shape in find_shapes(one.data, random=False):
        data[shape.start : shape.stop] = b"x" * (shape.stop - shape.start)
    return replace(one, note=_said(one.note), data=bytes(data))


def _said(content: str) -> str:
    shown = text(content.encode("utf-8", "surrogatepass"))
    try:
        return shown.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # a mask that ended in the middle of a character
        return shown.decode("utf-8", "backslashreplace")


def _named(name: str, content: str) -> str:
    return "(masked)" if is_secret_name(name.lower()) else _said(content)


def _detail(name: str, content: Any) -> Any:
    match content:
        case str():
            return _named(name, content)
        case bytes():
            return text(content)
        case list() | tuple():
            return [_detail(name, one) for one in content]
    return content
