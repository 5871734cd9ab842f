"""A throwaway certificate authority: made when it is needed, gone a day later, its key never written to disk."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Sequence
from typing import Any

_DAY = datetime.timedelta(days=1)


class Authority:
    """Makes certificates for names; `pem` is its own, for clients to trust."""

    def __init__(self, name: str, *, days: int = 1) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        self._days = days * _DAY
        self._issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key: Any = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        made = (
            self._begun(self._issuer, public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem: bytes = made.public_bytes(serialization.Encoding.PEM)

    def __getstate__(self) -> dict[str, Any]:
        """Let it travel to another process."""
        from cryptography.hazmat.primitives import serialization

        secret = self._key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"pem": self.pem, "days": self._days, "key": secret}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        self.pem = state["pem"]
        self._days = state["days"]
        self._key = serialization.load_der_private_key(state["key"], None)
        self._issuer = x509.load_pem_x509_certificate(self.pem).subject

    def certificate(self, names: Sequence[str]) -> bytes:
        """Return a server's certificate for `names` (host names or addresses) and its key, as PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        others: list[x509.GeneralName] = []
        for name in names:
            try:
                others.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                others.append(x509.DNSName(name))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        leaf = (
            self._begun(subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName(others), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        secret: bytes = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate: bytes = leaf.public_bytes(serialization.Encoding.PEM)
        return certificate + secret

    def context(self, *names: str) -> ssl.SSLContext:
        """Return a server's TLS for `names`. Its key is on disk for a moment only: nothing else can be loaded."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        handle, path = tempfile.mkstemp(prefix="wirecase-tls-")  # readable by its owner alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.certificate(names))
            context.load_cert_chain(path)
        finally:
            os.unlink(path)
        return context

    def _begun(self, subject: Any, public: Any) -> Any:
        from cryptography import x509

        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self._issuer).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(now - _DAY)
            .not_valid_after(now + self._days)
        )  # fmt: skip
