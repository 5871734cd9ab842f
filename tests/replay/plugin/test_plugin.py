"""The pytest plugin, from the outside: small test files run by a pytest of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
FLAG = Path(__file__).parents[3] / "fixtures" / "grpc-invalid-compression-flag" / "capture.pcapng"

CLIENT = """
import socket

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded, StreamReset

def ask(replay, path):
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    with socket.create_connection((replay.host, replay.port), timeout=10) as live:
        connection.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
                                    ("te", "trailers"), ("content-type", "application/grpc")])
        connection.send_data(1, bytes(5), end_stream=True)
        body = b""
        while True:
            live.sendall(connection.data_to_send())
            for event in connection.receive_data(live.recv(65536)):
                if isinstance(event, DataReceived):
                    body += event.data
                if isinstance(event, (StreamEnded, StreamReset)):
                    return body

def path_of(replay):
    return replay.case.findings[0].path
"""


TESTS = """
@pytest.mark.wirecase("case.pcapng", speed="max")
def test_passes(wirecase_replay):
    body = ask(wirecase_replay, path_of(wirecase_replay))
    assert body[:1] not in (b"", b"\\0", b"\\1")
    wirecase_replay.report("INTERNAL", "invalid flag")
    assert wirecase_replay.wait_problem_over()
    ask(wirecase_replay, path_of(wirecase_replay))
    assert wirecase_replay.wait_recovered()
    verdict = wirecase_replay.verdict()
    assert verdict.outcome == "pass", verdict.explain()
    assert verdict.check("recovered").outcome == "pass", verdict.explain()
    wirecase_replay.assert_passed()

@pytest.mark.wirecase("case.pcapng", speed="max")
def test_fails(wirecase_replay):
    ask(wirecase_replay, path_of(wirecase_replay))
    wirecase_replay.report(0)
    wirecase_replay.assert_passed()

@pytest.mark.wirecase("case.pcapng", speed="max")
def test_strict(wirecase_replay):
    wirecase_replay.assert_passed()

@pytest.mark.wirecase("case.pcapng", speed="max")
def test_lenient(wirecase_replay):
    wirecase_replay.assert_passed(untold_is_fine=True)

def test_no_marker(wirecase_replay):
    pass

@pytest.mark.wirecase("missing.pcapng")
def test_no_case(wirecase_replay):
    pass

@pytest.mark.wirecase("case.pcapng", finding="F99")
def test_no_finding(wirecase_replay):
    pass

@pytest.mark.wirecase("case.pcapng", speed=0)
def test_no_speed(wirecase_replay):
    pass

@pytest.mark.wirecase("case.pcapng", colour=1)
def test_no_option(wirecase_replay):
    pass
"""


def test_the_fixture_and_its_marker(pytester: pytest.Pytester) -> None:
    (pytester.path / "case.pcapng").write_bytes(FLAG.read_bytes())
    pytester.makepyfile(CLIENT + TESTS)
    done = pytester.runpytest_subprocess("-q", "-rA", "--strict-markers", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=2, failed=2, errors=5)
    text = done.stdout.str()
    for name in ("passes", "lenient"):
        assert f"PASSED test_the_fixture_and_its_marker.py::test_{name}" in text
    # What a person reads of a failure: the verdict, and each check in a line.
    done.stdout.fnmatch_lines(["E * replay of *case.pcapng: FAIL", "E * fail * detected: *call 0 was reported as OK*"])
    done.stdout.fnmatch_lines(["E * replay of *case.pcapng: UNTOLD", "E * untold * detected: *never connected*"])
    for says in (
        "needs a marker: @pytest.mark.wirecase",
        "wirecase cannot serve missing.pcapng: ",
        "wirecase cannot serve case.pcapng: there is no finding F99",
        "wirecase cannot serve case.pcapng: --speed 0",
        "unexpected keyword argument 'colour'",
    ):
        assert says in text
    assert "Traceback" not in text
