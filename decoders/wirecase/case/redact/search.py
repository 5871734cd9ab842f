"""The search for what was removed: in a written case nothing of it may be left, however it is encoded."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, NamedTuple, Protocol

from wirecase.http2.huffman import codes

SHORTEST = 4
"""Bytes of the shortest secret that is searched for."""
_SHORTEST_CODED = 5
"""Bytes that must be left of an encoding once what depends on its neighbours is taken off."""
_STEP = 1 << 20
_PIECE, _OVERLAP = 4 << 20, 1 << 16
HITS_LIMIT = 1000
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_CODES = codes()


class Hit(NamedTuple):
    """A secret that was found. It is named by its number, so that a hit can be printed."""

    secret: int
    """Index among the secrets that were searched for."""
    encoding: str
    """``plain``, ``base64``, ``hex``, ``percent`` or ``huffman``."""
    offset: int
    """Offset of the match in the data."""


def _base64(secret: bytes) -> Iterator[bytes]:
    for alignment in range(3):
        coded = base64.b64encode(bytes(alignment) + secret)
        # characters that hold bits of what stands before or behind the secret are left off
        start = (0, 2, 3)[alignment]
        stop = (alignment + len(secret)) * 8 // 6
        yield coded[start:stop]
        yield coded[start:stop].replace(b"+", b"-").replace(b"/", b"_")


def _percent(secret: bytes) -> Iterator[bytes]:
    for form in (b"%%%02X", b"%%%02x"):
        yield b"".join(form % b for b in secret)
        yield b"".join(bytes((b,)) if b in _UNRESERVED else form % b for b in secret)
        yield b"".join(bytes((b,)) if 0x20 <= b < 0x7F and b != 0x25 else form % b for b in secret)  # grpc-message
    yield b"".join(b"+" if b == 0x20 else bytes((b,)) if b in _UNRESERVED else b"%%%02X" % b for b in secret)


def _huffman(secret: bytes) -> Iterator[bytes]:
    """Yield the whole bytes of the secret's Huffman code (RFC 7541 Appendix B) at each of the eight alignments."""
    bits = length = 0
    for byte in secret:
        code, width = _CODES[byte]
        bits, length = bits << width | code, length + width
    for shift in range(8):  # bits of the first byte that belong to what stands before
        lead = (8 - shift) % 8
        whole = (length - lead) // 8
        if whole > 0:
            yield (bits >> (length - lead - 8 * whole) & ((1 << 8 * whole) - 1)).to_bytes(whole, "big")


def _needles(secret: bytes) -> Iterator[tuple[str, bytes]]:
    yield "plain", secret
    coded = [("base64", form) for form in _base64(secret)]
    hexed = binascii.hexlify(secret)
    coded += [("hex", hexed), ("hex", hexed.upper())]
    coded += [("percent", form) for form in _percent(secret)]
    coded += [("huffman", form) for form in _huffman(secret)]
    seen = {secret}
    for encoding, form in coded:
        if len(form) >= _SHORTEST_CODED and form not in seen:
            seen.add(form)
            yield encoding, form


def search(data: bytes, secrets: Iterable[bytes]) -> list[Hit]:
    """Return where any of `secrets` stands in `data`, in any encoding: at most 1000 hits, in order of place.

    Secrets of fewer than 4 bytes are not looked for. What is compressed is not looked into.
    """
    needles: dict[bytes, list[tuple[int, str, bytes]]] = {}
    for number, secret in enumerate(secrets):
        if len(secret) >= SHORTEST:
            for encoding, form in _needles(secret):
                needles.setdefault(form[:SHORTEST], []).append((number, encoding, form))
    hits: list[Hit] = []
    if needles:
        for at in _candidates(data, list(needles)):
            for number, encoding, form in needles[data[at : at + SHORTEST]]:
                if data.startswith(form, at):
                    hits.append(Hit(number, encoding, at))
                    if len(hits) == HITS_LIMIT:
                        return hits
    return hits


def _candidates(data: bytes, heads: list[bytes]) -> Iterator[int]:
    """Yield the places where four bytes are one of `heads`, in order: all heads are looked for at once."""
    import numpy as np

    wanted = np.sort(np.frombuffer(b"".join(heads), dtype=">u4").astype(np.uint32))
    low = np.zeros(1 << 16, dtype=np.bool_)
    low[wanted & 0xFFFF] = True
    for start in range(0, max(len(data) - SHORTEST + 1, 0), _STEP):
        piece = np.frombuffer(data, dtype=np.uint8, offset=start, count=min(_STEP + 3, len(data) - start))
        pairs = piece[:-1].astype(np.uint32) << 8 | piece[1:]
        places = np.flatnonzero(low[pairs[2:]])
        heads_there = pairs[places] << 16 | pairs[places + 2]
        found = places[wanted[np.searchsorted(wanted, heads_there).clip(max=len(wanted) - 1)] == heads_there]
        yield from (found + start).tolist()


class _HasSecrets(Protocol):
    @property
    def secrets(self) -> Iterable[bytes]: ...


def searching(masks: _HasSecrets) -> Callable[[IO[bytes], Sequence[bytes]], list[str]]:
    """Return what looks through a written file for all that was removed, in pieces that overlap.

    It takes the file and the texts that were kept on purpose, and returns a line if something was found.
    """

    def find(file: IO[bytes], kept: Sequence[bytes]) -> list[str]:
        secrets = masks.secrets
        data, at = b"", 0
        while piece := file.read(_PIECE):
            data = data[-_OVERLAP:] + piece
            at += len(piece)
            for text in kept:
                data = data.replace(text, bytes(len(text)))
            hits = search(data, secrets)
            if hits:
                first = hits[0]
                return [f"{first.encoding}, at byte {at - len(data) + first.offset}"]
        return []

    return find
