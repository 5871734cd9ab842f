"""Every byte of a connection put to its place in the accounts: decoded, or skipped with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wirecase.model import SIDE_NAMES, Accounting, Unbalanced
from wirecase.session.session import Session

if TYPE_CHECKING:
    from wirecase.tls.facts import TlsFacts

SKIPPED = {
    "tls": "TLS that was not decrypted",
    "http1": "HTTP/1",
    "other": "not HTTP/2",
    "empty": "not HTTP/2",
}
NO_KEYS = "TLS without keys"
HIDDEN: dict[str | None, str] = {
    None: "TLS records that were damaged or cut",
    "no-keys": NO_KEYS,
    "no-match": NO_KEYS,
    "partial": NO_KEYS,
    "wrong-keys": "TLS that its keys do not open",
    "no-client-hello": "TLS whose handshake was not captured",
    "no-server-hello": "TLS whose handshake was not captured",
    "version": "TLS of another version or cipher",
    "cipher": "TLS of another version or cipher",
    "lost": "TLS after a hole in the capture",
    "overflow": "TLS whose keys came too late",
    "not-tls": "no TLS on a TLS connection",
}
"""TLS bytes that were not opened, by `wirecase.tls.facts.Problem`."""


def book(session: Session, accounting: Accounting, payload: Sequence[int], foreign: Sequence[bool]) -> None:
    """Book a connection that is over.

    `payload` are the bytes taken in (after TLS) by TCP side, `foreign` the TCP sides that speak something else on a
    connection of HTTP/2.
    """
    if session.tls is not None:
        _book_tls(session, accounting, session.tls)
    if session.protocol != "h2":
        accounting.skip(SKIPPED[session.protocol], payload[0] + payload[1])
        return
    for side in (0, 1):
        half = session.h2.halves[side ^ session.flipped]
        accounting.decoded += half.decoded
        skipped = 0
        for reason, count in half.skipped.items():
            accounting.skip(reason, count)
            skipped += count
        rest = payload[side] - half.decoded - skipped
        reason = "other protocol on an HTTP/2 connection" if foreign[side] else "HTTP/1.1 before the upgrade"
        if foreign[side] or session.h2.upgraded:
            accounting.skip(reason, rest)
        elif rest:
            _unbalanced(session, accounting, side ^ session.flipped, (payload[side], half.decoded, skipped))


def _book_tls(session: Session, accounting: Accounting, tls: TlsFacts) -> None:
    """Book what TLS itself took, and what of it could not be opened."""
    for number, facts in enumerate(tls.sides):
        accounting.decoded += facts.framing
        accounting.skip(HIDDEN[facts.problem], facts.undecrypted)
        if facts.bytes != facts.framing + facts.undecrypted + facts.plain:
            sums = facts.bytes, facts.framing + facts.plain, facts.undecrypted
            _unbalanced(session, accounting, number, sums)


def _unbalanced(session: Session, accounting: Accounting, number: int, sums: tuple[int, int, int]) -> None:
    """Note a direction whose bytes (captured, decoded, skipped) do not add up."""
    captured, decoded, skipped = sums
    accounting.unbalanced.append(Unbalanced(session.index, SIDE_NAMES[number], captured, decoded, skipped))
    accounting.skip("unaccounted", captured - decoded - skipped)
