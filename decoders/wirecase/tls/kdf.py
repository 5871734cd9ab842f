"""Keys from secrets: the PRF of TLS 1.2 (RFC 5246 §5) and the labels of TLS 1.3 (RFC 8446 §7.1)."""

from __future__ import annotations

import hashlib
from hmac import digest


def expand_label(secret: bytes, label: str, length: int, name: str) -> bytes:
    """Return HKDF-Expand-Label(secret, label, "", length) with the hash `name` (RFC 8446 §7.1, RFC 5869 §2.3)."""
    full = b"tls13 " + label.encode()
    info = length.to_bytes(2, "big") + bytes((len(full),)) + full + b"\x00"
    out = block = b""
    count = 0
    while len(out) < length:
        count += 1
        block = digest(secret, block + info + bytes((count,)), name)
        out += block
    return out[:length]


def prf12(secret: bytes, label: bytes, seed: bytes, length: int, name: str) -> bytes:
    """Return PRF(secret, label, seed) of TLS 1.2 with the hash `name` (RFC 5246 §5)."""
    seed = label + seed
    out = b""
    step = seed
    while len(out) < length:
        step = digest(secret, step, name)
        out += digest(secret, step + seed, name)
    return out[:length]


def hash_size(name: str) -> int:
    """Return the bytes of a hash's output."""
    return hashlib.new(name, usedforsecurity=False).digest_size
