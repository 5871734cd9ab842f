"""Header lists: by name, by shape, by allow-list."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import BY_SHAPE, EMAIL, HOST, IP, PASSWORD, TELLING, assert_gone, encode, field, trees

from wirecase.case.redact import Policy, Redactor
from wirecase.grpc.protobuf import read_fields
from wirecase.grpc.status import decode_bin, parse_details, percent_decode
from wirecase.model import CLIENT, SERVER

Fields = list[tuple[bytes, bytes]]
TOLD = ("user-agent", "via", "server", "grpc-message", "x-envoy-overloaded")
SECRET_NAMES = (
    "authorization", "proxy-authorization", "x-api-key", "api-key", "apikey", "x-session-token", "client-secret",
    "x-db-password", "x-amz-security-token", "x-goog-iam-authorization-token", "x-auth", "x-csrf-token", "private_key",
    "x-forwarded-client-cert", "x-jwt-assertion", "x-hub-signature", "token",
)  # fmt: skip


def redact(fields: Fields, *, side: int = CLIENT, policy: Policy | None = None) -> Fields:
    return Redactor(policy or Policy()).headers(fields, side=side)


def one(name: str, value: str, **policy: object) -> str:
    ((_, made),) = redact([(name.encode(), value.encode())], policy=Policy(**policy))  # type: ignore[arg-type]
    return made.decode()


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_that_say_secret_lose_their_value(name: str) -> None:
    redactor = Redactor(Policy())
    assert redactor.headers([(name.encode(), b"hunter2-Q")], side=CLIENT) == [(name.encode(), b"xxxxxxxxx")]
    assert redactor.secrets == [b"hunter2-Q"]
    assert name in redactor.manifest()["fields_masked"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-type", "application/grpc+proto"), ("te", "trailers"), ("grpc-status", "14"), ("grpc-timeout", "10S"),
        ("user-agent", "Mozilla/5.0 (X11; Linux) Chrome/131.0.0.0 grpc-node-js/1.8.14"), ("server", "nginx/1.22.1"),
        ("via", "1.1 varnish"), ("cf-ray", "8f3a1b2c3d4e5f60-FRA"), ("content-length", "1234"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("x-request-id", "7f3a1b2c-9d4e-4f60-8a1b-2c3d4e5f6071"),
        ("x-amz-cf-id", "k3Jx9Qz1LmP0vW8sT5yR2uB7nC4dF6gH-aE_iOqXwZrY0tU1pS2kVg=="),
        ("grpc-trace-bin", "AAABAgMEBQYHCAkKCwwNDg8QAQIDBAUGBwgCAQ"), (":authority", "localhost:50051"),
        (":path", "/arrow.flight.protocol.FlightService/DoGet"), (":path", "/com.acme.internal/Get"),
        ("x-forwarded-for", "127.0.0.1"), ("grpc-message", "Method not found: io.grpc.StatusRuntimeException"),
        ("grpc-message", "invalid token: expired"), ("location", "/login"),
    ],
)  # fmt: skip
def test_what_is_needed_to_read_a_case_stays(name: str, value: str) -> None:
    assert one(name, value) == value


def test_metadata_that_nobody_vouched_for_becomes_filler_of_its_kind() -> None:
    assert one("x-tenant", "Abc-12 é") == "Xxx-00 xx"
    assert one("x-tenant", "Abc-12", keep_metadata=frozenset({"x-tenant"})) == "Abc-12"


def test_what_the_user_names_stays() -> None:
    assert one("authorization", "Bearer abc", keep=frozenset({"authorization"})) == "Bearer abc"
    assert one("x-request-id", "AKIAIOSFODNN7EXAMPLE", keep=frozenset({"aws-key"})) == "AKIAIOSFODNN7EXAMPLE"


def test_schemes_and_cookie_names_stay() -> None:
    assert one("authorization", "Bearer a.b-c") == "Bearer xxxxx"
    assert one("cookie", "sid=a1b2; theme=dark") == "sid=xxxx; theme=xxxx"
    assert one("set-cookie", "sid=a1b2; Path=/; HttpOnly; Max-Age=5") == "sid=xxxx; Path=/; HttpOnly; Max-Age=5"


def test_places_are_mapped_alike_in_every_field() -> None:
    fields = [
        (b":authority", b"db.acme.internal:50051"), (b"x-forwarded-for", b"10.0.0.9, 10.0.0.10"),
        (b"referer", b"https://db.acme.internal/a/b?session=abc"), (b"x-real-ip", b"10.0.0.10"),
    ]  # fmt: skip
    assert [value for _, value in redact(fields)] == [
        b"host-1.example:50051", b"192.0.2.1, 192.0.2.2", b"https://host-1.example/a/b?session=xxx", b"192.0.2.2",
    ]  # fmt: skip


def test_a_secret_quoted_by_the_server_is_masked_there_too() -> None:
    redactor = Redactor(Policy())
    redactor.headers([(b"x-api-key", b"correct horse")], side=CLIENT)
    made = redactor.headers([(b"grpc-message", b"no such key: correct%20horse")], side=SERVER)
    assert made == [(b"grpc-message", b"no such key: xxxxxxx%20xxxxx".replace(b"%20", b"%20"))]


def test_control_characters_and_bad_base64_stay_what_they_are() -> None:
    assert redact([(b"x-a", b"ab\r\nc\0")]) == [(b"x-a", b"xx\r\nx\0")]
    ((_, bad),) = redact([(b"x-a-bin", b"not base64!")])
    assert bad == b"xxx xxxx00!" and decode_bin(bad) is None


def test_binary_metadata_stays_base64_of_the_same_length() -> None:
    raw = encode([(1, "customer"), (2, 300)])
    for value in (
        base64.b64encode(raw),
        base64.b64encode(raw).rstrip(b"="),
        base64.b64encode(raw) + b",AAEC",
        b"\0" + raw,
    ):
        ((_, made),) = redact([(b"x-customer-bin", value)])
        assert len(made) == len(value) and made != value
        assert read_fields(decode_bin(made) or b"") is not None
        assert b"customer" not in (decode_bin(made) or b"")


def test_status_details_keep_code_and_types() -> None:
    retry = field(1, "type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, field(1, 7)))
    info = field(1, "type.googleapis.com/google.rpc.ErrorInfo") + field(2, field(1, "REASON") + field(2, "acme-corp"))
    raw = field(1, 14) + field(2, "upstream db.acme.internal is down") + field(3, retry) + field(3, info)
    ((_, made),) = redact([(b"grpc-status-details-bin", base64.b64encode(raw).rstrip(b"="))], side=SERVER)
    details, before = parse_details(made), parse_details(base64.b64encode(raw))
    assert details is not None and before is not None
    assert (details.code, details.types) == (14, before.types)
    assert details.message == "upstream host-1xx.example is down"
    masked = decode_bin(made) or b""
    assert len(masked) == len(raw) and retry in masked and b"acme" not in masked and b"REASON" not in masked


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((*SECRET_NAMES, "x-unknown", "cookie", "set-cookie")), PASSWORD), max_size=4),
    st.lists(st.tuples(st.sampled_from(TOLD), TELLING), max_size=4),
    st.lists(st.tuples(st.sampled_from((":authority", "host", "x-forwarded-host")), HOST), max_size=2),
    st.lists(st.tuples(st.sampled_from(("x-forwarded-for", "x-real-ip", "forwarded")), IP), max_size=2),
    st.lists(BY_SHAPE, max_size=2), EMAIL,
)  # fmt: skip
def test_planted_secrets_are_gone(
    named: list[tuple[str, str]], told: list[tuple[str, str]], hosts: list[tuple[str, str]],
    addresses: list[tuple[str, str]], shapes: list[str], email: str,
) -> None:  # fmt: skip
    fields = [(name, f"sid={value}; a=b" if "cookie" in name else value) for name, value in named]
    fields += [(name, f"no ({value.replace(chr(10), '%0A')}), sorry") for name, value in told]
    fields += [*hosts, *[(name, f"for={value}" if name == "forwarded" else value) for name, value in addresses]]
    fields += [
        ("x-" + shape.lower(), "1") if i else (":path", f"/pkg.Service/Get/{shape}?id={email}")
        for i, shape in enumerate(shapes)
    ]
    raw = [(name.encode(), value.encode()) for name, value in fields]
    redactor = Redactor(Policy())
    made = redactor.headers(raw, side=CLIENT)
    joined = b"\n".join(name + b": " + value for name, value in made)
    everything = [value for _, value in (*named, *told, *hosts, *addresses)] + shapes[:1]
    assert_gone(joined, everything)
    assert_gone(str(redactor.manifest()).encode() + repr(redactor).encode(), [*everything, email])
    places = {":authority", "host", "x-forwarded-host", "x-forwarded-for", "x-real-ip"}
    for (name, old), (same, new) in zip(raw, made, strict=True):
        assert len(name) == len(same)
        assert len(old) == len(new) or name.decode() in places
    assert Redactor(Policy()).headers(made, side=CLIENT) == made


@settings(max_examples=30, deadline=None)
@given(trees(TELLING), TELLING)
def test_planted_secrets_are_gone_from_binary_metadata(tree: list[tuple[int, object]], secret: str) -> None:
    tree = [*tree, (5, secret)]
    raw = encode(tree)
    status = field(1, 13) + field(2, f"failed for ({secret})") + field(3, field(1, "type.example/T") + field(2, raw))
    names = (b"x-a-bin", b"grpc-status-details-bin", b"x-token-bin")
    given_fields = [(name, base64.b64encode(value)) for name, value in zip(names, (raw, status, raw), strict=True)]
    made = redact(given_fields, side=SERVER)
    for (_, old), (_, new) in zip(given_fields, made, strict=True):
        decoded = decode_bin(new)
        assert decoded is not None and len(old) == len(new)
        assert_gone(new + decoded, [secret])
    assert redact(made, side=SERVER) == made


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=200), st.sampled_from((CLIENT, SERVER)))
def test_any_bytes_pass(name: bytes, value: bytes, side: int) -> None:
    for known in (name, b":path", b":authority", b"cookie", b"grpc-message", b"x-a-bin", b"location", b"forwarded",
                  b"x-forwarded-for", b"grpc-status-details-bin", b"authorization", b"via"):  # fmt: skip
        made = redact([(known, value)], side=side)
        assert len(made) == 1
        assert redact(made, side=side) == made


def test_percent_encoding_keeps_its_form() -> None:
    assert percent_decode(one("grpc-message", "pass%3Dx key%3dAKIAIOSFODNN7EXAMPLE%0A").encode()).endswith("xxxx\n")
    assert one("grpc-message", "100%% of AKIA%49OSFODNN7EXAMPLE") == "100%% of xxxx%78xxxxxxxxxxxxxxx"
