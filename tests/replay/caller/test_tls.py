"""Servers behind TLS: trusted, not trusted, and none at all."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from servers import Echo, fixture, grpc_server

import grpc
from wirecase.errors import InputError
from wirecase.replay.caller import FULL_SPEED, CannotConnectError, Request, Tls, call_again, look_up

RECORDED = "grpc-invalid-compression-flag"


@pytest.fixture(scope="module")
def identity() -> tuple[bytes, bytes]:
    """A key and a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("server.example"),
    ])  # fmt: skip
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return plain, made.public_bytes(serialization.Encoding.PEM)


def play(target: str, tls: Tls, through: str):
    return call_again(
        Request(fixture(RECORDED), look_up(target), through=through, tls=tls, speed=FULL_SPEED, timeout=5.0)
    )


@pytest.mark.parametrize("through", ["raw", "grpcio"])
def test_the_server_is_checked(identity, through, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(identity[1])
    with grpc_server(Echo(), grpc.ssl_server_credentials([identity])) as target:
        made = play(target, Tls(ca=str(ca)), through)
        assert made.tls and [one.verdict for one in made.calls] == ["fixed"]
        assert play(target, Tls(ca=str(ca), server_name="server.example"), through).overall == "fine"
        assert play(target, Tls(insecure=True), through).overall == "fine"
        with pytest.raises(CannotConnectError, match="not trusted"):
            play(target, Tls(), through)
        with pytest.raises(CannotConnectError, match="not trusted"):
            play(target, Tls(ca=str(ca), server_name="other.example"), through)


def test_a_server_without_tls(tmp_path):
    with grpc_server(Echo()) as target, pytest.raises(CannotConnectError, match="cannot be reached: TLS"):
        play(target, Tls(insecure=True), "raw")


def test_a_file_that_holds_no_certificate(tmp_path):
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    for path, says in ((nothing, "no certificate"), (tmp_path / "missing.pem", "no such file")):
        with pytest.raises(InputError, match=says):
            play("127.0.0.1:1", Tls(ca=str(path)), "raw")
