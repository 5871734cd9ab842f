"""Whatever a capture of healthy traffic lacks, nobody is blamed for it."""

from __future__ import annotations

import pytest
from captured import Capture, findings
from h2_bytes import ACK, PING, data, frame, goaway, message, window_update


def healthy() -> Capture:
    """Unary and streamed calls, a PING, window updates, a graceful end."""
    capture = Capture()
    connection = capture.connect().hello().call(1)
    connection.request(3, extra=(("grpc-timeout", "5S"),)).headers(3)
    for _ in range(3):
        connection.server(data(3, message(bytes(700)))).client(window_update(3, 700), window_update(0, 700))
    connection.trailers(3)
    connection.client(frame(PING, 0, 0, bytes(8))).server(frame(PING, ACK, 0, bytes(8)))
    connection.request(5, extra=(("x-trace", "abc"),)).answer(5, b"one", b"two").call(7)
    connection.server(goaway(7, 0)).wait(2).close()
    return capture


WHOLE = healthy().packets
"""The packets of that capture."""


def blamed(packets: list[tuple[int, bytes]], snaplen: int = 1 << 18) -> list[str]:
    """What is held against a peer."""
    capture = Capture()
    capture.packets, capture.snaplen = packets, snaplen
    diagnosis = capture.diagnose()
    assert not [f.explanation for f in diagnosis.findings if "defect" in f.details]
    return [
        f"{f.rule}: {f.title}" for f in diagnosis.findings if f.severity != "info" and not f.rule.startswith("obs-")
    ]


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_packets_that_are_missing(length: int) -> None:
    for at in range(len(WHOLE)):
        assert blamed(WHOLE[:at] + WHOLE[at + length :]) == [], at


def test_a_capture_that_begins_later_or_ends_earlier() -> None:
    for at in range(len(WHOLE) + 1):
        assert blamed(WHOLE[at:]) == [], at
        assert blamed(WHOLE[:at]) == [], at


def test_packets_that_were_cut() -> None:
    for snaplen in range(40, 120, 3):
        assert blamed(WHOLE, snaplen) == [], snaplen


def test_packets_that_came_twice_or_in_another_order() -> None:
    for at in range(len(WHOLE) - 1):
        assert blamed([*WHOLE[: at + 1], WHOLE[at], *WHOLE[at + 1 :]]) == [], at
        assert blamed([*WHOLE[:at], WHOLE[at + 1], WHOLE[at], *WHOLE[at + 2 :]]) == [], at


def test_a_fin_that_was_not_captured_is_not_laid_to_the_other_side() -> None:
    capture = Capture()
    connection = capture.connect().hello().request().headers()
    connection.fin(0)
    del capture.packets[-2]  # the client's FIN; the server's ACK of it stays
    connection.fin(1)
    assert not findings(capture, "body-cut-connection")
