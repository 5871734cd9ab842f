"""What a walk notes as violations of HTTP/2, whole and byte by byte."""

from __future__ import annotations

from h2_bytes import Script, Walked, by_byte, message, walk

from wirecase.http2.facts import Violation


def check(script: Script, *expected: tuple[str, int]) -> Walked:
    """Walk whole and byte by byte; what is noted must be `expected`, (kind, side) in order."""
    done = walk(script)
    assert walk(script, by_byte).snapshot() == done.snapshot()
    assert done.kinds() == list(expected)
    return done


def only(script: Script, kind: str, side: int) -> Violation:
    """The one violation of a script."""
    (violation,) = check(script, (kind, side)).facts.violations
    return violation


def asked(stream: int = 1, *, end: bool = False) -> Script:
    """A connection with one open request."""
    return Script().hello().request(stream, message(b"a"), end=end)
