"""What each TLS alert means for a gRPC peer, who is likely at fault and what to do (RFC 8446 §6.2)."""

from __future__ import annotations

from typing import NamedTuple

from wirecase.model import CLIENT, SIDE_NAMES, Who


class Advice(NamedTuple):
    """One alert's meaning."""

    text: str
    who: list[Who]
    fix: str


_TRUST = frozenset((42, 43, 44, 45, 46, 48))
_WORDS = {
    42: "bad_certificate: the certificate is damaged, its signature is wrong, or its name does not fit.",
    43: "unsupported_certificate: the certificate is of a kind that the peer does not take.",
    44: "certificate_revoked: the certificate was revoked.",
    45: "certificate_expired: the certificate is out of date, or the peer's clock is wrong.",
    46: "certificate_unknown: the certificate was not accepted, for a reason that has no number of its own.",
    48: "unknown_ca: the certificate's issuer is not among those that the peer trusts.",
}


def advice(code: int, side: int) -> Advice:
    """Return what alert `code`, sent by `side`, means."""
    who = SIDE_NAMES[side]
    if code in _TRUST:
        return _trust(code, side)
    if code == 50 and side == CLIENT:
        return Advice(
            "The client could not go on with what the server sent (decode_error). Clients on BoringSSL, gRPC's C core "
            "among them, send this alert also for a certificate whose issuer they do not trust.",
            ["server", "client"],
            "Check the server's certificate chain against the client's trusted CAs (GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, "
            "root_certificates): openssl s_client -showcerts.",
        )
    if code in _TEXTS:
        return _TEXTS[code]
    return Advice(
        f"The {who} could not or would not go on with TLS.",
        ["server", "client"],
        f"Look at the {who}'s log at this time.",
    )


def _trust(code: int, side: int) -> Advice:
    if side == CLIENT:
        return Advice(
            f"The client refused the server's certificate: {_WORDS[code]}",
            ["server", "client"],
            "Check the chain that the server sends (openssl s_client -showcerts), its names and dates, and the CAs "
            "that the client trusts. A missing intermediate certificate is the server's fault.",
        )
    return Advice(
        f"The server refused the client's certificate: {_WORDS[code]}",
        ["client", "server"],
        "Check the certificate that the client presents, its chain and dates, and the CAs that the server accepts for "
        "clients (ssl_client_certificate in nginx, ca-file in haproxy, validation_context in Envoy).",
    )


_TEXTS: dict[int, Advice] = {
    10: Advice(
        "A message came that is not due at this point of the handshake (unexpected_message).",
        ["client", "server"],
        "One of the two TLS implementations, or something between that changes bytes, is at fault: compare versions.",
    ),
    20: Advice(
        "A record did not authenticate (bad_record_mac): its bytes were changed on the way, or the two sides disagree "
        "about their keys.",
        ["network", "client", "server"],
        "Look for a middlebox or network card that damages packets (checksum offload, NAT), and for a process that "
        "shares a socket after fork.",
    ),
    22: Advice(
        "A record was longer than allowed (record_overflow); plaintext in the middle of TLS reads like this.",
        ["client", "server"],
        "Check that everything between speaks TLS on this connection.",
    ),
    40: Advice(
        "The two sides have no acceptable set of parameters in common (handshake_failure): cipher suites, groups, "
        "signature algorithms, or a client certificate that is missing.",
        ["server", "client"],
        "Compare the cipher suites and versions of both sides, and whether the server requires a client certificate.",
    ),
    47: Advice(
        "A field of the handshake was out of range or did not fit the others (illegal_parameter).",
        ["client", "server"],
        "One of the two TLS implementations is at fault: compare versions.",
    ),
    49: Advice(
        "The certificate is valid, but access was denied (access_denied).",
        ["client", "server"],
        "Check the server's rules on client certificates.",
    ),
    51: Advice(
        "A signature or the handshake's checksum did not verify (decrypt_error): the key does not belong to the "
        "certificate, or bytes were changed.",
        ["server", "client", "network"],
        "Check that certificate and private key belong together.",
    ),
    70: Advice(
        "The TLS version that the client offers is not supported (protocol_version).",
        ["client", "server"],
        "Let both sides take TLS 1.2 or 1.3; gRPC requires 1.2 at least (RFC 9113 §9.2).",
    ),
    71: Advice(
        "The server requires ciphers more secure than those that the client offers (insufficient_security). HTTP/2 "
        "forbids many suites of TLS 1.2; INADEQUATE_SECURITY means the same (RFC 9113 §9.2.2).",
        ["client", "server"],
        "Let the client offer ECDHE suites with AES-GCM or ChaCha20.",
    ),
    80: Advice(
        "Something inside the sender failed that has nothing to do with its peer (internal_error).",
        ["server", "proxy", "client"],
        "Look at the sender's log: proxies send it when they have no certificate for the name or cannot load it.",
    ),
    86: Advice(
        "The client came back with a lower version than both could speak (inappropriate_fallback).",
        ["client", "network"],
        "Find out why the first attempt failed.",
    ),
    109: Advice(
        "An extension is missing that this handshake needs (missing_extension).",
        ["client", "server"],
        "Compare the TLS implementations and their versions.",
    ),
    110: Advice(
        "An extension came that was not asked for (unsupported_extension).",
        ["server", "client"],
        "Compare the TLS implementations and their versions.",
    ),
    112: Advice(
        "The server has no certificate for the name that the client asked for by SNI (unrecognized_name).",
        ["client", "server"],
        "Check the name in the client's target (and its override: ssl_target_name_override, WithAuthority) against "
        "the server's virtual hosts.",
    ),
    115: Advice(
        "The server does not know the pre-shared key that the client named (unknown_psk_identity).",
        ["client", "server"],
        "Compare the keys that both sides are given.",
    ),
    116: Advice(
        "The server requires a client certificate and got none (certificate_required).",
        ["client"],
        "Give the client a certificate and its key (mutual TLS): ssl_channel_credentials(root, key, chain), "
        "tls.Config.Certificates, ClientTlsConfig::identity.",
    ),
    120: Advice(
        "The two sides have no application protocol in common (no_application_protocol): the server does not take h2 "
        "on this port.",
        ["server", "client"],
        "Let the server offer h2 by ALPN on this port.",
    ),
}
