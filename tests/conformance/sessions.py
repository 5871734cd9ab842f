"""Sessions in which a server answers as a case of the suites tells it to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from captured import Capture
from h2_bytes import END_STREAM, data, message

from wirecase.grpc.schema import MESSAGE, OCTETS, FieldType, MessageType, Method, Schema
from wirecase.model import Diagnosis
from wirecase.pipeline import Options

SERVICE = "connectrpc.conformance.v1"
_RAW: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "raw_responses.json").read_text())
COMMIT: str = _RAW["commit"]
CASES: dict[str, dict[str, Any]] = _RAW["cases"]
METHODS = {
    "UNARY": "Unary",
    "CLIENT_STREAM": "ClientStream",
    "SERVER_STREAM": "ServerStream",
    "HALF_DUPLEX_BIDI_STREAM": "BidiStream",
}


def schema() -> Schema:
    """What the cases need of the suites' service: its methods' kinds, and the one field that is ever set."""
    made = Schema()
    payload = f"{SERVICE}.ConformancePayload"
    made.messages[payload] = MessageType(payload, {1: FieldType(1, "data", OCTETS)})
    for kind, method in METHODS.items():
        request, response = f"{SERVICE}.{method}Request", f"{SERVICE}.{method}Response"
        made.messages[request] = MessageType(request)
        made.messages[response] = MessageType(response, {1: FieldType(1, "payload", MESSAGE, payload)})
        path = f"/{SERVICE}.ConformanceService/{method}"
        made.methods[path] = Method(
            path, request, response, client_streams=kind in _CLIENT_STREAMS, server_streams=kind in _SERVER_STREAMS
        )
    return made


_CLIENT_STREAMS = ("CLIENT_STREAM", "HALF_DUPLEX_BIDI_STREAM")
_SERVER_STREAMS = ("SERVER_STREAM", "HALF_DUPLEX_BIDI_STREAM")


def played(name: str) -> Capture:
    """A connection with one call that is answered as the case says, in the way of the suites' reference server.

    Trailers come in a HEADERS frame; without any, the last frame before ends the stream.
    """
    case = CASES[name]
    web = name.startswith("grpc_web")
    content_type = "application/grpc-web+proto" if web else "application/grpc+proto"
    capture = Capture()
    connection = capture.connect().hello()
    client, server = connection.peers
    request = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", f"/{SERVICE}.ConformanceService/{METHODS[case['kind']]}"),
        (":authority", "conformance"),
        ("content-type", content_type),
        *([] if web else [("te", "trailers")]),
        ("grpc-accept-encoding", "gzip"),
    ]
    connection.client(client.headers(1, request), data(1, message(b""), END_STREAM))
    body = [message(bytes.fromhex(octets), flag) for flag, octets in case["messages"]]
    trailers = [tuple(field) for field in case["trailers"]]
    headers = [(":status", str(case["status"])), *(tuple(field) for field in case["headers"])]
    frames = [server.headers(1, headers, 0 if body or trailers else END_STREAM)]
    frames += [
        data(1, octets, END_STREAM if number == len(body) and not trailers else 0)
        for number, octets in enumerate(body, 1)
    ]
    if trailers:
        frames.append(server.headers(1, trailers, END_STREAM))
    connection.server(*frames).close()
    return capture


def diagnosis(name: str, *, known: bool) -> Diagnosis:
    """What is found in a case's session, with the service's schema or without."""
    return played(name).diagnose(Options([], schema=schema() if known else None))
