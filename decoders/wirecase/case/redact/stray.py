"""Bodies that should be gRPC and are not: evidence as far as they are text, somebody's data as far as they are not."""

from __future__ import annotations

import re

from wirecase.case.redact import compressed as squeeze
from wirecase.case.redact.fill import PROSE, is_text
from wirecase.case.redact.ledger import Ledger
from wirecase.case.redact.prose import Prose
from wirecase.case.redact.structure import Filler, Walker
from wirecase.grpc.protobuf import read_fields

PREFIX = 5
"""Bytes that a gRPC client takes for flag and length: they are the fault."""
_RUN = re.compile(rb"[\t\n\r\x20-\x7e]{4,}+")
_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body|\?xml)\b|HTTP/1\.[01] [1-5][0-9]{2} ", re.IGNORECASE)
"""How a proxy's page or answer begins: what follows is text of its own, up to the first byte that is none."""
_PROTOCOL = re.compile(rb"PRI \* HTTP/2\.0\r\n\r\nSM\r\n\r\n|HTTP/1\.[01] [1-5][0-9]{2}|grpc-status|grpc-message")


class StrayBody:
    """Redacts foreign bodies."""

    __slots__ = ("_filler", "_ledger", "_prose")

    def __init__(self, prose: Prose, filler: Filler, ledger: Ledger) -> None:
        self._prose = prose
        self._filler = filler
        self._ledger = ledger

    def redact(self, body: bytes, *, keep: bool = False) -> bytes:
        """Return a body as long as it was, its first five bytes unchanged; with `keep` only secrets are masked."""
        if len(body) <= PREFIX:
            return body
        made = self._redact(body, keep)
        return body[:PREFIX] + made[PREFIX:]

    def _redact(self, body: bytes, keep: bool) -> bytes:
        if _is_text(body):
            return self._prose.mask(body)
        if _is_text(body[PREFIX:]):  # the trailers of gRPC-Web, the last envelope of Connect
            return body[:PREFIX] + self._prose.mask(body[PREFIX:])
        if keep:
            return self._prose.mask(body, places=False, random=False)
        if _PAGE.match(body):  # frames may follow where it stands between two
            end = next((at for at in range(len(body)) if not is_text(body[at : at + 1])), len(body))
            return self._prose.mask(body[:end]) + _RUN.sub(_mask_run, body[end:])
        if body.startswith(b"\x1f\x8b"):
            refitted = squeeze.refit(body, b"gzip", self._inner)
            if refitted is not None and refitted[:PREFIX] == body[:PREFIX]:
                return refitted
        fields = read_fields(body)
        if fields and max(field.number for field in fields) < 2048:
            return Walker(self._filler).redact(body)
        self._ledger.note("binary bytes in place of gRPC: runs of text in them were masked, other bytes were kept")
        return _RUN.sub(_mask_run, body)

    def _inner(self, content: bytes) -> bytes:
        return self._redact(content, keep=False)


def _is_text(body: bytes) -> bool:
    """Tell whether bytes are text, the last character of which may be cut."""
    if is_text(body):
        return True
    end = len(body)
    while end and len(body) - end < 3 and body[end - 1] >= 0x80:
        end -= 1
        if is_text(body[:end]):
            return True
    return len(body) > 0 and _is_latin(body)


def _is_latin(body: bytes) -> bool:
    high = len(body) - len(body.translate(None, bytes(range(0x80, 0x100))))
    return 0 < high * 10 <= len(body) and is_text(bytes(b for b in body if b < 0x80))


def _mask_run(run: re.Match[bytes]) -> bytes:
    text = run.group()
    parts: list[bytes] = []
    at = 0
    for known in _PROTOCOL.finditer(text):
        parts += (text[at : known.start()].translate(PROSE), known.group())
        at = known.end()
    return b"".join((*parts, text[at:].translate(PROSE)))
