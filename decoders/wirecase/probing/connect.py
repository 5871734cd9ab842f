"""From the one address to a connection: TCP, TLS, and what the handshake tells of the server's certificate."""

from __future__ import annotations

import datetime
import socket
import ssl
import time
from collections.abc import Callable

from wirecase.probing.model import TlsFacts
from wirecase.replay.caller.address import Target, Tls
from wirecase.replay.caller.wire import reason_of

_UTC = datetime.UTC
_SOON = 14
"""Days before its end at which a certificate is worth a word."""


class UnreachableError(Exception):
    """There is no connection; the text says why."""


def tcp(target: Target, timeout: float) -> tuple[socket.socket, float]:
    """Connect; return the socket and how long it took. Raises UnreachableError."""
    begun = time.monotonic()
    sock = socket.socket(target.family, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect((target.ip, target.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except TimeoutError:
        sock.close()
        raise UnreachableError(f"no answer to the SYN within {timeout:g} s") from None
    except OSError as error:
        sock.close()
        raise UnreachableError(reason_of(error)) from error
    return sock, time.monotonic() - begun


def secure(sock: socket.socket, target: Target, tls: Tls, *, verify: bool, timeout: float) -> ssl.SSLSocket:
    """Begin TLS. Raises ssl.SSLError, ssl.SSLCertVerificationError, TimeoutError or OSError."""
    context = tls.context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    sock.settimeout(timeout)
    return context.wrap_socket(sock, server_hostname=tls.server_name or target.host)


def handshake(
    target: Target, tls: Tls, timeout: float, dial: Callable[[], socket.socket]
) -> tuple[ssl.SSLSocket | None, TlsFacts]:
    """Begin TLS and read the certificate; without a socket if it is not to be trusted.

    The certificate of such a server is read on a connection of its own, on which nothing is sent. Raises
    UnreachableError where there is no TLS at all.
    """
    try:
        secured = secure(dial(), target, tls, verify=not tls.insecure, timeout=timeout)
        return secured, facts_of(secured, trusted=not tls.insecure, problem="not checked" if tls.insecure else "")
    except ssl.SSLCertVerificationError as error:
        problem = error.verify_message or "it is not trusted"
    except (ssl.SSLError, OSError) as error:
        raise UnreachableError(_no_tls(error, timeout)) from error
    try:
        with secure(dial(), target, tls, verify=False, timeout=timeout) as secured:
            return None, facts_of(secured, trusted=False, problem=problem)
    except (ssl.SSLError, OSError):
        return None, TlsFacts("", "", None, trusted=False, problem=problem)


def _no_tls(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"TLS: the server accepted the connection and did not answer the ClientHello within {timeout:g} s"
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return "TLS: the server answers with something else: it may speak plaintext here (--plaintext)"
    if isinstance(error, (ssl.SSLEOFError, ConnectionError)):
        return "TLS: the server closed the connection in the handshake: it may speak plaintext here (--plaintext)"
    return reason_of(error)


def facts_of(secured: ssl.SSLSocket, *, trusted: bool, problem: str) -> TlsFacts:
    """Read what was agreed on, and the certificate."""
    cipher = secured.cipher()
    facts = TlsFacts(
        secured.version() or "", cipher[0] if cipher else "", secured.selected_alpn_protocol(), trusted=trusted,
        problem=problem,
    )  # fmt: skip
    der = secured.getpeercert(binary_form=True)
    if der:
        facts.der = der
        _read(facts, der)
    return facts


def _read(facts: TlsFacts, der: bytes) -> None:
    from cryptography import x509

    try:
        found = x509.load_der_x509_certificate(der)
        facts.subject, facts.issuer = found.subject.rfc4514_string(), found.issuer.rfc4514_string()
        begin, end = found.not_valid_before_utc, found.not_valid_after_utc
        facts.not_before, facts.not_after = _rfc3339(begin), _rfc3339(end)
        facts.days_left = (end - datetime.datetime.now(_UTC)).days
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        facts.names = [str(one.value) for one in names if isinstance(one, (x509.DNSName, x509.IPAddress))][:100]
    except (ValueError, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType, x509.DuplicateExtension):
        return  # what could be read is there


def _rfc3339(moment: datetime.datetime) -> str:
    return moment.astimezone(_UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ends_soon(facts: TlsFacts) -> bool:
    """The certificate ends within two weeks, or has ended."""
    return facts.days_left is not None and facts.days_left < _SOON
