"""Values that a screen should not show by chance: credentials, told by the name of their field or by their shape."""

from __future__ import annotations

from wirecase.case.redact.policy import is_secret_name
from wirecase.case.redact.shapes import find_shapes


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
