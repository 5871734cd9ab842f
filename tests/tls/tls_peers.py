"""Two TLS peers in memory (Python's ssl): every byte that they exchange, their keys, and what they said."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

CLIENT, SERVER = 0, 1
NO_ENCRYPT_THEN_MAC = 0x80000
"""OpenSSL's SSL_OP_NO_ENCRYPT_THEN_MAC, which Python has no name for."""
NO_TICKET = ssl.OP_NO_TICKET


@cache
def certificate(kind: str) -> tuple[Path, Path]:
    """Return the files of a self-signed certificate for localhost and its key; `kind` is ``ec`` or ``rsa``."""
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime(2024, 1, 1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = Path(tempfile.mkdtemp(prefix="wirecase-tls-"))
    pem, private = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return pem, private


@dataclass
class Conversation:
    """What went over the wire, in order."""

    flights: list[tuple[int, bytes]] = field(default_factory=list)
    """(sender, bytes)."""
    said: tuple[bytes, bytes] = (b"", b"")
    """Plaintext of client and server."""
    keys: bytes = b""
    cipher: str = ""
    session: ssl.SSLSession | None = None
    failure: str = ""


class Peers:
    """A client and a server; set them up by their contexts, then let them talk."""

    def __init__(self, *, version: str = "1.3", ciphers: str = "", kind: str = "ec", alpn: bool = True) -> None:
        self.keylog = Path(tempfile.mkdtemp(prefix="wirecase-keys-")) / "keys.log"
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pem, private = certificate(kind)
        self.server.load_cert_chain(pem, private)
        self.client.load_verify_locations(pem)
        self.client.keylog_filename = str(self.keylog)
        number = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        for context in (self.client, self.server):
            context.minimum_version = context.maximum_version = number
            if ciphers:
                context.set_ciphers(ciphers + ":@SECLEVEL=0")
            if alpn:
                context.set_alpn_protocols(["h2"])

    def talk(self, script: list[tuple[int, bytes]], session: ssl.SSLSession | None = None) -> Conversation:
        """Shake hands, let them say what `script` tells (sender, bytes) in order, and close."""
        into_client, into_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        from_client, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.client.wrap_bio(into_client, from_client, server_hostname="localhost", session=session)
        server = self.server.wrap_bio(into_server, from_server, server_side=True)
        done = Conversation()

        def carry() -> None:
            for sender, source, target in ((CLIENT, from_client, into_server), (SERVER, from_server, into_client)):
                data = source.read()
                if data:
                    done.flights.append((sender, data))
                    target.write(data)

        def attempt(action: Callable[[], object]) -> bool:
            try:
                action()
            except ssl.SSLWantReadError:
                return False
            except ssl.SSLError as error:
                done.failure = done.failure or str(error.reason)
            return True

        ready = [False, False]
        for _ in range(10):
            ready[0] = ready[0] or attempt(client.do_handshake)
            carry()
            ready[1] = ready[1] or attempt(server.do_handshake)
            carry()
            if all(ready):
                break
        said = [b"", b""]
        if not done.failure:
            for sender, data in script:
                speaker, listener = (client, server) if sender == CLIENT else (server, client)
                speaker.write(data)
                carry()
                heard = b""
                while len(heard) < len(data):
                    heard += listener.read(len(data))
                assert heard == data
                said[sender] += data
                attempt(partial(speaker.read, 1))  # takes tickets
            done.cipher, done.session = (client.cipher() or ("",))[0], client.session
            attempt(client.unwrap)
            carry()
            attempt(server.unwrap)
            carry()
        carry()
        done.said = (said[0], said[1])
        done.keys = self.keylog.read_bytes() if self.keylog.exists() else b""
        return done
