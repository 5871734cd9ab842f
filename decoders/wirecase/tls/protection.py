"""How records are protected, and how they are opened (RFC 8446 §5.2, RFC 5246 §6.2.3, RFC 7366).

The one module that needs the `cryptography` package; it is imported when a key fits a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest, digest
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from wirecase.tls.kdf import expand_label, hash_size, prf12
from wirecase.tls.names import APPLICATION_DATA, BARE_DRAFTS, TLS13
from wirecase.tls.suites import Suite

_TAG, _SHORT_TAG, _BLOCK = 16, 8, 16
_LARGE = 4096
"""Bytes of a record from which on it is not copied, but seen through a view, which costs more than a small copy."""


class Protection(Protocol):
    """Opens the records of one side under one set of keys."""

    lead: int
    """Bytes before the first one of the plaintext, after the record's header (an explicit nonce, an IV)."""
    overhead: int
    """Bytes that a record's body has beyond its plaintext; at least, where it varies."""
    exact: bool
    """The overhead is always the same: lengths of plaintext can be told from lengths of records."""

    def open(self, seq: int, data: memoryview, start: int, stop: int) -> bytes | None:
        """Open the record ``data[start:stop]``, header included, number `seq`; None if it does not open.

        In TLS 1.3 the plaintext still ends with its content type and padding.
        """

    def open_all(
        self, seq: int, data: bytes, pos: int, plains: list[bytes | memoryview], stops: list[int]
    ) -> None:  # fmt: skip
        """Open the records from ``data[pos]`` on, the first numbered `seq`.

        It ends before the first one that is not whole, does not open, or is anything but application data that is not
        empty. The plaintext of each goes into `plains` (without its type), the place behind it into `stops`.
        """


def _open_all(
    protection: Protection, seq: int, data: bytes, pos: int, plains: list[bytes | memoryview], stops: list[int]
) -> None:
    """What `Protection.open_all` does, for TLS 1.2, where the header tells the type."""
    view, end = memoryview(data), len(data)
    while end - pos >= 5 and data[pos] == APPLICATION_DATA:
        stop = pos + 5 + (data[pos + 3] << 8 | data[pos + 4])
        plain = protection.open(seq, view, pos, stop) if stop <= end else None
        if not plain:
            return
        plains.append(plain)
        stops.append(stop)
        seq += 1
        pos = stop


def _aead(suite: Suite, key: bytes) -> Callable[[bytes, bytes | memoryview, bytes], bytes]:
    if suite.kind == "gcm":
        return AESGCM(key).decrypt
    if suite.kind == "chacha":
        return ChaCha20Poly1305(key).decrypt
    return AESCCM(key, _SHORT_TAG if suite.kind == "ccm8" else _TAG).decrypt


def _tag(suite: Suite) -> int:
    return _SHORT_TAG if suite.kind == "ccm8" else _TAG


class Aead13:
    """TLS 1.3: the nonce is the IV and the record's number, the header is authenticated (RFC 8446 §5.3)."""

    __slots__ = ("_decrypt", "_header", "_iv", "exact", "lead", "overhead")

    def __init__(self, suite: Suite, secret: bytes, version: int = TLS13) -> None:
        self._header = 0 if version in BARE_DRAFTS else 5
        self._decrypt = _aead(suite, expand_label(secret, "key", suite.key, suite.hash))
        self._iv = int.from_bytes(expand_label(secret, "iv", 12, suite.hash), "big")
        self.lead = 0
        self.overhead = _tag(suite) + 1
        self.exact = True

    def open(self, seq: int, data: memoryview, start: int, stop: int) -> bytes | None:
        """Open a record."""
        body = start + 5
        try:
            return self._decrypt(
                (self._iv ^ seq).to_bytes(12, "big"), data[body:stop], bytes(data[start : start + self._header])
            )
        except (InvalidTag, ValueError):
            return None

    def open_all(
        self, seq: int, data: bytes, pos: int, plains: list[bytes | memoryview], stops: list[int]
    ) -> None:  # fmt: skip
        """Open many records: the loop in which a capture of small calls spends its time."""
        decrypt, iv, known = self._decrypt, self._iv, self._header
        view, end = memoryview(data), len(data)
        try:
            while end - pos >= 5 and data[pos] == APPLICATION_DATA:
                body = pos + 5
                stop = body + (data[pos + 3] << 8 | data[pos + 4])
                if stop > end:
                    return
                large = stop - body > _LARGE
                plain = decrypt(
                    (iv ^ seq).to_bytes(12, "big"), view[body:stop] if large else data[body:stop],
                    data[pos : pos + known],
                )  # fmt: skip
                if len(plain) < 2 or plain[-1] != APPLICATION_DATA:  # padded, empty, or something else
                    return
                plains.append(memoryview(plain)[:-1] if large else plain[:-1])
                stops.append(stop)
                seq += 1
                pos = stop
        except (InvalidTag, ValueError):
            return


