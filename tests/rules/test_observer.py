"""What the capture cannot show is said, and never blamed on a peer."""

from __future__ import annotations

from captured import ACK, PSH, RST, SYN, Capture, findings, rules
from h2_bytes import data, message

from wirecase.model import Damage, Diagnosis, SourceInfo
from wirecase.rules.observer import check_file_damaged
from wirecase.rules.tls_keys import check_encrypted
from wirecase.session.run import Run

LIMITS = (
    "obs-encrypted",
    "obs-midconnection",
    "obs-gap",
    "obs-snaplen",
    "obs-one-direction",
    "obs-capture-ends",
    "obs-conflicting-data",
    "obs-bad-reset",
    "obs-file-damaged",
)


def seen(capture: Capture) -> set[str]:
    return {f.rule for f in capture.diagnose().findings if f.rule.startswith("obs-")} - {"obs-offload"}


def test_a_capture_without_limits_is_silent() -> None:
    capture = Capture()
    capture.connect().hello().call().close()
    assert seen(capture) == set()


def test_a_capture_that_begins_in_the_middle() -> None:
    capture = Capture()
    for port in (1, 2, 3):
        capture.connect(f"10.0.0.1:4000{port}", syn=False).request(9).answer(9).close()
    (found,) = findings(capture, "obs-midconnection")
    assert found.severity == "info"
    assert {place.connection for place in found.occurrences} == {0, 1, 2}


def test_a_hole() -> None:
    capture = Capture()
    connection = capture.connect().hello().request().headers()
    connection.seq[1] += 5000  # never captured
    connection.server(data(1, message(b"x"))).close()
    (found,) = findings(connection, "obs-gap")
    assert (found.details["missing"], found.details["by"]) == (5000, "server")
    assert not {rule for rule in rules(connection) if not rule.startswith("obs-")}


def test_a_short_snaplen() -> None:
    capture = Capture()
    for port in (1, 2):
        capture.connect(f"10.0.0.1:4000{port}").hello().request().answer(1, bytes(500)).close()
    capture.snaplen = 96
    (found,) = findings(capture, "obs-snaplen")
    assert {place.connection for place in found.occurrences} == {0, 1}
    assert not {rule for rule in rules(capture) if not rule.startswith("obs-")}


def test_segments_longer_than_the_wire_carries() -> None:
    capture = Capture()
    capture.connect().hello().request().answer(1, bytes(15_000)).close()
    (found,) = findings(capture, "obs-offload")
    assert found.severity == "info"
    small = Capture()
    small.connect().hello().call().close()
    assert not findings(small, "obs-offload")


def test_one_direction_only() -> None:
    capture = Capture()
    capture.connect(seen=(1,)).hello().call().close()
    (found,) = findings(capture, "obs-one-direction")
    assert found.details["seen"] == "server"


def test_the_capture_ends_first() -> None:
    capture = Capture()
    capture.connect().hello().request(1).request(3)
    (found,) = findings(capture, "obs-capture-ends")
    assert found.count == 2
    assert [place.stream for place in found.occurrences] == [1, 3]
    assert not rules(capture)


def test_an_idle_connection_at_the_end_is_no_limit() -> None:
    capture = Capture()
    capture.connect().hello().call()
    assert seen(capture) == set()


def test_two_different_copies_of_the_same_bytes() -> None:
    capture = Capture()
    connection = capture.connect().hello().request().headers()
    at = connection.seq[1]
    connection.packet(1, PSH | ACK, data(1, message(b"first")))
    connection.packet(1, PSH | ACK, data(1, message(b"other")), seq=at)
    connection.packet(0, ACK)
    connection.trailers().close()
    (found,) = findings(connection, "obs-conflicting-data")
    assert found.severity == "warning"
    assert found.details["by"] == "server"


def test_a_reset_outside_of_the_window() -> None:
    capture = Capture()
    connection = capture.connect().hello().request()
    connection.packet(1, RST, seq=connection.seq[1] + 3_000_000)
    connection.answer().close()
    (found,) = findings(connection, "obs-bad-reset")
    assert found.details["by"] == "server"
    assert not rules(connection)


def test_tls_without_keys() -> None:
    capture = Capture()
    hello = bytes.fromhex("160301002d010000290303") + bytes(33) + bytes.fromhex("0002c02f0100")
    answer = bytes.fromhex("160303002a020000260303") + bytes(33) + bytes.fromhex("c02f00")
    for port in (1, 2, 3):
        connection = capture.connect(f"10.0.0.1:4000{port}", "10.0.0.2:443")
        connection.client(hello).server(answer).client(bytes.fromhex("14030300010117030300050000000000")).close()
    (found,) = findings(capture, "obs-encrypted")
    assert (found.details["connections"], found.details["servers"]) == (3, ["10.0.0.2:443"])
    assert found.details["reason"] == "no-keys"
    assert found.details["seen"][0]["cipher"] == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    diagnosis: Diagnosis = capture.diagnose()
    assert "3 TLS connections without keys" in diagnosis.verdict.not_inspected
    assert "3 TLS connections without keys" in diagnosis.verdict.headline


def run(**facts: object) -> Run:
    from collections import Counter

    from wirecase.model import CallTotals

    whole = {"sources": [], "damages": [], "protocols": Counter(), "calls": CallTotals(), "findings": []}
    return Run(**{**whole, **facts})  # type: ignore[arg-type]


def test_a_damaged_file() -> None:
    damage = Damage(0, 1234, "a record is longer than the file", 17)
    (match,) = check_file_damaged(run(sources=[SourceInfo("a.pcap")], damages=[damage]))
    assert match.severity == "warning"
    assert "a.pcap" in match.title
    assert match.details["packet"] == 17
    assert not list(check_file_damaged(run()))
    assert not list(check_encrypted(run()))


def test_a_syn_that_nobody_answers_is_no_missing_direction() -> None:
    capture = Capture()
    connection = capture.connect(established=False)
    connection.packet(0, SYN)
    assert seen(capture) == set()


def test_limits_are_never_errors() -> None:
    capture = Capture()
    capture.connect(syn=False).request(9).answer(9)
    assert all(f.severity != "error" for f in capture.diagnose().findings if f.rule in LIMITS)
