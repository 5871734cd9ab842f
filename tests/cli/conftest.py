"""A diagnosis made by hand, rich enough to show every part of a report."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

import pytest

from wirecase.model import (
    Accounting,
    Blast,
    CallTotals,
    ClientSees,
    ConnectionRef,
    Diagnosis,
    Evidence,
    Finding,
    Occurrence,
    SourceInfo,
    Unbalanced,
    Verdict,
)

if TYPE_CHECKING:
    from prepared_cli import Stub

T0 = 1_748_779_200_123_456_789  # 2025-06-01T12:00:00.123456789Z
MS = 1_000_000
FRONT = ConnectionRef(0, "10.0.0.7:41822", "10.0.0.2:443")
BACK = ConnectionRef(1, "10.0.0.2:50318", "[2001:db8::5]:50051")
PATH = "/arrow.flight.protocol.FlightService/DoGet"
PAGE = b"Connection refused by upstream 10.0.0.5\n<html><head><title>502 Bad Gateway</title></head>"

TONIC_FLAG = ClientSees(
    "tonic",
    "0.14.6",
    "INTERNAL",
    "protocol error: received message with invalid compression flag: 67 (valid flags are 0 and 1) "
    "while receiving response with status: 502 Bad Gateway",
    checked=True,
)
GO_FLAG = ClientSees(
    "grpc-go",
    "1.65",
    "UNAVAILABLE",
    "unexpected HTTP status code received from server: 502 (Bad Gateway); transport: received unexpected "
    'content-type "text/plain"',
    checked=False,
)


def finding(number: int, rule: str, title: str, **fields: object) -> Finding:
    values: dict[str, object] = {
        "severity": "error",
        "certainty": "certain",
        "explanation": f"{title}. Explained in a few plain words, long enough to need a second line in eighty columns.",
        "who": ["proxy"],
        "connection": FRONT,
        "stream": 5,
        "call": 2,
        "path": PATH,
        "time": T0 + 40 * MS,
    }
    return Finding(rule=rule, title=title, id=f"F{number}", **{**values, **fields})  # type: ignore[arg-type]


def incident() -> Diagnosis:
    """One refused upstream behind a 502 page, a page on its own, a reset, a remark and two limits."""
    refused = finding(
        1,
        "tcp-refused",
        "10.0.0.2 could not connect to [2001:db8::5]:50051: the connection was refused",
        connection=BACK,
        stream=None,
        call=None,
        path=None,
        who=["server", "network"],
        evidence=[Evidence("primary", "RST in answer to the SYN", 0, "server", 39, 0, 0, b"", T0 + 30 * MS)],
        retry_safe="yes",
        retry_why="no call reached the server",
        fix="Start the server on [2001:db8::5]:50051, or take it out of the proxy's upstreams.",
        references=["RFC 9293 §3.10.7.2"],
    )
    flag = finding(
        2,
        "grpc-invalid-compression-flag",
        "compression flag 67 ('C'): the response is a proxy's text page, not gRPC",
        caused_by="F1",
        count=31,
        occurrences=[Occurrence(0, 5 + 2 * i, 2 + i, PATH, 41 + i, T0 + (40 + i) * MS) for i in range(31)],
        details={
            "flag": 67,
            "offset": 1230,
            "text": PAGE.decode(),
            "http_status": 502,
            "content_type": "text/plain",
            "body": b"\x1b]52;c;",
            "share": float("nan"),
            "flags_later": [111, 110],
        },
        evidence=[
            Evidence("primary", "first bytes of the body", 0, "server", 41, 1230, 157, PAGE, T0 + 40 * MS),
            Evidence("context", "response headers: :status 502", 0, "server", 40, 1180, 41, b"\x88\x5f", T0 + 39 * MS),
        ],
        client_sees=[TONIC_FLAG, GO_FLAG],
        retry_safe="yes",
        retry_why="the proxy answered, no server saw the call",
        fix="Treat 502, 503 and 504 as UNAVAILABLE before the body is read.",
        ids={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "cf-ray": "8c1f-FRA"},
        references=["RFC 9113 §8.1", "gRPC PROTOCOL-HTTP2, Length-Prefixed-Message"],
    )
    missing = finding(3, "grpc-status-missing", "31 calls ended without grpc-status", caused_by="F2", count=31)
    page = finding(
        4,
        "http-error-with-body",
        "502 with a text/html page in place of a gRPC response",
        certainty="probable",
        details={"http_status": 502},
    )
    reset = finding(
        5,
        "rst-midbody",
        "RST_STREAM INTERNAL_ERROR in the middle of message 3, after 1,024 of 4,096 bytes",
        severity="warning",
        certainty="probable",
        who=["proxy", "server"],
        stream=71,
        call=35,
        details={"error_code": 2, "after_messages": 2},
        evidence=[
            Evidence(
                "primary",
                "RST_STREAM INTERNAL_ERROR",
                0,
                "server",
                512,
                88_001,
                13,
                bytes.fromhex("00000403000000004700000002"),
                T0 + 900 * MS,
            )
        ],
        client_sees=[
            ClientSees("tonic", "0.14.6", "INTERNAL", "h2 protocol error: error reading a body from connection", True)
        ],
        retry_safe="unknown",
        retry_why="part of the answer had arrived",
    )
    app = finding(6, "grpc-app-status", "12 calls ended with NOT_FOUND", severity="info", who=["server"], count=12)
    ends = finding(
        7, "obs-capture-ends", "the capture ends while 7 calls are open", severity="info", who=["capture"], count=7
    )
    tls = finding(
        8,
        "obs-encrypted",
        "3 TLS connections without keys",
        severity="warning",
        who=["capture"],
        fix="Give the keys with --keylog.",
    )
    return Diagnosis(
        version="0.1.0",
        sources=[SourceInfo("incident/capture.pcapng", "ab" * 32, "pcapng+zstd", 1204, 311_022, T0, T0 + 190_758 * MS)],
        verdict=Verdict(
            headline="32 of 1,204 calls (2.7 %) failed: a proxy answered with its own page in place of gRPC",
            root_causes=["F1", "F4", "F5"],
            not_inspected=["3 TLS connections without keys", "2 UDP flows"],
            blast=Blast(32, 1204, 32 / 1204, [PATH, "/helloworld.Greeter/SayHello"], T0 + 40 * MS, T0 + 900 * MS),
        ),
        findings=[refused, flag, missing, page, reset, app, ends, tls],
        calls=CallTotals(1204, 1153, 44, 7, {"OK": 1153, "NOT_FOUND": 12, "none": 39}),
        accounting=Accounting(300_000, 290_000, {"retransmitted": 6_000, "not TCP": 4_000}, []),
        connections=5,
    )


def healthy() -> Diagnosis:
    """A capture in which nothing is wrong."""
    return Diagnosis(
        version="0.1.0",
        sources=[SourceInfo("ok.pcap", "cd" * 32, "pcap", 240, 31_022, T0, T0 + 2_500 * MS)],
        verdict=Verdict("No fault found in 40 gRPC calls", [], [], Blast(0, 40, 0.0, [], None, None)),
        findings=[],
        calls=CallTotals(40, 40, 0, 0, {"OK": 40}),
        accounting=Accounting(31_000, 31_000, {}, []),
        connections=2,
    )


NASTY = (
    "\x1b]52;c;aGk=\x07\x1b[31mred\x1b[0m \u202egnp.exe\u2066 nul\x00 c1\x85\x9b31m line\nbreak\r\ttab [bold]b[/bold] "
    "](javascript:alert(1)) <script>alert(1)</script> ``` `` | @someone #1 https://evil.example \udc9b \u200b "
    "a\u0300\u0301\u0302\u0303\u0304 \U000e0041 &lt; GH-12 deadbeefcafe"
)
"""A little of everything that must not reach a reader alive."""


def hostile() -> Diagnosis:
    """The incident with hostile text in every place that a capture can write to."""
    found = incident()
    for one in found.findings:
        one.title += NASTY
        one.explanation += NASTY
        one.path = NASTY
        one.fix = NASTY
        one.retry_why = NASTY
        one.details = {"text": NASTY, "flag": 67, "offset": 1230, "raw": NASTY.encode("utf-8", "surrogatepass")}
        one.ids = {"x-request-id": NASTY, NASTY: "v"}
        one.references = [NASTY]
        one.client_sees = [ClientSees("tonic", NASTY, NASTY, NASTY, True)]
        for evidence in one.evidence:
            evidence.note += NASTY
            evidence.data = evidence.data + NASTY.encode("utf-8", "surrogatepass")
        for occurrence in one.occurrences:
            occurrence.path = NASTY
    found.sources[0].path = NASTY
    found.verdict.headline += NASTY
    found.verdict.not_inspected.append(NASTY)
    found.verdict.blast.paths.append(NASTY)
    found.calls.by_status[NASTY] = 1
    found.accounting.skipped[NASTY] = 1
    found.accounting.unbalanced.append(Unbalanced(0, "client", 10, 9, 0))
    found.failures.append(NASTY)
    return found


@pytest.fixture
def incident_diagnosis() -> Diagnosis:
    return incident()


@pytest.fixture
def healthy_diagnosis() -> Diagnosis:
    return healthy()


@pytest.fixture
def hostile_diagnosis() -> Diagnosis:
    return hostile()


@pytest.fixture
def nasty() -> str:
    return NASTY


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, incident_diagnosis: Diagnosis) -> Stub:
    from prepared_cli import Stub

    found = Stub()
    found.answer = incident_diagnosis
    module = types.ModuleType("wirecase.pipeline")
    module.Options = types.SimpleNamespace  # type: ignore[attr-defined]
    module.diagnose = found.diagnose  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wirecase.pipeline", module)
    import wirecase

    monkeypatch.setattr(wirecase, "pipeline", module, raising=False)
    nothing = types.SimpleNamespace(begin=lambda: None, total_bytes=None)
    monkeypatch.setattr("wirecase.sources.open_sources", lambda *_, **__: nothing)
    return found
