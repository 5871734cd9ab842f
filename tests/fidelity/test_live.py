"""The fault server breaks as it says, and the report of a driver client tells what the client saw."""

from __future__ import annotations

import pytest
from livebench import clients, session
from livebench.faults import ALL, BY_NAME

SEEN = {
    "healthy-stream": ("OK", "", 3),
    "flag-67-status-0": ("OK", "", 0),  # grpcio's unary call returns None, without an error
    "http-502-flag-101": ("UNAVAILABLE", "Received http2 header with status: 502", 0),
    "http-400-empty": ("INTERNAL", "Received http2 header with status: 400", 0),
    "rst-midbody-internal-error": ("INTERNAL", "RST_STREAM with error code 2", 2),
    "app-status": ("NOT_FOUND", "no such row", 0),
}


def test_the_list_of_faults_is_long_and_has_controls() -> None:
    assert len([fault for fault in ALL if not fault.control]) >= 40
    assert len([fault for fault in ALL if fault.control]) >= 10


@pytest.mark.parametrize("name", SEEN)
def test_grpcio_meets_the_fault(name: str) -> None:
    if reason := clients.missing("grpcio"):
        pytest.skip(reason)
    code, text, messages = SEEN[name]
    said = session.live("grpcio", BY_NAME[name])
    assert said.end == ("exit 0" if code == "OK" else "exit 1")
    assert said.calls[0][1] == code
    assert text in said.calls[0][2]
    assert said.calls[0][3] == messages


@pytest.mark.parametrize("name", [name for name in clients.NAMES if name != "grpcio"])
def test_every_driver_client_that_is_built_reports(name: str) -> None:
    if reason := clients.missing(name):
        pytest.skip(reason)
    assert session.live(name, BY_NAME["healthy-stream"]).calls == ((0, "OK", "", 3), (1, "OK", "", 3))
    said = session.live(name, BY_NAME["app-status"])
    assert said.calls[0][1:3] == ("NOT_FOUND", "no such row")
    assert said.end == "exit 1"