class Aead12:
    """TLS 1.2 with AES-GCM or AES-CCM: 8 bytes of the nonce stand in the record (RFC 5288 §3, RFC 6655 §3)."""

    __slots__ = ("_decrypt", "_salt", "_tag", "exact", "lead", "overhead")

    def __init__(self, suite: Suite, key: bytes, salt: bytes) -> None:
        self._decrypt = _aead(suite, key)
        self._salt = salt
        self._tag = _tag(suite)
        self.lead = 8
        self.overhead = 8 + self._tag
        self.exact = True

    def open(self, seq: int, data: memoryview, start: int, stop: int) -> bytes | None:
        """Open a record."""
        length = stop - start - 13 - self._tag
        if length < 0:
            return None
        known = seq.to_bytes(8, "big") + data[start : start + 3] + length.to_bytes(2, "big")
        try:
            return self._decrypt(self._salt + data[start + 5 : start + 13], data[start + 13 : stop], known)
        except (InvalidTag, ValueError):
            return None

    def open_all(
        self, seq: int, data: bytes, pos: int, plains: list[bytes | memoryview], stops: list[int]
    ) -> None:  # fmt: skip
        """Open many records."""
        _open_all(self, seq, data, pos, plains, stops)


class ChaCha12:
    """TLS 1.2 with ChaCha20-Poly1305: no explicit nonce (RFC 7905 §2)."""

    __slots__ = ("_decrypt", "_iv", "exact", "lead", "overhead")

    def __init__(self, suite: Suite, key: bytes, iv: bytes) -> None:
        self._decrypt = _aead(suite, key)
        self._iv = int.from_bytes(iv, "big")
        self.lead = 0
        self.overhead = _TAG
        self.exact = True

    def open(self, seq: int, data: memoryview, start: int, stop: int) -> bytes | None:
        """Open a record."""
        length = stop - start - 5 - _TAG
        if length < 0:
            return None
        known = seq.to_bytes(8, "big") + data[start : start + 3] + length.to_bytes(2, "big")
        try:
            return self._decrypt((self._iv ^ seq).to_bytes(12, "big"), data[start + 5 : stop], known)
        except (InvalidTag, ValueError):
            return None

    def open_all(
        self, seq: int, data: bytes, pos: int, plains: list[bytes | memoryview], stops: list[int]
    ) -> None:  # fmt: skip
        """Open many records."""
        _open_all(self, seq, data, pos, plains, stops)


class Cbc12:
    """TLS 1.2 with AES-CBC and HMAC, the MAC under the encryption or over it (RFC 5246 §6.2.3.2, RFC 7366 §3)."""

    __slots__ = ("_etm", "_key", "_mac", "_mac_key", "_mac_size", "exact", "lead", "overhead")

    def __init__(self, suite: Suite, key: bytes, mac_key: bytes, *, encrypt_then_mac: bool) -> None:
        self._key = algorithms.AES(key)
        self._mac_key = mac_key
        self._mac = suite.mac
        self._mac_size = len(mac_key)
        self._etm = encrypt_then_mac
        self.lead = _BLOCK
        self.overhead = _BLOCK + self._mac_size + 1
        self.exact = False

    def open(self, seq: int, data: memoryview, start: int, stop: int) -> bytes | None:
        """Open a record."""
        body = data[start + 5 : stop]
        head = seq.to_bytes(8, "big") + data[start : start + 3]
        size = self._mac_size
        if self._etm:
            mac, body = body[-size:], body[:-size]
            wanted = digest(self._mac_key, head + len(body).to_bytes(2, "big") + body, self._mac)
            if not compare_digest(wanted, mac):
                return None
        if len(body) < 2 * _BLOCK or len(body) % _BLOCK:
            return None
        decryptor = Cipher(self._key, modes.CBC(bytes(body[:_BLOCK]))).decryptor()
        plain = decryptor.update(body[_BLOCK:]) + decryptor.finalize()
        padding = plain[-1] + 1
        if padding > len(plain) or plain[-padding:] != plain[-1:] * padding:
            return None
        plain = plain[:-padding]
        if self._etm:
            return plain
        if len(plain) < size:
            return None
        plain, mac12 = plain[:-size], plain[-size:]
        wanted = digest(self._mac_key, head + len(plain).to_bytes(2, "big") + plain, self._mac)
        return plain if compare_digest(wanted, mac12) else None

    def open_all(
        self, seq: int, data: bytes, pos: int, plains: list[bytes | memoryview], stops: list[int]
    ) -> None:  # fmt: skip
        """Open many records."""
        _open_all(self, seq, data, pos, plains, stops)


def of_master(
    suite: Suite, master: bytes, randoms: tuple[bytes, bytes], side: int, *, encrypt_then_mac: bool
) -> Protection:
    """Return what opens the records of `side` (0 for the client) under a master secret of TLS 1.2.

    `randoms` are the client's and the server's (RFC 5246 §6.3).
    """
    mac_size = hash_size(suite.mac) if suite.mac else 0
    iv_size = {"cbc": 0, "chacha": 12}.get(suite.kind, 4)
    block = prf12(
        master, b"key expansion", randoms[1] + randoms[0], 2 * (mac_size + suite.key + iv_size), suite.hash
    )  # fmt: skip
    mac_key = block[side * mac_size :][:mac_size]
    key = block[2 * mac_size + side * suite.key :][: suite.key]
    iv = block[2 * (mac_size + suite.key) + side * iv_size :][:iv_size]
    if suite.kind == "cbc":
        return Cbc12(suite, key, mac_key, encrypt_then_mac=encrypt_then_mac)
    return ChaCha12(suite, key, iv) if suite.kind == "chacha" else Aead12(suite, key, iv)
