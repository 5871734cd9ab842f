"""Header lists: each field by its name, then by what its value looks like."""

from __future__ import annotations

import binascii
import re

from wirecase.case.redact.fill import by_class, opaque
from wirecase.case.redact.flight import mask_status
from wirecase.case.redact.ledger import Ledger
from wirecase.case.redact.places import Places, parse_ip, split_port
from wirecase.case.redact.policy import ADDRESSES, COOKIES, CORRELATION, HOSTS, URLS, Policy, is_secret_name
from wirecase.case.redact.prose import Prose
from wirecase.case.redact.shapes import find_shapes
from wirecase.case.redact.structure import Filler, Walker
from wirecase.grpc.status import decode_bin

_SCHEME = re.compile(rb"(?i:bearer|basic|digest|negotiate|token|apikey|aws4-hmac-sha256|gnap|hoba|mutual) +")
_COOKIE_WORDS = frozenset(b"path domain expires max-age samesite secure httponly partitioned priority".split())
_ESCAPED = re.compile(rb"%[0-9A-Fa-f]{2}|[\x00-\xff]", re.S)
_HIGH = re.compile(rb"[\x80-\xff]")
_QUERY_VALUE = re.compile(rb"(?<==)[^&;#]*")
_URL = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*://|//)([^/?#]*)(.*)", re.S)
_WORD = re.compile(rb" *[A-Za-z]{1,12} *")
"""A cookie's value that is a setting rather than a secret: it is masked, but not looked for elsewhere."""
_HOST = re.compile(r"[0-9A-Za-z._-]+")


