"""Names of TLS numbers: alerts, versions (RFC 8446 §6, IANA TLS Parameters)."""

from __future__ import annotations

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = range(20, 25)
"""Content types of records (RFC 8446 §5.1)."""
CLOSE_NOTIFY, USER_CANCELED, NO_RENEGOTIATION, NO_APPLICATION_PROTOCOL = 0, 90, 100, 120
TLS12, TLS13 = 0x0303, 0x0304
DRAFTS = range(0x7F14, 0x7F1D)
"""Versions of the drafts of TLS 1.3 from 20 on, whose key schedule is that of the RFC."""
BARE_DRAFTS = range(0x7F14, 0x7F19)
"""Those before draft 25, which did not authenticate the header of records."""
OLD_HELLO = range(0x7F00, 0x7F16)
"""Those before draft 22, whose ServerHello has neither session id nor compression."""

ALERTS: dict[int, str] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    52: "too_many_cids_requested",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    117: "general_error",
    120: "no_application_protocol",
    121: "ech_required",
}
_VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}


def alert_name(code: int) -> str:
    """Return an alert's name, or ``alert N``."""
    return ALERTS.get(code) or f"alert {code}"


def version_name(version: int | None) -> str:
    """Return ``TLS 1.3``, or ``TLS`` where the version is not known."""
    if version is None:
        return "TLS"
    if version >> 8 == 0x7F:
        return f"TLS 1.3 draft {version & 0xFF}"
    return _VERSIONS.get(version) or f"TLS version 0x{version:04x}"
