"""Secrets told by their shape: tokens of well-known issuers, PEM, passwords beside their name, random strings.

Every pattern runs in linear time: it begins with literal bytes or at the edge of a word, and what repeats is possessive
or always succeeds where it was tried. A filler is never a shape, so that what was masked once is found no more.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from wirecase.case.redact.ledger import is_filler


class Shape(NamedTuple):
    """Bytes that look like a secret."""

    kind: str
    """E.g. ``jwt``; the name under which it may be kept."""
    start: int
    stop: int


_SHORT = 256
"""Bytes of a text up to which what was found in it is remembered."""
_PREFIXED: tuple[tuple[str, bytes], ...] = (
    ("aws-key", rb"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[0-9A-Z]{16}"),
    ("gcp-key", rb"AIza[0-9A-Za-z_-]{35}"),
    ("gcp-token", rb"ya29\.[0-9A-Za-z_.-]{20,}+"),
    ("gcp-secret", rb"GOCSPX-[0-9A-Za-z_-]{20,}+"),
    ("azure-secret", rb"[0-9A-Za-z_~.-]{3}8Q~[0-9A-Za-z_~.-]{31,34}"),
    ("github-token", rb"gh[pousr]_[0-9A-Za-z]{20,}+|github_pat_[0-9A-Za-z_]{20,}+"),
    ("gitlab-token", rb"gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent)-[0-9A-Za-z_-]{20,}+"),
    ("slack-token", rb"xox[abceoprs](?:\.xox[bp])?-[0-9A-Za-z-]{10,}+|xapp-[0-9A-Za-z-]{10,}+"),
    ("slack-hook", rb"hooks\.slack\.com/(?:services|workflows)/[0-9A-Za-z/_-]{20,}+"),
    ("stripe-key", rb"(?:[srp]k_(?:live|test)_|whsec_)[0-9A-Za-z]{16,}+"),
    ("openai-key", rb"(?<![A-Za-z])sk-[0-9A-Za-z_-]{20,}+"),
    ("npm-token", rb"npm_[0-9A-Za-z]{36}"),
    ("pypi-token", rb"pypi-[0-9A-Za-z_-]{50,}+"),
    ("sendgrid-key", rb"SG\.[0-9A-Za-z_-]{16,32}\.[0-9A-Za-z_-]{32,64}"),
    ("twilio-key", rb"(?<![A-Za-z])(?:SK|AC)[0-9a-f]{32}\b"),
    ("vault-token", rb"hv[sbr]\.[0-9A-Za-z_-]{20,}+"),
    ("digitalocean-token", rb"do[oprt]_v1_[0-9a-f]{64}"),
    ("telegram-token", rb"\b[0-9]{8,10}:AA[0-9A-Za-z_-]{33}"),
    ("age-key", rb"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("url-password", rb"(?<=://)[^\s/@:'\"<>]{0,100}+:[^\s/@'\"<>]{1,200}+(?=@)"),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _PREFIXED)

_JWT_PART = re.compile(rb"[0-9A-Za-z_=-]*+")
_PEM_END = b"-----END "
_PEM_BODY = re.compile(rb"(?:[0-9A-Za-z+/=\s]|\\[nr])*+")
_PEM_HEADER = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,64}-----")
_PEM_LIMIT = 1 << 16
_SCHEME = re.compile(
    rb"\b(?i:bearer|basic|digest|negotiate|apikey|aws4-hmac-sha256)(?:[ +]|%20){1,3}([^\s\"'<>,;&%]{8,}+)"
)
_ASSIGNED = re.compile(
    rb"(?i:pass(?:word|wd|phrase)|pwd|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?|account[_-]?key"
    rb"|private[_-]?key|client[_-]?secret|credentials?|session[_-]?id|signature|x-amz-credential"
    rb"|[?&;](?:sig|key|code|auth|jwt|sid))"
    rb"(?:\\?[\"'])?[ \t]{0,4}(=|:|%3[aAdD])[ \t]{0,4}(?:\\?[\"'])?([^\s\"'&<>,;\\)}\]]{4,}+)"
)
_WORDS = re.compile(rb"[A-Za-z][a-z]*[.:!]?|[0-9]{1,5}|0x[0-9a-f]{1,8}")
"""What stands behind "token:" in a sentence: a single word, or a short number."""
_RANDOM = re.compile(rb"(?<![0-9A-Za-z_-])[0-9A-Za-z_-]{20,}+={0,2}")
_RANDOM_STD = re.compile(rb"(?<![0-9A-Za-z+/])(?=[0-9A-Za-z+/]{0,200}?[+/])[0-9A-Za-z+/]{32,}+={0,2}")
_HEX_GROUPS = re.compile(rb"(?:[0-9A-Fa-f]{1,32}[-_])*[0-9A-Fa-f]{1,32}")
_WORD = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^0-9A-Za-z]")
_SPOKEN = re.compile(rb"(?:(?:[A-Za-z]?[a-z]*[0-9]{0,4}|[A-Z]+)[-_])+(?:[A-Za-z]?[a-z]*[0-9]{0,4}|[A-Z]+)")
"""many-words-joined-by-dashes, too-many-http2-pings."""
_HEX_KEY = 40
_MIN_ENTROPY = 3.2
"""Bits per character; 24 random letters and digits have 4.2."""
_MAX_WORD = 4.0
"""Mean length of a token's words (Camel, HTTP, 42): base62 drawn at random has 2.2, base36 2.5, CamelCase 5."""

