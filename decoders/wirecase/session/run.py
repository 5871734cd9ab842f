"""What is known of the whole run once all sources are read, for the rules that look at more than one connection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from wirecase.model import CLIENT, SERVER, SIDE_NAMES, CallTotals, ConnectionRef, Damage, Finding, SourceInfo
from wirecase.tls.names import ALERT, TLS13, version_name
from wirecase.tls.suites import suite_name

if TYPE_CHECKING:
    from wirecase.session.session import Session
    from wirecase.tls.facts import TlsFacts

ALERT_RECORD = 2 + 1 + 16
"""Length of a record of TLS 1.3 that holds an alert: its two bytes, the content type, the tag."""
_SAMPLES = 20


class ReadKeyLog(Protocol):
    """A key log that was read."""

    path: str
    keys: int
    garbage: int


@dataclass(slots=True)
class Hidden:
    """TLS connections that could not be read, or not in full, for one reason."""

    count: int = 0
    servers: Counter[str] = field(default_factory=Counter)
    """Server ``addr:port`` -> connections."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """What could be seen of the first 20."""

    def add(self, session: Session, tls: TlsFacts) -> None:
        """Note a connection."""
        self.count += 1
        self.servers[session.server.address] += 1
        if len(self.samples) < _SAMPLES:
            self.samples.append(_seen(session, tls))


def _seen(session: Session, tls: TlsFacts) -> dict[str, Any]:
    """Return what an onlooker without keys sees of a TLS connection."""
    hello, server = tls.client_hello, tls.server_hello
    end = session.first_end()
    marks = [mark for side in tls.sides for mark in (side.first, side.last) if mark is not None]
    return {
        "connection": session.index,
        "client": session.client.address,
        "server": session.server.address,
        "tls_version": version_name(tls.version if server is not None else hello.version if hello else None),
        "cipher": suite_name(tls.cipher) if server is not None else None,
        "sni": hello.sni if hello else None,
        "alpn_offered": list(hello.alpn) if hello and hello.alpn is not None else None,
        "alpn": tls.alpn,
        "resumed": tls.resumed,
        "client_records": tls.sides[CLIENT].records,
        "client_bytes": tls.sides[CLIENT].bytes,
        "server_records": tls.sides[SERVER].records,
        "server_bytes": tls.sides[SERVER].bytes,
        "largest_record": max(side.largest for side in tls.sides),
        "seconds": round((max(m.time for m in marks) - min(m.time for m in marks)) / 1e9, 3) if marks else 0.0,
        "closed_by": None if end is None else SIDE_NAMES[end[0]],
        "closed_how": None if end is None else end[1],
        "close_notify": None if end is None else close_notify(tls, end[0]),
    }


def close_notify(tls: TlsFacts, number: int) -> str:
    """Tell whether a side said close_notify: ``yes``, ``no``, ``probably`` or ``unknown``.

    Without keys its last record may look like it: an encrypted alert is known by its type in TLS 1.2, and by the size
    of its record in TLS 1.3.
    """
    side = tls.sides[number]
    if side.close_notify is not None:
        return "yes"
    if side.problem is None:
        return "no"
    alert = side.last_type == ALERT or ((tls.version or 0) >= TLS13 and side.last_length == ALERT_RECORD)
    return "probably" if alert else "unknown"


@dataclass(slots=True)
class Run:
    """All that was read."""

    sources: list[SourceInfo]
    damages: list[Damage]
    protocols: Counter[str]
    """Connections by `Session.protocol`."""
    calls: CallTotals
    findings: list[Finding]
    """Findings of calls and sessions so far."""
    first: int | None = None
    """Time of the earliest packet, ns."""
    last: int | None = None
    unsupported_links: dict[int, int] = field(default_factory=dict)
    """Link type -> packets that could not be unwrapped."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Bytes skipped by reason."""
    hidden: dict[str, Hidden] = field(default_factory=dict)
    """TLS connections that could not be read (in full), by `wirecase.tls.facts.Problem`."""
    key_logs: Sequence[ReadKeyLog] = ()
    leg_pairs: Sequence[Any] = ()
    """(leg behind, leg before) of calls seen on both sides of a proxy: `wirecase.rules.leg_match.CallPrint`."""
    leg_refs: Mapping[int, ConnectionRef] = field(default_factory=dict)
    """The connections of `leg_pairs`, by their index."""
    left_out: int = 0
    """Connections that are not of the host that was asked for."""
    other_calls: Counter[str] = field(default_factory=Counter)
    """Calls of ``grpc-web`` and ``connect``, which are named and not judged."""
