from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.http2.facts import HeaderBlock
from wirecase.rules.foreign import POLLS_SHOWN, classify, length_text, show_byte, tonic_polls
from wirecase.rules.hints import hint_for
from wirecase.rules.proxies import who_wrote

CASES = [
    (b"<html><head><title>504 Gateway Time-out</title></head>", "html", "504 Gateway Time-out"),
    (b'<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN"><h1>Not Found</h1>', "html", "Not Found"),
    (b"  \r\n <html>", "html", "<html>"),
    (b"<?xml version='1.0'?><Error/>", "xml", "<?xml version='1.0'?><Error/>"),
    (b'{"error": "no"}', "json", '{"error": "no"}'),
    (b"[1, 2]", "json", "[1, 2]"),
    (b"{not json", "text", "{not json"),
    (b"error code: 502", "text", "error code: 502"),
    (b"404 page not found\n", "text", "404 page not found"),
    (gzip.compress(b"<html><title>Hi</title>"), "gzip", "Hi"),
    (b"\x1f\x8b nonsense", "gzip", ""),
    (b"\x15\x03\x03\x00\x02\x02\x28", "tls", "TLS alert handshake_failure"),
    (b"\x16\x03\x01\x02\x00\x01", "tls", "TLS handshake"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "http1", "HTTP/1.1 400 Bad Request"),
    (b"GET /x HTTP/1.1\r\n", "http1", "GET /x HTTP/1.1"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2", "PRI * HTTP/2.0"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "ssh", "SSH-2.0-OpenSSH_9.2"),
    (b"\x80\x00\x00\x00\x10grpc-status: 0\r\n", "grpc-web", "grpc-status: 0"),
    (b"\x02\x00\x00\x00\x02{}", "connect", "{}"),
    (b"AAAAAAUKA2FiYw==", "grpc-web-text", ""),
    (b"\x0a\x05hello\x10\x01", "protobuf", "hello"),
    (b"\xff\xfe\x00\x01", "binary", ""),
    (b"", "empty", ""),
]


@pytest.mark.parametrize(("body", "kind", "headline"), CASES)
def test_classification(body: bytes, kind: str, headline: str) -> None:
    found = classify(body)
    assert (found.kind, found.headline) == (kind, headline)


@pytest.mark.parametrize(("body", "kind", "headline"), CASES)
def test_every_beginning_of_a_body_has_a_name(body: bytes, kind: str, headline: str) -> None:
    for cut in range(len(body)):
        assert classify(body[:cut], whole=False).name


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_are_too_much(body: bytes, whole: bool) -> None:
    found = classify(body, whole=whole)
    assert len(found.headline) <= 320
    assert len(tonic_polls(body)) <= POLLS_SHOWN


def test_deeply_nested_json_does_no_harm() -> None:
    assert classify(b"[" * 60000).kind == "json"
    assert classify(json.dumps({"a": 1}).encode() * 2).kind == "json"


def test_a_character_cut_in_two_is_still_text() -> None:
    assert classify("überall".encode()[:1] + b"", whole=False).kind in ("empty", "binary", "text")
    assert classify("Fehler: überlastet ü".encode()[:-1], whole=False).kind == "text"


def test_bytes_and_lengths_for_sentences() -> None:
    assert show_byte(67) == "67 'C'"
    assert show_byte(128) == "128 (0x80)"
    assert length_text(b"Conne") == "onne"
    assert length_text(b"C\x00nne") is None
    assert length_text(b"Con") is None


def test_tonic_walks_the_body_byte_by_byte() -> None:
    assert tonic_polls(b"error code: 502") == [101, 114, 114, 111, 114, 32, 99, 111]
    assert tonic_polls(b"<abcde") == [60, 97]
    assert tonic_polls(b"bad!") == []
    assert tonic_polls(b"a\x00zzzzbcdefg") == [97, 98, 99]
    assert tonic_polls(b"a\x00\x00\x00\x00\x05bc") == [97]


def block(**fields: str) -> HeaderBlock:
    return HeaderBlock(tuple((name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()))


@pytest.mark.parametrize(
    ("fields", "text", "name"),
    [
        ({"server": "nginx/1.25"}, "", "nginx"),
        ({"server": "cloudflare", "cf_ray": "1-FRA"}, "", "Cloudflare"),
        ({"server": "awselb/2.0"}, "", "AWS Application Load Balancer"),
        ({"via": "1.1 google"}, "", "Google front end"),
        ({"x_envoy_upstream_service_time": "3"}, "", "Envoy"),
        ({"server": "kong/3.4"}, "", "Kong"),
        ({}, "<html><body><h1>503 Service Unavailable</h1>\nNo server is available", "HAProxy"),
        ({}, "upstream connect error or disconnect/reset before headers. retried", "Envoy"),
        ({}, "no healthy upstream", "Envoy"),
        ({}, "error code: 521", "Cloudflare"),
        ({}, "<hr><center>openresty</center>", "OpenResty (nginx)"),
        ({}, "<address>Apache/2.4.57 (Debian) Server</address>", "Apache httpd"),
        ({"server": "Caddy"}, "", "Caddy"),
        ({"server": "APISIX/3.9.1"}, "", "APISIX (nginx)"),
        ({"server": "Zscaler/6.2"}, "", "Zscaler"),
        ({"server": "Microsoft-Azure-Application-Gateway/v2"}, "", "Azure Application Gateway"),
        ({"server": "Google Frontend"}, "", "Google front end"),
        ({"server": "istio-envoy"}, "", "Envoy (Istio)"),
        ({"ngrok_error_code": "ERR_NGROK_3200"}, "", "ngrok"),
        ({"server": "Cowboy", "via": "1.1 vegur"}, "", "Heroku router"),
        ({"l5d_proxy_error": "service in fail-fast"}, "", "Linkerd"),
        ({"x_azure_ref": "0abc"}, "", "Azure Front Door"),
        ({}, "RBAC: access denied", "Envoy"),
        ({}, "Jwt is missing", "Envoy"),
        ({}, "Jwks doesn't have key to match kid or alg from Jwt", "Envoy"),
        ({}, "downstream duration timeout", "Envoy"),
        ({}, "upstream request timeout", "Envoy"),
        ({}, "fault filter abort", "Envoy"),
        ({}, "envoy overloaded", "Envoy"),
        ({}, "no available server", "Traefik"),
        ({}, '{"message":"The upstream server is timing out"}', "Kong"),
        ({}, '{"message":"failure to get a peer from the ring-balancer"}', "Kong"),
        ({}, "<p>The gateway did not receive a timely response\nfrom the upstream server", "Apache httpd"),
        ({}, "<html><body><h1>504 Gateway Time-out</h1>\nThe server didn't respond in time.", "HAProxy"),
        ({}, "<title>Error 502 (Server Error)!!1</title>", "Google front end"),
        ({}, "The request failed because either the HTTP response was malformed", "Google Cloud Run"),
    ],
)
def test_who_wrote_it(fields: dict[str, str], text: str, name: str) -> None:
    writer = who_wrote(block(**fields), text)
    assert writer is not None
    assert writer.name == name
    assert writer.proxy


def test_nobody_is_accused_without_a_trace() -> None:
    assert who_wrote(block(content_type="text/html"), "Internal Server Error") is None
    kestrel = who_wrote(block(server="Kestrel"))
    assert kestrel is not None
    assert not kestrel.proxy


def test_hints() -> None:
    assert hint_for(464) is not None
    assert hint_for(418) is None
    redirect, origin = hint_for(307), hint_for(521)
    assert redirect is not None and redirect.retry == "no"
    assert origin is not None and "refused" in origin.text