KINDS = (*(kind for kind, _ in _PREFIXED), "jwt", "pem", "credentials", "assigned", "random")
"""All kinds of shapes."""


def _jwts(data: bytes) -> Iterator[Shape]:
    at = data.find(b"eyJ")
    while at >= 0:
        end = _JWT_PART.match(data, at)
        assert end is not None
        stop = end.end()
        # where the run has no dot behind it, none of the "eyJ" in it begins a token: go on behind it
        if stop - at >= 8 and data[stop : stop + 1] == b".":
            parts = 1
            while parts < 5 and data[stop : stop + 1] == b".":
                part = _JWT_PART.match(data, stop + 1)
                assert part is not None
                stop, parts = part.end(), parts + 1
            if stop - at >= 20:
                yield Shape("jwt", at, stop)
        at = data.find(b"eyJ", max(stop, at + 3))


def _pems(data: bytes) -> Iterator[Shape]:
    for header in _PEM_HEADER.finditer(data):
        body = _PEM_BODY.match(data, header.end())
        assert body is not None
        stop = body.end()
        if data[stop : stop + 9] != _PEM_END:
            # encrypted keys have header lines of their own; no byte is searched again for the next header
            limit = data.find(b"-----BEGIN ", stop, stop + _PEM_LIMIT)
            end = data.find(_PEM_END, stop, limit if limit >= 0 else stop + _PEM_LIMIT)
            stop = max(stop, end)
        if stop > header.end():
            yield Shape("pem", header.end(), stop)


def _spoken(data: bytes) -> Iterator[Shape]:
    for match in _SCHEME.finditer(data):
        value = match.group(1)
        if not _WORDS.fullmatch(value) and not value.startswith(b"realm="):
            yield Shape("credentials", *match.span(1))
    for match in _ASSIGNED.finditer(data):
        if match.group(1) == b":" and _WORDS.fullmatch(match.group(2)):
            continue
        yield Shape("assigned", *match.span(2))


def is_random(token: bytes) -> bool:
    """Tell whether a token looks drawn at random: hex of 40 digits or more, or letters and digits in wild change."""
    bare = token.rstrip(b"=")
    if _HEX_GROUPS.fullmatch(bare) or _SPOKEN.fullmatch(bare[:256]):
        return False  # UUIDs, trace ids, digests of 128 bits; words
    if len(bare) >= _HEX_KEY and not bare.translate(None, b"0123456789abcdefABCDEF"):
        return True
    sample = bare[:256]
    total = len(sample)
    pieces = _WORD.findall(sample)
    words = [piece for piece in pieces if piece.isalnum()]
    marks = len(pieces) - len(words)
    if len(words) * _MAX_WORD < total - marks or marks > total // 6:
        return False  # CamelCase
    if total < 32 and not any(word.isdigit() for word in words):
        return False
    entropy = -sum(n / total * math.log2(n / total) for n in Counter(sample).values())
    return entropy >= _MIN_ENTROPY


def _randoms(data: bytes) -> Iterator[Shape]:
    for match in _RANDOM.finditer(data):
        if is_random(match.group()):
            yield Shape("random", *match.span())
    for match in _RANDOM_STD.finditer(data):
        if not match.group().startswith(b"/") and is_random(match.group()):
            yield Shape("random", *match.span())


def find_shapes(data: bytes, *, random: bool = True) -> Sequence[Shape]:
    """Return what looks like a secret, in order of place; fillers are left out.

    Without `random`, tokens that only look drawn at random are not told: for ids that are meant to be seen.
    """
    return _find(data, random) if len(data) > _SHORT else _find_again(bytes(data), random)


def _find(data: bytes, random: bool) -> Sequence[Shape]:
    found: list[Shape] = []
    for kind, pattern in _PATTERNS:
        found += [Shape(kind, *match.span()) for match in pattern.finditer(data)]
    found += _jwts(data)
    found += _pems(data)
    found += _spoken(data)
    if random:
        found += _randoms(data)
    found.sort(key=lambda shape: (shape.start, -shape.stop))
    kept: list[Shape] = []
    for shape in found:
        if kept and shape.stop <= kept[-1].stop:
            continue
        if not is_filler(data[shape.start : shape.stop]):
            kept.append(shape)
    return kept


_find_again = lru_cache(maxsize=4096)(_find)
"""The same, remembered: the fields of many calls are alike."""
