"""A capture of a replayed session tells what the recording told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from captures import pcap
from wires import Relay, fixture, replayed

from wirecase.model import Diagnosis
from wirecase.pipeline import Options, diagnose
from wirecase.replay.plan import Plan, read_plan
from wirecase.replay.server import ReplayServer

_SPEED = {"goaway-race": 1.0, "goaway-single-shot": 1.0}
"""Races are run at their own pace, other sessions four times as fast."""
Serve = Callable[..., ReplayServer]

SAME = (
    "body-cut-connection", "client-accepts-broken-bytes", "flag67-grpc-go", "goaway-error", "goaway-race",
    "goaway-single-shot", "grpc-app-status", "grpc-cardinality", "grpc-decompress-failed", "grpc-desync-midstream",
    "grpc-encoding-unsupported", "grpc-flag-without-encoding", "grpc-invalid-compression-flag", "grpc-length-is-text",
    "grpc-local-reply", "grpc-message-truncated", "grpc-payload-undecodable", "grpc-status-in-open-headers",
    "grpc-status-malformed", "grpc-status-missing", "grpc-trailers-not-final", "grpc-unframed-protobuf",
    "grpc-web-on-grpc", "h2-content-length-mismatch", "h2-continuation-violation", "h2-flood", "h2-padded-data",
    "h2-header-list-too-large", "h2-hpack-decode-error", "h2-malformed-headers", "h2-stream-state-violation",
    "haproxy-429", "hpack-bomb", "http-1xx-end-stream", "http-200-wrong-content-type", "http-error-empty",
    "http-error-with-body", "http-missing-status", "http-status-hints", "proxy-fingerprint", "rst-enhance-your-calm",
    "rst-flow-control", "rst-http11-required", "rst-midbody", "rst-midbody-no-error", "rst-protocol-error",
    "rst-refused-stream", "tcp-reset-midstream", "unary-two-messages", "fc-zero-increment", "healthy-grpcjs-gzip",
    "healthy-legal-grease", "healthy-rst-after-trailers",
)  # fmt: skip
"""Fixtures whose faults are the server's, in a second or so."""


def _told(found: Diagnosis, connections: set[int] | None = None) -> set[str]:
    """Rules of the findings, without the observer's limits and what the client alone did."""
    return {
        one.rule
        for one in found.findings
        if not one.rule.startswith("obs-")
        and one.who[0] != "client"
        and (connections is None or any(place.connection in connections for place in one.occurrences))
    }


def _recaptured(plan: Plan, server: ReplayServer, folder: Path, speed: float) -> Diagnosis:
    relay = Relay(server.address)
    replayed(plan, relay.address, speed)
    server.wait_problem_over(1)
    packets = relay.stop()
    path = folder / "again.pcap"
    path.write_bytes(pcap(packets))
    return diagnose(Options([str(path)]))


@pytest.mark.parametrize("name", SAME)
def test_the_same_is_found_again(serve: Serve, tmp_path: Path, name: str) -> None:
    recorded = diagnose(Options([str(fixture(name))]))
    plan = read_plan(str(fixture(name)))
    speed = _SPEED.get(name, 4.0)
    again = _recaptured(plan, serve(plan, speed=speed), tmp_path, speed)
    assert _told(again) == _told(recorded, {made.index for made in plan.connections})
