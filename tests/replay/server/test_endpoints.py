"""No answer leads a client to another server."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from h2_bytes import END_STREAM, HEADERS, RESPONSE, TRAILERS, data, frame, message
from hypothesis import given
from hypothesis import strategies as st
from made import Session, plan_of
from wires import Bare, ask, channel, fixture, replayed

from wirecase.model import SERVER
from wirecase.replay.plan import read_plan
from wirecase.replay.server import ReplayServer
from wirecase.replay.server.flight import NotReadableError, places, replace_locations

flight = pytest.importorskip("pyarrow.flight")

Serve = Callable[..., ReplayServer]
INFO = "/arrow.flight.protocol.FlightService/GetFlightInfo"
ELSEWHERE = b"grpc+tcp://10.1.2.3:8815"


def _info(*uris: bytes) -> bytes:
    """A FlightInfo with one endpoint of these locations."""
    import pyarrow

    endpoint = flight.FlightEndpoint(b"ticket", [flight.Location(uri.decode()) for uri in uris])
    descriptor = flight.FlightDescriptor.for_path("x")
    made = flight.FlightInfo(pyarrow.schema([("a", pyarrow.int32())]), descriptor, [endpoint], 7, 70)
    return bytes(made.serialize())


def _uris(raw: bytes) -> list[str]:
    info = flight.FlightInfo.deserialize(raw)
    return [location.uri.decode() for endpoint in info.endpoints for location in endpoint.locations]


def test_flight_locations_become_the_servers_own(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, INFO).answer(1, _info(ELSEWHERE, b"grpc+tls://far.example:443"))
    server = serve(plan_of(tmp_path, made))
    with channel(server.target) as open_channel:
        answer = ask(open_channel, INFO, [b"x"])
    (raw,) = answer.messages
    assert _uris(raw) == [f"grpc+tcp://{server.target}"] * 2
    assert flight.FlightInfo.deserialize(raw).total_records == 7
    (deviation,) = server.stop().deviations
    assert deviation.what == "endpoint-rewritten"
    assert "10.1.2.3:8815" in deviation.why


def test_they_do_in_the_incident(serve: Serve) -> None:
    plan = read_plan(str(fixture("incident")))
    server = serve(plan)
    answers = replayed(plan, server.target, speed=10.0)
    infos = [answers[call.number] for call in plan.calls() if call.path == INFO and call.number in answers]
    shown = {uri for answer in infos for raw in answer.messages for uri in _uris(raw)}
    assert shown <= {f"grpc+tcp://{server.target}"}


def test_messages_cut_into_many_frames_and_compressed_ones(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, INFO)
    peer = made.peers[SERVER]
    body = message(gzip.compress(_info(ELSEWHERE)), 1) + message(_info()) + b"<html>"
    parts = [body[at : at + 7] for at in range(0, len(body), 7)]
    made.raw(peer.headers(1, (*RESPONSE, ("grpc-encoding", "gzip"), ("content-length", str(len(body))))))
    for part in parts:
        made.raw(data(1, part))
    made.raw(peer.headers(1, TRAILERS, END_STREAM))
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    client.request(1, INFO, b"x")
    headers = client.fields(1)
    got = b""
    frames = 0
    while (one := client.until(0, HEADERS, stream=1)) is not None and one[0] == 0:
        got += one[3]
        frames += 1
    assert frames == len(parts)
    assert headers["content-length"] == str(len(got))
    size = int.from_bytes(got[1:5], "big")
    assert got[0] == 0
    assert _uris(got[5 : 5 + size]) == [f"grpc+tcp://{server.target}"]
    assert got[5 + size :] == message(_info()) + b"<html>"


def test_an_answer_that_cannot_be_looked_into_is_refused(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, INFO)
    peer = made.peers[SERVER]
    made.raw(peer.headers(1, (*RESPONSE, ("grpc-encoding", "snappy"))) + data(1, message(b"whatever", 1)))
    made.raw(peer.headers(1, TRAILERS, END_STREAM))
    server = serve(plan_of(tmp_path, made))
    with channel(server.target) as open_channel:
        answer = ask(open_channel, INFO, [b"x"])
    assert answer.code.name == "UNIMPLEMENTED"
    assert "snappy" in answer.details
    assert "endpoint-refused" in {one.what for one in server.stop().deviations}


def test_directories_of_servers_are_refused(serve: Serve, tmp_path: Path) -> None:
    path = "/grpc.lb.v1.LoadBalancer/BalanceLoad"
    server = serve(plan_of(tmp_path, Session().ask(1, path).answer(1, b"\x12\x02\x0a\x00")))
    with channel(server.target) as open_channel:
        assert ask(open_channel, path, [b"x"]).code.name == "UNIMPLEMENTED"


def test_headers_that_lead_elsewhere_are_left_out(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, "/demo.Echo/A")
    fields = ((":status", "302"), ("location", "http://far.example/"), ("alt-svc", 'h3=":443"'), ("x-kept", "yes"))
    made.raw(made.peers[SERVER].headers(1, fields, END_STREAM))
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    client.request(1, "/demo.Echo/A", b"x")
    assert client.fields(1) == {":status": "302", "x-kept": "yes"}
    assert {one.what for one in server.stop().deviations} == {"left-out"}


def test_frames_that_lead_elsewhere_are_left_out(serve: Serve, tmp_path: Path) -> None:
    made = Session().ask(1, "/demo.Echo/A")
    made.raw(frame(10, 0, 0, b"\0\x0bfar.example" + b'h3=":1"') + frame(10, 0, 1, b'\0\0h3=":1"')).reset(1, 2)
    server = serve(plan_of(tmp_path, made))
    client = Bare(server.address)
    client.request(1, "/demo.Echo/A", b"x")
    assert client.until(10, 3, stream=1) == (3, 0, 1, bytes((0, 0, 0, 2)))
    assert client.until(10, wait=0.1) is None


@given(st.binary(max_size=200))
def test_no_bytes_are_lost_where_there_is_no_address(raw: bytes) -> None:
    fields = places(INFO, b"")
    assert fields is not None
    try:
        made, found = replace_locations(raw, fields, b"here")
    except NotReadableError:
        return
    if not found:
        again, _ = replace_locations(made, fields, b"here")
        assert again == made


@given(st.lists(st.sampled_from([ELSEWHERE, b"", b"arrow-flight-reuse-connection://?", b"http://s3.example/x"])))
def test_only_addresses_are_replaced(uris: list[bytes]) -> None:
    def field(number: int, value: bytes) -> bytes:
        return bytes((number << 3 | 2, len(value))) + value

    endpoint = b"".join(field(2, field(1, uri)) for uri in uris[:3])
    raw = field(1, b"schema") + field(3, field(1, b"t") + endpoint) + b"\x20\x07"
    made, found = replace_locations(raw, (3, 2, 1), b"grpc+tcp://127.0.0.1:1")
    wanted = [uri for uri in uris[:3] if uri and not uri.startswith(b"arrow")]
    assert found == wanted
    assert made.count(b"127.0.0.1:1") == len(wanted)
    assert made.endswith(b"\x20\x07")
