"""Cipher suites that can be decrypted, by number (IANA TLS Cipher Suites; RFC 5288, 5289, 6655, 7905, 8446 §B.4)."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["gcm", "ccm", "ccm8", "chacha", "cbc"]


class Suite(NamedTuple):
    """What protects records, and what makes the keys."""

    name: str
    kind: Kind
    key: int
    """Bytes of the cipher's key."""
    hash: str
    """Hash of the key schedule (``hashlib`` name)."""
    mac: str
    """Hash of the HMAC of CBC suites; empty for AEAD suites."""
    tls13: bool


_TLS13 = {
    0x1301: Suite("TLS_AES_128_GCM_SHA256", "gcm", 16, "sha256", "", True),
    0x1302: Suite("TLS_AES_256_GCM_SHA384", "gcm", 32, "sha384", "", True),
    0x1303: Suite("TLS_CHACHA20_POLY1305_SHA256", "chacha", 32, "sha256", "", True),
    0x1304: Suite("TLS_AES_128_CCM_SHA256", "ccm", 16, "sha256", "", True),
    0x1305: Suite("TLS_AES_128_CCM_8_SHA256", "ccm8", 16, "sha256", "", True),
}
_EXCHANGES: dict[tuple[str, Kind, int, str, str], dict[str, int]] = {
    ("AES_128_CBC_SHA", "cbc", 16, "sha256", "sha1"): {
        "RSA": 0x2F, "DH_DSS": 0x30, "DH_RSA": 0x31, "DHE_DSS": 0x32, "DHE_RSA": 0x33, "DH_anon": 0x34,
        "PSK": 0x8C, "DHE_PSK": 0x90, "RSA_PSK": 0x94, "ECDH_ECDSA": 0xC004, "ECDHE_ECDSA": 0xC009,
        "ECDH_RSA": 0xC00E, "ECDHE_RSA": 0xC013, "ECDH_anon": 0xC018, "ECDHE_PSK": 0xC035,
    },
    ("AES_256_CBC_SHA", "cbc", 32, "sha256", "sha1"): {
        "RSA": 0x35, "DH_DSS": 0x36, "DH_RSA": 0x37, "DHE_DSS": 0x38, "DHE_RSA": 0x39, "DH_anon": 0x3A,
        "PSK": 0x8D, "DHE_PSK": 0x91, "RSA_PSK": 0x95, "ECDH_ECDSA": 0xC005, "ECDHE_ECDSA": 0xC00A,
        "ECDH_RSA": 0xC00F, "ECDHE_RSA": 0xC014, "ECDH_anon": 0xC019, "ECDHE_PSK": 0xC036,
    },
    ("AES_128_CBC_SHA256", "cbc", 16, "sha256", "sha256"): {
        "RSA": 0x3C, "DH_DSS": 0x3E, "DH_RSA": 0x3F, "DHE_DSS": 0x40, "DHE_RSA": 0x67, "DH_anon": 0x6C,
        "PSK": 0xAE, "DHE_PSK": 0xB2, "RSA_PSK": 0xB6, "ECDHE_ECDSA": 0xC023, "ECDH_ECDSA": 0xC025,
        "ECDHE_RSA": 0xC027, "ECDH_RSA": 0xC029, "ECDHE_PSK": 0xC037,
    },
    ("AES_256_CBC_SHA256", "cbc", 32, "sha256", "sha256"): {
        "RSA": 0x3D, "DH_DSS": 0x68, "DH_RSA": 0x69, "DHE_DSS": 0x6A, "DHE_RSA": 0x6B, "DH_anon": 0x6D,
    },
    ("AES_256_CBC_SHA384", "cbc", 32, "sha384", "sha384"): {
        "PSK": 0xAF, "DHE_PSK": 0xB3, "RSA_PSK": 0xB7, "ECDHE_ECDSA": 0xC024, "ECDH_ECDSA": 0xC026,
        "ECDHE_RSA": 0xC028, "ECDH_RSA": 0xC02A, "ECDHE_PSK": 0xC038,
    },
    ("AES_128_GCM_SHA256", "gcm", 16, "sha256", ""): {
        "RSA": 0x9C, "DHE_RSA": 0x9E, "DH_RSA": 0xA0, "DHE_DSS": 0xA2, "DH_DSS": 0xA4, "DH_anon": 0xA6,
        "PSK": 0xA8, "DHE_PSK": 0xAA, "RSA_PSK": 0xAC, "ECDHE_ECDSA": 0xC02B, "ECDH_ECDSA": 0xC02D,
        "ECDHE_RSA": 0xC02F, "ECDH_RSA": 0xC031, "ECDHE_PSK": 0xD001,
    },
    ("AES_256_GCM_SHA384", "gcm", 32, "sha384", ""): {
        "RSA": 0x9D, "DHE_RSA": 0x9F, "DH_RSA": 0xA1, "DHE_DSS": 0xA3, "DH_DSS": 0xA5, "DH_anon": 0xA7,
        "PSK": 0xA9, "DHE_PSK": 0xAB, "RSA_PSK": 0xAD, "ECDHE_ECDSA": 0xC02C, "ECDH_ECDSA": 0xC02E,
        "ECDHE_RSA": 0xC030, "ECDH_RSA": 0xC032, "ECDHE_PSK": 0xD002,
    },
    ("AES_128_CCM", "ccm", 16, "sha256", ""): {
        "RSA": 0xC09C, "DHE_RSA": 0xC09E, "PSK": 0xC0A4, "DHE_PSK": 0xC0A6, "ECDHE_ECDSA": 0xC0AC,
    },
    ("AES_256_CCM", "ccm", 32, "sha256", ""): {
        "RSA": 0xC09D, "DHE_RSA": 0xC09F, "PSK": 0xC0A5, "DHE_PSK": 0xC0A7, "ECDHE_ECDSA": 0xC0AD,
    },
    ("AES_128_CCM_8", "ccm8", 16, "sha256", ""): {
        "RSA": 0xC0A0, "DHE_RSA": 0xC0A2, "PSK": 0xC0A8, "DHE_PSK": 0xC0AA, "ECDHE_ECDSA": 0xC0AE,
    },
    ("AES_256_CCM_8", "ccm8", 32, "sha256", ""): {
        "RSA": 0xC0A1, "DHE_RSA": 0xC0A3, "PSK": 0xC0A9, "DHE_PSK": 0xC0AB, "ECDHE_ECDSA": 0xC0AF,
    },
    ("CHACHA20_POLY1305_SHA256", "chacha", 32, "sha256", ""): {
        "ECDHE_RSA": 0xCCA8, "ECDHE_ECDSA": 0xCCA9, "DHE_RSA": 0xCCAA, "PSK": 0xCCAB, "ECDHE_PSK": 0xCCAC,
        "DHE_PSK": 0xCCAD, "RSA_PSK": 0xCCAE,
    },
}  # fmt: skip
SUITES: dict[int, Suite] = {
    **_TLS13,
    **{
        number: Suite(f"TLS_{exchange}_WITH_{name}", kind, key, prf, mac, False)
        for (name, kind, key, prf, mac), exchanges in _EXCHANGES.items()
        for exchange, number in exchanges.items()
    },
}


def suite_name(number: int | None) -> str:
    """Return a suite's name, or its number where the table does not have it."""
    if number is None:
        return "unknown"
    known = SUITES.get(number)
    return known.name if known is not None else f"0x{number:04X}"