class Fields:
    """Redacts header lists."""

    __slots__ = ("_filler", "_ledger", "_places", "_policy", "_prose")

    def __init__(self, policy: Policy, ledger: Ledger, places: Places, prose: Prose, filler: Filler) -> None:
        self._policy = policy
        self._ledger = ledger
        self._places = places
        self._prose = prose
        self._filler = filler

    def redact(self, fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Return the same fields in the same order; names change only where they hold a secret themselves."""
        # secrets first: another field of the same list may quote them
        for name, value in fields:
            self._learn(_key(name), value)
        return [(self._name(name), self._value(_key(name), name, value)) for name, value in fields]

    def _learn(self, key: str, value: bytes) -> None:
        if key in self._policy.keep:
            return
        if key in COOKIES:
            secrets = [part.partition(b"=")[2] for part in value.split(b";")[: 1 if key == "set-cookie" else None]]
            secrets = [secret for secret in secrets if not _WORD.fullmatch(secret)]
        elif is_secret_name(key):
            secrets = [_without_scheme(value)[1]]
        else:
            return
        for secret in secrets:
            self._ledger.secret(secret)
            self._prose.learn(secret.strip())

    def _name(self, name: bytes) -> bytes:
        out = bytearray(name)
        self._prose.mask_shapes(out)
        return bytes(out)

    def _value(self, key: str, name: bytes, value: bytes) -> bytes:
        if key in self._policy.keep or not value:
            return value
        made = self._treated(key, value)
        if made != value:
            self._ledger.counts["field"] += 1
            self._ledger.masked(self._name(name).decode("latin-1")[:100])
        if key in CORRELATION and key in self._policy.keep_metadata:
            self._ledger.shown(key)
        return made

    def _treated(self, key: str, value: bytes) -> bytes:
        if key == ":path":
            return self._path(value)
        if key in HOSTS:
            return self._host(value)
        if key in URLS:
            return self._url(value)
        if key in ADDRESSES:
            return self._addresses(value)
        if key in COOKIES:
            return _mask_cookie(value, key == "set-cookie", self._prose)
        if key == "grpc-message":
            return self.escaped(value)
        if key == "grpc-status-details-bin":
            return self._binary(value, lambda raw: mask_status(raw, self._prose, self._filler))
        if key in self._policy.keep_metadata:
            random = key not in CORRELATION
            return value if key.endswith("-bin") else self._prose.mask(value, random=random)
        if is_secret_name(key):
            if key.endswith("-bin"):
                return self._binary(value, lambda raw: bytes(len(raw)))
            scheme, secret = _without_scheme(value)
            return scheme + opaque(secret)
        return self._unknown(key, value)

    def _unknown(self, key: str, value: bytes) -> bytes:
        if key.endswith("-bin"):
            return self._binary(value, Walker(self._filler).redact)
        self._ledger.counts["metadata"] += 1
        out = bytearray(value)
        self._prose.mask_shapes(out)
        return by_class(bytes(out))

    def _binary(self, value: bytes, treat: object) -> bytes:
        """Treat what the base64 of a ``-bin`` field holds; what is no base64 stays none, and as long as it was."""
        assert callable(treat)
        self._ledger.counts["binary metadata"] += 1
        if value.startswith(b"\0"):
            return b"\0" + bytes(treat(value[1:]))
        if decode_bin(value) is None:
            return by_class(_HIGH.sub(b"!", value))
        return b",".join(_rewrap(part, treat) for part in value.split(b","))

    def escaped(self, value: bytes) -> bytes:
        """Mask a percent-encoded text (PH2, Percent-Encoded); what was escaped stays escaped."""
        tokens = _ESCAPED.findall(value)
        raw = bytes(int(token[1:], 16) if len(token) == 3 else token[0] for token in tokens)
        made = self._prose.mask(self._prose.mask(raw))
        if made == raw:
            return value
        return b"".join(
            token if old == new else b"%%%02X" % new if len(token) == 3 else bytes((new,))
            for token, old, new in zip(tokens, raw, made, strict=True)
        )

    def _path(self, value: bytes) -> bytes:
        path, mark, query = value.partition(b"?")
        out = bytearray(path)
        self._prose.mask_shapes(out)
        if query:
            query = self._query(query)
        return bytes(out) + mark + query

    def _query(self, query: bytes) -> bytes:
        for found in _QUERY_VALUE.finditer(query):
            if find_shapes(found.group()):
                self._ledger.secret(found.group())
        return _QUERY_VALUE.sub(lambda found: opaque(found.group()), query) if b"=" in query else opaque(query)

    def _host(self, value: bytes) -> bytes:
        text = value.decode("latin-1")
        user, at, place = text.rpartition("@")
        return ("x" * len(user) + at + self.place(place)).encode("latin-1")

    def place(self, text: str) -> str:
        """Return the pseudonym of ``host``, ``host:port``, an address or ``[v6]:port``."""
        host, port = split_port(text)
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not bare:
            return text
        address = parse_ip(bare)
        if address is not None:
            if self._policy.keep_addresses:
                return text
            made = self._places.ip(address)
            changed = made != str(address)
            host = f"[{made}]" if host != bare else made
        else:
            if self._policy.keep_hosts:
                return text
            made = self._places.host(bare) if _HOST.fullmatch(bare) else _masked_text(bare)
            changed = made != bare
            host = made
        if changed:
            self._ledger.counts["host" if address is None else "address"] += 1
            self._ledger.secret(bare.encode("latin-1"))
            return host + port
        return text

    def _url(self, value: bytes) -> bytes:
        found = _URL.match(value)
        if found is None:
            return self._path(value)
        path, mark, query = found.group(3).partition(b"?")
        return found.group(1) + self._host(found.group(2)) + self._path(path) + (mark and mark + self._query(query))

    def _addresses(self, value: bytes) -> bytes:
        if b"=" in value:  # Forwarded (RFC 7239)
            return self._prose.mask(value)
        parts = value.decode("latin-1").split(",")
        return ",".join(self._listed(part) for part in parts).encode("latin-1")

    def _listed(self, part: str) -> str:
        bare = part.strip()
        return part.replace(bare, self.place(bare)) if bare and bare != "unknown" else part


def _key(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _masked_text(text: str) -> str:
    return opaque(text.encode("latin-1")).decode("latin-1")


def _without_scheme(value: bytes) -> tuple[bytes, bytes]:
    found = _SCHEME.match(value)
    return (found.group(), value[found.end() :]) if found else (b"", value)


def _rewrap(part: bytes, treat: object) -> bytes:
    assert callable(treat)
    bare = part.strip(b" ")
    raw = decode_bin(bare)
    if raw is None or not bare:
        return by_class(part)
    padded = bare.endswith(b"=")
    made = binascii.b2a_base64(treat(raw), newline=False)
    return part.replace(bare, made if padded else made.rstrip(b"="))


def _mask_cookie(value: bytes, attributes: bool, prose: Prose) -> bytes:
    parts = value.split(b";")
    made: list[bytes] = []
    for i, part in enumerate(parts):
        name, mark, secret = part.partition(b"=")
        if attributes and i and name.strip().lower() in _COOKIE_WORDS:
            made.append(prose.mask(part))
        elif mark:
            made.append(name + mark + opaque(secret))
        else:
            made.append(opaque(part))
    return b";".join(made)
