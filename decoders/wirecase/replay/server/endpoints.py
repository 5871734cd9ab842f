"""Never lead a client elsewhere: what names another server is rewritten to the replay's own, or the answer is refused.

That is the locations in Arrow Flight's answers, the header ``alt-svc``, and ``location`` of a redirect. Answers of
look-aside load balancing and of xDS consist of addresses: they are refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

from wirecase.replay.plan import Act, Blob, Data, Headers, More, RecordedCall
from wirecase.replay.server.answers import refusal
from wirecase.replay.server.flight import NotReadableError, places, replace_locations

_DIRECTORIES = ("/grpc.lb.", "/envoy.service.", "/envoy.api.")
_LARGEST = 64 << 20
"""Bytes of an answer that is looked through, and of one message without its compression."""
_KEPT = 1000
Changes = list[tuple[str, str]]
"""(a stable word, why)."""


class Endpoints:
    """Looks through answers before they are served."""

    def __init__(self, host: str, port: int, *, tls: bool) -> None:
        self.location = f"grpc+{'tls' if tls else 'tcp'}://{f'[{host}]' if ':' in host else host}:{port}"
        self._known: dict[int, tuple[list[Act], Changes]] = {}
        """By identity: healthy answers may come from another recording, which counts its calls by itself."""

    def acts(self, recorded: RecordedCall) -> tuple[list[Act], Changes]:
        """Return the acts to serve for a recorded call, and what had to be changed."""
        known = self._known.get(id(recorded))
        if known is None:
            known = self._look(recorded)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[id(recorded)] = known
        return known

    def _look(self, recorded: RecordedCall) -> tuple[list[Act], Changes]:
        if recorded.path.startswith(_DIRECTORIES):
            return _refused(recorded, "its messages name other servers that the client would dial")
        changes: Changes = []
        acts = [_without_hints(act, changes) if isinstance(act, Headers) else act for act in recorded.acts]
        fields = places(recorded.path, _first_message(recorded.asked))
        if fields is None:
            return acts, changes
        body = b"".join(act.body.read() for act in acts if isinstance(act, Data | More))
        encoding = next((act.get(b"grpc-encoding") for act in acts if isinstance(act, Headers)), None)
        spans, found, why = self._rewrite(body, fields, encoding or b"identity")
        if why is not None or len(body) > _LARGEST:
            return _refused(recorded, why or "it is too long to be looked through for addresses")
        if not found:
            return acts, changes
        named = ", ".join(sorted({one.decode("latin-1")[:100] for one in found})[:5])
        changes.append(("endpoint-rewritten", f"the answer names {named}; the client is given {self.location} instead"))
        return _spread(acts, spans), changes

    def _rewrite(
        self, body: bytes, fields: tuple[int, ...], encoding: bytes
    ) -> tuple[list[tuple[int, bytes]], list[bytes], str | None]:
        """Return ((recorded length, new bytes) of each message and of the rest, the addresses, why it is refused)."""
        spans: list[tuple[int, bytes]] = []
        found: list[bytes] = []
        at = 0
        while len(body) - at >= 5:
            flag, size = body[at], int.from_bytes(body[at + 1 : at + 5], "big")
            if flag > 1 or size > len(body) - at - 5:
                break
            message = body[at + 5 : at + 5 + size]
            plain = message if not flag or encoding == b"identity" else _inflate(message, encoding)
            if plain is None:
                shown = encoding.decode("latin-1")[:30]
                return [], [], f"its messages are compressed with {shown!r} and may name servers to dial"
            held = len(found)
            try:
                new, more = replace_locations(plain, fields, self.location.encode())
            except NotReadableError:
                new, more = plain, []  # no client reads it either
            found += more
            changed = len(found) > held
            spans.append((5 + size, b"\0" + len(new).to_bytes(4, "big") + new if changed else body[at : at + 5 + size]))
            at += 5 + size
        spans.append((len(body) - at, body[at:]))
        return spans, found, None


def _refused(recorded: RecordedCall, why: str) -> tuple[list[Act], Changes]:
    return refusal(recorded.path, why), [("endpoint-refused", f"the answer was refused: {why}")]


def _without_hints(act: Headers, changes: Changes) -> Headers:
    """Leave out headers that send a client elsewhere (RFC 7838 §3, RFC 9110 §15.4)."""
    status = act.get(b":status") or b""
    dropped = [name for name, _ in act.fields if name == b"alt-svc" or (name == b"location" and status[:1] == b"3")]
    if not dropped:
        return act
    changes += [("left-out", f"the header {name.decode()} would lead the client elsewhere") for name in dropped]
    return replace(act, fields=[(name, value) for name, value in act.fields if name not in dropped])


def _first_message(asked: Sequence[Act]) -> bytes:
    for act in asked:
        if isinstance(act, Data):
            return act.body.read()[5:4096]
    return b""


def _inflate(message: bytes, encoding: bytes) -> bytes | None:
    """Return a message without its compression; None if that is unknown here, or fails."""
    try:
        if encoding in (b"gzip", b"deflate"):
            inflater = zlib.decompressobj(47)
            plain = inflater.decompress(message, _LARGEST)
            return plain if inflater.eof else None
    except zlib.error:
        return None
    return None


def _spread(acts: list[Act], spans: list[tuple[int, bytes]]) -> list[Act]:
    """Put new messages into the acts that carried the recorded ones, cut where those were cut."""
    made: list[Act] = []
    old_at = 0
    begun: Data | None = None
    old_total = new_total = 0
    for act in acts:
        if isinstance(act, Data | More):
            start, old_at = old_at, old_at + act.body.size
            data = _new_bytes(spans, start, old_at)
            old_total, new_total = old_total + act.body.size, new_total + len(data)
            if isinstance(act, Data):
                begun = replace(act, body=Blob.of(data), length=act.length + len(data) - act.body.size)
                made.append(begun)
            else:
                if begun is not None:
                    begun.length += len(data) - act.body.size
                made.append(replace(act, body=Blob.of(data)))
        else:
            made.append(act)
    return [_with_length(act, old_total, new_total) for act in made]


def _new_bytes(spans: list[tuple[int, bytes]], start: int, stop: int) -> bytes:
    """Return what stands for the recorded bytes from `start` to `stop`."""
    out = bytearray()
    at = 0
    for length, new in spans:
        if at < stop and at + length > start:
            first = min(start - at, len(new)) if start > at else 0
            last = len(new) if stop >= at + length else min(stop - at, len(new))
            out += new[first:last]
        at += length
    return bytes(out)


def _with_length(act: Act, old: int, new: int) -> Act:
    """Let a content-length that was right be right again."""
    if not isinstance(act, Headers) or act.get(b"content-length") != str(old).encode():
        return act
    fields = [(name, str(new).encode() if name == b"content-length" else value) for name, value in act.fields]
    return replace(act, fields=fields)
