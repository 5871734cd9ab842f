"""The parts that the forms are read with: records, values, canonical HTTP/2, made-up packets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from capture_bytes import Trickle
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from wirecase.model import CLIENT, SERVER, FormFacts, PacketBatch
from wirecase.sources.forms import documents, grpc_web, tap_values, textproto
from wirecase.sources.forms.byte_streams import ByteConnection, client_of
from wirecase.sources.forms.documents import DamagedRecordError
from wirecase.sources.forms.grpc_body import BodyLength
from wirecase.sources.forms.http2_writer import Connections, canonical, header_block
from wirecase.sources.forms.http_exchange import Exchange
from wirecase.sources.forms.schema import Kind, Schema, read_message
from wirecase.sources.forms.segments import UNKNOWN, Flow, Segments, endpoint
from wirecase.sources.forms.tnetstring import next_tnetstring
from wirecase.sources.reading import Reading
from wirecase.sources.window import Window


def windows(data: bytes) -> Iterator[Window]:
    """The same bytes whole and byte by byte, in a small buffer that has to grow."""
    for size in (len(data) or 1, 1):
        yield Window(Trickle(data, size), 64)


# ---- records -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", ["", "\n", ",", " ,\n ", "\x1e"])
def test_json_objects(between: str) -> None:
    records: list[dict[str, Any]] = [{"a": '{[\\"'}, {"b": [1, {"c": "}" * 200}]}, {"ü": "\\"}, {}]
    text = between.join(json.dumps(one, ensure_ascii=False) for one in records).encode()
    for data in (text, b"[" + text + b"]", b" \n" + text + b"\n"):
        for window in windows(data):
            assert [documents.next_json(window) for _ in records] == records
            assert documents.next_json(window) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": "b', "cut"),
        (b'{"a": [1, 2', "cut"),
        (b'{"a": "\\', "cut"),
        (b"{" * 200, "nested too deeply"),
        (b'{"a" 1}', "no JSON"),
        (b'{"a": "\xff"}', "no JSON"),
    ],
)
def test_json_damage(text: bytes, reason: str) -> None:
    for window in windows(text):
        with pytest.raises(DamagedRecordError, match=reason):
            documents.next_json(window)


def test_long_records_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_RECORD", 1000)
    with pytest.raises(DamagedRecordError, match="longer than"):
        documents.next_json(Window(Trickle(b'{"a": "' + b"x" * 5000, 100), 64))
    with pytest.raises(DamagedRecordError, match="more than"):
        documents.next_prefixed(Window(Trickle(b"\x7f\xff\xff\xff" + b"x" * 50, 100), 64))


def test_messages_with_lengths() -> None:
    for window in windows(b"\x03abc\x00\x01d"):
        assert [documents.next_delimited(window) for _ in range(4)] == [b"abc", b"", b"d", None]
    for window in windows(b"\0\0\0\x02ab\0\0\0\0"):
        assert [documents.next_prefixed(window) for _ in range(3)] == [b"ab", b"", None]
    for data in (b"\x03ab", b"\xff" * 12):
        for window in windows(data):
            with pytest.raises(DamagedRecordError):
                documents.next_delimited(window)


def test_skip_to_a_place() -> None:
    data = b'{"log": {"x": "' + b"y" * 500 + b'", "entries" : [{}]}}'
    for window in windows(data):
        assert documents.skip_to(window, re.compile(rb'"entries"\s*:\s*\['), 10_000)
        assert documents.next_json(window) == {}
    for window in windows(data):
        assert not documents.skip_to(window, re.compile(rb"nothing"), 10_000)


def test_tnetstrings() -> None:
    content = b"4:type;4:http;1:n,3:\x00ab,1:f;3:1.5^1:l;7:1:1#0:~]1:b;4:true!"
    data = b"%d:%s}" % (len(content), content)
    expected = {"type": "http", "n": b"\x00ab", "f": 1.5, "l": [1, None], "b": True}
    for window in windows(data + data):
        assert next_tnetstring(window) == expected
        assert next_tnetstring(window) == expected
        assert next_tnetstring(window) is None


@pytest.mark.parametrize("data", [b"x", b"5:abc", b"3:abc?", b"9:9:abc,}", b"999999999999:", b"4:1:ax}", b"3:abc#"])
def test_tnetstring_damage(data: bytes) -> None:
    for window in windows(data):
        with pytest.raises(DamagedRecordError):
            next_tnetstring(window)


# ---- protobuf ----------------------------------------------------------------------------------------------------

INNER: Schema = {1: Kind("key", "string"), 2: Kind("value", "bytes")}
SCHEMA: Schema = {
    1: Kind("number", "int"), 2: Kind("signed", "signed"), 3: Kind("yes", "bool"), 4: Kind("inner", of=INNER),
    5: Kind("many", of=INNER, repeated=True), 600: Kind("far", "string"),
}  # fmt: skip


def _protobuf_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="forms_test.proto", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    types = {"int": field.TYPE_UINT64, "signed": field.TYPE_INT64, "bool": field.TYPE_BOOL, "bytes": field.TYPE_BYTES,
             "string": field.TYPE_STRING, "message": field.TYPE_MESSAGE}  # fmt: skip
    for name, schema in (("FormsInner", INNER), ("FormsOuter", SCHEMA)):
        message = file.message_type.add(name=name)
        for number, kind in schema.items():
            label = field.LABEL_REPEATED if kind.repeated else field.LABEL_OPTIONAL
            one = message.field.add(name=kind.name, number=number, type=types[kind.what], label=label)
            if kind.what == "message":
                one.type_name = ".FormsInner"
        if name == "FormsOuter":
            message.field.add(name="unwanted", number=7, type=field.TYPE_DOUBLE, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("FormsOuter"))


OUTER = _protobuf_class()


@given(
    number=st.integers(1, (1 << 64) - 1), signed=st.integers(-(1 << 63), -1), key=st.text(min_size=1),
    values=st.lists(st.binary(min_size=1), min_size=1, max_size=4),
)  # fmt: skip
def test_schema_against_protobuf(number: int, signed: int, key: str, values: list[bytes]) -> None:
    message = OUTER(number=number, signed=signed, yes=True, unwanted=1.5, far=key)
    message.inner.key = key
    for value in values:
        message.many.add(value=value)
    data = message.SerializeToString()
    assert read_message(data, SCHEMA) == {
        "number": number, "signed": signed, "yes": True, "far": key, "inner": {"key": key},
        "many": [{"value": value} for value in values],
    }  # fmt: skip
    for size in range(len(data)):
        read_message(data[:size], SCHEMA)


def test_text_format() -> None:
    text = rb"""# comment
    a { b: "x\n\001\x41\"" c: 12 d: -3 } a < b: 'y' >
    e: true f: NAME; headers { key: "k" }, far: 18446744073709551615
    """
    assert textproto.read(text) == {
        "a": [{"b": b'x\n\x01A"', "c": 12, "d": -3}, {"b": b"y"}],
        "e": True, "f": "NAME", "headers": [{"key": b"k"}], "far": 18446744073709551615,
    }  # fmt: skip
    for bad in (b"a {", b"a: ", b"}", b"1: 2", b"a { b: 1 >", b"a {" * 200):
        with pytest.raises(ValueError, match=r".+"):
            textproto.read(bad)


def test_times_and_bytes() -> None:
    assert tap_values.nanoseconds("2026-11-23T10:12:38.988886Z") == 1795428758988886000
    assert tap_values.nanoseconds("2026-11-23T11:12:38.5+01:00") == 1795428758500000000
    assert tap_values.nanoseconds({"seconds": "12", "nanos": 5}) == 12_000_000_005
    for bad in ("", "yesterday", "9999-99-99T00:00:00Z", None, 5, {"seconds": "x" * 5}, {"seconds": "9" * 5000}):
        assert tap_values.nanoseconds(bad) == 0
    assert tap_values.from_base64("AP8=") == tap_values.from_base64("AP8") == b"\0\xff"
    assert tap_values.from_base64("!") == b""


# ---- HTTP/2 ------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=300)), max_size=8))
def test_header_blocks_against_hpack(fields: list[tuple[bytes, bytes]]) -> None:
    decoded = Decoder(max_header_list_size=1 << 20).decode(header_block(fields), raw=True)
    assert [tuple(one) for one in decoded] == fields


def test_canonical_headers() -> None:
    fields = [(b"Host", b"h"), (b":path", b"/"), (b"Connection", b"close"), (b"X-A", b"1"), (b":method", b"POST")]
    assert canonical(fields) == [(b":path", b"/"), (b":method", b"POST"), (b":authority", b"h"), (b"x-a", b"1")]


def _written(batches: Iterator[PacketBatch]) -> list[tuple[int, int, bytes]]:
    """Record number, length on the wire and payload of each packet that has one."""
    found = []
    for batch in batches:
        for i, (start, size, length) in enumerate(zip(batch.starts, batch.caplens, batch.lengths, strict=True)):
            header = 40 if batch.data[start] >> 4 == 4 else 60
            if length > header:
                payload = bytes(batch.data[start + header : start + size])
                found.append((batch.first_number + i, length - header, payload))
    return found


def test_a_body_longer_than_a_frame() -> None:
    segments = Segments(Reading(0))
    stream = Connections(segments).stream(UNKNOWN, UNKNOWN, 1, 0)
    stream.data(SERVER, b"x" * 10, 2, 0, missing=(1 << 24) + 5, end=True)
    frames = _written(segments.rest())[-2:]
    assert [length for _, length, _ in frames] == [9 + (1 << 24) - 1, 9 + 16]
    assert [payload[:5] for _, _, payload in frames] == [b"\xff\xff\xff\0\0", b"\0\0\x10\0\x01"]


def test_packets_are_numbered_as_records() -> None:
    segments = Segments(Reading(0))
    flow = Flow(("10.0.0.1", 5), ("::1", 443), 3)
    segments.open(flow, 1, 10)
    for number in (1, 2, 2, 3, 9):
        segments.send(flow, number % 2, b"%d" % number, number, 10 + number)
    assert [(number, payload) for number, _, payload in _written(segments.rest())] == [
        (1, b"1"), (2, b"2"), (2, b"2"), (3, b"3"), (9, b"9"),
    ]  # fmt: skip


def test_endpoints() -> None:
    assert endpoint("10.0.0.1:80") == ("10.0.0.1", 80)
    assert endpoint("[::1]:80") == ("::1", 80)
    for other in ("", "host:80", "10.0.0.1", "10.0.0.1:x", "10.0.0.1:1234567"):
        assert endpoint(other) == UNKNOWN


def _exchange() -> tuple[Exchange, FormFacts, Segments]:
    segments, facts = Segments(Reading(0)), FormFacts("a test", "messages")
    exchange = Exchange(Connections(segments).stream(UNKNOWN, UNKNOWN, 1, 0), facts)
    exchange.headers(CLIENT, [(b":path", b"/a/B")], 1, 0)
    return exchange, facts, segments


GRPC = (b"content-type", b"application/grpc")
OK = (b":status", b"200")


@pytest.mark.parametrize(
    ("fields", "body", "ended"),
    [
        ([OK, GRPC, (b"grpc-status", b"5")], b"", True),
        ([OK, GRPC], b"", False),
        ([OK, GRPC], b"\0\0\0\0\x01a", False),
        ([OK, GRPC, (b"grpc-status", b"5")], b"\0\0\0\0\x01a", False),
        ([(b":status", b"502"), (b"content-type", b"text/html")], b"<html>", True),
        ([(b":status", b"502"), (b"content-type", b"text/html"), (b"content-length", b"7")], b"<html>", False),
        ([OK, (b"content-type", b"application/grpc-web")], b"\0\0\0\0\0", True),
    ],
)
def test_an_end_is_shown_only_where_it_is_known(fields: list[tuple[bytes, bytes]], body: bytes, ended: bool) -> None:
    exchange, facts, segments = _exchange()
    exchange.headers(SERVER, fields, 2, 0)
    exchange.body(SERVER, body, 2, 0)
    exchange.close(3)
    assert (facts.unseen_count == 0) == ended
    assert all(end.path == "/a/B" and end.record == 3 for end in facts.unseen_ends)
    frames = [payload for _, _, payload in _written(segments.rest()) if payload[3:4] in (b"\0", b"\x01")]
    closing = [payload for payload in frames if payload[4] & 1]
    assert len(closing) == (2 if ended else 0)  # the client's side is known to be over only when the server's is


def test_no_response_and_holes() -> None:
    exchange, facts, _ = _exchange()
    exchange.close(4)
    assert facts.unseen_ends[0].text == "no response"
    exchange, facts, segments = _exchange()
    exchange.headers(SERVER, [OK, GRPC], 2, 0)
    exchange.body(SERVER, b"\0\0\0\0\x09abc", 2, 0, truncated=True)
    exchange.trailers(SERVER, [(b"grpc-status", b"0")], 2, 0)
    exchange.close(3)
    assert (facts.truncated, facts.unseen_count) == (1, 0)
    assert any(length - len(payload) == 6 for _, length, payload in _written(segments.rest()))


def test_the_rest_of_a_message() -> None:
    for cut, missing in ((0, 1), (3, 2), (5, 4), (7, 2), (9, 1), (11, 3)):
        whole = b"\0\0\0\0\x04abcd" * 3
        length = BodyLength()
        for byte in whole[:cut]:
            length.feed(bytes((byte,)))
        assert length.missing == missing


# ---- who is the client -------------------------------------------------------------------------------------------


def test_who_is_the_client() -> None:
    assert client_of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"") == 0
    assert client_of(b"\0\0\0\4", b"PRI") == 1
    assert client_of(b"\x16\x03\x03\0\x10\x02", b"\x16\x03\x01\0\x10\x01") == 1
    assert client_of(b"HTTP/1.1 200", b"POST / HTTP/1.1\r\n") == 1
    assert client_of(b"\0\0\0\4", b"\0\0\0\4") is None


def test_a_server_that_speaks_first() -> None:
    segments = Segments(Reading(0))
    connection = ByteConnection(segments, ("10.0.0.1", 1), ("10.0.0.2", 2))
    connection.take(0, b"\0\0\0\4\0\0\0\0\0", 1, 100)
    connection.take(1, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 2, 200)
    connection.take(0, b"more", 3, 300, cut=True)
    connection.take(0, b"lost", 4, 400)
    connection.end(5)
    batches = list(segments.rest())
    first = batches[0].data
    assert bytes(first[12:16]) == bytes((10, 0, 0, 2))  # the one with the preface opened the connection
    assert [payload for _, _, payload in _written(iter(batches))] == [
        b"\0\0\0\4\0\0\0\0\0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"more",
    ]  # fmt: skip


# ---- gRPC-Web ----------------------------------------------------------------------------------------------------

BODY = b"\0\0\0\0\x01a"
TRAILERS = b"\x80\0\0\0\x10Grpc-Status: 7\r\n"


def test_grpc_web_bodies() -> None:
    kind = b"application/grpc-web+proto"
    whole = grpc_web.take_apart(kind, BODY + TRAILERS)
    assert whole == (BODY, [(b"grpc-status", b"7")])
    text = b"application/grpc-web-text"
    pieces = base64.b64encode(BODY) + b"\r\n" + base64.b64encode(TRAILERS)
    assert grpc_web.take_apart(text, pieces) == whole
    assert grpc_web.take_apart(kind, BODY) == (BODY, None)
    for damaged in (BODY[:-1], BODY + TRAILERS + b"x", BODY + b"\x81\0\0\0\0"):
        assert grpc_web.take_apart(kind, damaged) is None
    assert grpc_web.take_apart(text, b"A=A") is None
    fields = [(b"Content-Type", kind), (b"x", b"y")]
    assert grpc_web.as_grpc(fields, request=False) == [(b"Content-Type", b"application/grpc+proto"), (b"x", b"y")]
    assert grpc_web.content_type([(b"content-type", b"application/grpc")]) is None
