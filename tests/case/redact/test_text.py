"""Text that is evidence: foreign bodies and debug data."""

from __future__ import annotations

import gzip
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import TELLING, assert_gone, encode, trees

from wirecase.case.redact import Policy, Redactor
from wirecase.rules.foreign import classify

PAGE = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx/1.18.0 (Ubuntu)</center>\r\n</body>\r\n</html>\r\n"
)


def foreign(body: bytes, policy: Policy | None = None) -> bytes:
    return Redactor(policy or Policy()).foreign(body)


@pytest.mark.parametrize(
    "body",
    [
        PAGE, b"upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        b'{"code":"unauthenticated","message":"token: expired"}', b"404 page not found\n", b"abc", b"",
        b"\x80\0\0\0\x20grpc-status:14\r\ngrpc-message:down\r\n", b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n",
        "Dienst nicht verfügbar – später".encode(), b"Error 0x80131500 in System.Net.Http.HttpConnection.SendAsync",
        b"<p>Ray ID: 8f3a1b2c3d4e5f60</p> 7f3a1b2c-9d4e-4f60-8a1b-2c3d4e5f6071 see https://www.cloudflare.com/5xx",
    ],
)  # fmt: skip
def test_pages_and_errors_stay_as_they_are(body: bytes) -> None:
    assert foreign(body) == body


def test_secrets_and_places_are_masked_in_place() -> None:
    body = (
        b"upstream http://10.1.2.3:80/ and ip-10-1-2-3.ec2.internal, [fe80::1]:7, user=bob@acme.com password=hunter2 "
        b"(db-7.acme.internal) https://user:pw@build-7/x"
    )
    made = foreign(body)
    assert len(made) == len(body)
    assert_gone(
        made, ["10.1.2.3", "ip-10-1-2-3", "fe80::1", "bob@acme.com", "hunter2", "db-7.acme", "user:pw", "build-7"]
    )
    assert made.startswith(b"upstream http://0.0.0.01:80/ and host-1")


def test_places_stay_if_asked() -> None:
    body = b"upstream 10.1.2.3:80 db-7.acme.internal password=hunter2"
    policy = Policy(keep_addresses=True, keep_hosts=True)
    assert foreign(body, policy) == b"upstream 10.1.2.3:80 db-7.acme.internal password=xxxxxxx"


def test_a_host_without_dots_is_masked_once_it_is_known() -> None:
    redactor = Redactor(Policy())
    redactor.headers([(b":authority", b"orders-7:50051")], side=0)
    assert redactor.debug(b"orders-7 is gone, orders-70 is not") == b"h1xxxxxx is gone, orders-70 is not"


def test_binary_bytes_keep_what_framing_needs() -> None:
    body = b"Ctail of a message\0\0\0\0\x05hello\0\0\0\0\1x" + bytes(range(128, 160))
    made = foreign(body)
    assert len(made) == len(body)
    assert made == b"Ctail" + b" xx x xxxxxxx\0\0\0\0\x05xxxxx\0\0\0\0\1x" + bytes(range(128, 160))
    tls = b"\x15\x03\x03\x00\x02\x02\x28"
    assert foreign(tls) == tls


def test_a_page_between_two_frames_stays_legible() -> None:
    frames = b"\0\0\x0a\0\0\0\0\0\1\0\0\0\0\x0cAnn Lee, 12 Main Street"
    made = foreign(b"<html><title>502 Bad Gateway</title> db-7.acme.internal</html>" + frames)
    assert b"<title>502 Bad Gateway</title>" in made
    assert_gone(made, ["db-7.acme.internal", "Ann Lee"])


def test_unframed_protobuf_is_treated_as_a_message() -> None:
    body = encode([(1, 150), (2, "Ann Lee of 12 Main Street"), (3, 7)])
    made = foreign(body)
    assert made[:5] == body[:5] and b"Lee" not in made and len(made) == len(body)
    assert classify(made).kind == classify(body).kind == "protobuf"


def test_a_gzipped_page_is_looked_into() -> None:
    body = gzip.compress(PAGE.replace(b"Ubuntu", b"db-7.acme.internal AKIAIOSFODNN7EXAMPLE"), mtime=0)
    made = foreign(body)
    assert len(made) == len(body) and made[:5] == body[:5]
    assert b"502 Bad Gateway" in gzip.decompress(made)
    assert_gone(gzip.decompress(made), ["db-7.acme.internal", "AKIAIOSFODNN7EXAMPLE"])
    clean = gzip.compress(PAGE)
    assert foreign(clean) == clean


TEMPLATES = (
    "<html><p>Error: ({})</p></html>", '{{"error": "{}"}}', "proxy: {} refused", "error url=http://x/?a={}&b=1",
    "wait\n{}\nthen", "\x80\0\0\0\x40grpc-message:{}\r\n",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEMPLATES), st.lists(TELLING, min_size=1, max_size=3))
def test_planted_secrets_are_gone(template: str, secrets: list[str]) -> None:
    body = "; ".join(template.format(secret) for secret in secrets).encode("latin-1")
    redactor = Redactor(Policy())
    for mask in ("foreign", "debug"):
        made = getattr(redactor, mask)(body)
        assert len(made) == len(body) and made[:5] == body[:5]
        assert_gone(made, secrets)
        assert getattr(Redactor(Policy()), mask)(made) == made
    assert_gone(repr(redactor.manifest()).encode(), secrets)
    assert classify(made).kind == classify(body).kind


@settings(max_examples=60, deadline=None)
@given(trees(TELLING), TELLING)
def test_planted_secrets_are_gone_from_unframed_messages(tree: list[tuple[int, object]], secret: str) -> None:
    body = encode([(1, 150), (2, 7), *tree, (9, secret)])
    made = foreign(body)
    assert len(made) == len(body) and made[:5] == body[:5]
    assert_gone(made, [secret])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_keep_length_and_prefix(body: bytes) -> None:
    for policy in (Policy(), Policy("keep"), Policy("hash")):
        made = foreign(body, policy)
        assert len(made) == len(body) and made[:5] == body[:5]
    assert len(Redactor(Policy()).debug(body)) == len(body)


def test_large_bodies_of_every_kind_end() -> None:
    size = 1 << 18
    for piece in (
        b"eyJ",
        b"eyJa.",
        b"a.",
        b"a@b.",
        b"://",
        b"::",
        b"password= ",
        b"-----BEGIN A-----\n",
        b"+",
        b"A1",
        b"1.1.1.1 ",
    ):
        body = piece * (size // len(piece))
        assert len(foreign(body)) == len(body)
    body = os.urandom(size)
    assert len(foreign(body)) == size
