"""Cases cut out of recordings: what they show, what they leave out, what they add."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from captured import Capture
from captures import pcap
from h2_bytes import RESPONSE, data, goaway, message, rst, window_update
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wirecase.case.carry import why_not
from wirecase.case.extract import CannotCarryError, Request, VerdictLostError, extract
from wirecase.case.manifest import read_manifest
from wirecase.case.redact import Policy, Redactor, search
from wirecase.case.redaction import Unmasked
from wirecase.case.select import Selection
from wirecase.case.verify import verify
from wirecase.errors import InputError, UsageError
from wirecase.model import CLIENT, SERVER, Diagnosis
from wirecase.pipeline import Options, diagnose

FIXTURES = Path(__file__).parents[2] / "fixtures"
CANNOT_SHOW = ("obs-conflicting-data", "tcp-retransmission-storm", "tcp-zero-window")


def fixture(name: str) -> str:
    return str(FIXTURES / name / "capture.pcapng")


def cut(path: str | Path, target: Path, masks=None, **selection):
    return extract(Request([str(path)], target, Selection(**selection)), masks or Redactor(Policy()))


def faulty() -> list[str]:
    """Every fixture in which something is found that a case can show."""
    found = []
    for folder in sorted(FIXTURES.iterdir()):
        path = folder / "capture.pcapng"
        if list(folder.glob("*.binpb")):  # what is found there is found with a schema, which `extract` does not take
            continue
        expected = folder / "expected.json"
        if path.exists() and expected.exists():
            rules = re.findall(r'"rule": "([^"]+)"', expected.read_text())
            if any(why_not(rule) is None for rule in rules):
                found.append(folder.name)
    return found


def same(recorded: Diagnosis, case: Diagnosis, rule: str) -> None:
    """The rule says the same of the same number of calls."""
    one = next(f for f in recorded.findings if f.rule == rule)
    other = next(f for f in case.findings if f.rule == rule)
    assert (one.severity, one.certainty, one.who, one.stream, one.retry_safe) == (
        other.severity, other.certainty, other.who, other.stream, other.retry_safe,
    )  # fmt: skip


@pytest.mark.parametrize("name", faulty())
def test_every_faulty_fixture_keeps_its_verdict(name, tmp_path):
    target = tmp_path / "case.pcapng"
    if name in CANNOT_SHOW:
        with pytest.raises(CannotCarryError, match="cannot be shown"):
            cut(fixture(name), target)
        assert not target.exists()
        return
    made = cut(fixture(name), target)
    assert made.size == target.stat().st_size
    found = diagnose(Options([str(target)]))
    shown = {one.id for one in found.findings}
    assert made.matches and all(match.shown is None or match.shown.id in shown for match in made.matches)
    checked = verify(str(target))
    assert checked.sound, (checked.problems, checked.differences, checked.secrets)
    books = found.accounting
    assert books.unbalanced == [] and books.captured == books.decoded + sum(books.skipped.values())


@pytest.mark.parametrize("rule", ["rst-midbody", "http-error-with-body", "grpc-status-missing", "goaway-race"])
def test_a_case_says_the_same_in_every_respect(rule, tmp_path):
    recorded = diagnose(Options([fixture(rule)]))
    wanted = next(f.id for f in recorded.findings if f.rule == rule)
    cut(fixture(rule), tmp_path / "case.pcapng", finding=wanted)
    same(recorded, diagnose(Options([str(tmp_path / "case.pcapng")])), rule)


def test_the_incident_is_shown_over_all_its_legs(tmp_path):
    made = cut(fixture("incident"), tmp_path / "case.pcapng")
    found = diagnose(Options([str(tmp_path / "case.pcapng")]))
    by_id = {one.id: one for one in found.findings}
    flag = next(one for one in found.findings if one.rule == "grpc-invalid-compression-flag")
    chain = [flag]
    while chain[-1].caused_by:
        chain.append(by_id[chain[-1].caused_by])
    assert chain[0].rule == "grpc-invalid-compression-flag"
    assert chain[-1].rule == "body-cut-connection"
    assert "tcp-refused" in {one.rule for one in chain}
    assert len({note["client"] for note in made.notes}) >= 3
    assert made.size < 64 * 1024


def test_the_manifest_tells_where_the_case_comes_from(tmp_path):
    target = tmp_path / "case.pcapng"
    cut(fixture("grpc-invalid-compression-flag"), target)
    manifest = read_manifest(str(target))
    assert manifest["schema"] == "wirecase/case/1"
    assert re.fullmatch("[0-9a-f]{64}", manifest["sources"][0]["sha256"])
    assert "capture.pcapng" not in str(manifest) and str(FIXTURES) not in str(manifest)
    assert manifest["shows"][0]["recorded"]["rule"] == "grpc-invalid-compression-flag"
    assert manifest["connections"][0]["recorded_server_port"] == 50061
    assert manifest["redaction"]["payloads"] == "redact"


def test_what_is_no_case_is_refused(tmp_path):
    for content in (b"", b"\x0a\x0d\x0d\x0a", b"\x0a\x0d\x0d\x0a" + b"\xff" * 40):
        path = tmp_path / "no.pcapng"
        path.write_bytes(content)
        with pytest.raises(InputError, match="is no case"):
            read_manifest(str(path))
    with pytest.raises(InputError, match="is no case"):
        verify(fixture("incident"))


def test_a_changed_case_is_told(tmp_path):
    target = tmp_path / "case.pcapng"
    cut(fixture("grpc-invalid-compression-flag"), target, masks=Unmasked())
    content = target.read_bytes()
    changed = content.rfind(b"Connection reset by upstream while")
    target.write_bytes(content[:changed] + b"E" + content[changed + 1 :])
    checked = verify(str(target))
    assert any("flag" in line for line in checked.differences)


def test_a_planted_secret_is_told(tmp_path):
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1, extra=(("x-note", "AKIAABCDEFGHIJKLMNOP"),))
    connection.headers(1).server(rst(1, 2))
    path = write(capture, tmp_path)
    cut(path, tmp_path / "kept.pcapng", masks=Unmasked())
    assert any("aws-key" in line for line in verify(str(tmp_path / "kept.pcapng")).secrets)
    cut(path, tmp_path / "masked.pcapng")
    assert verify(str(tmp_path / "masked.pcapng")).sound
    assert b"AKIAABCDEFGHIJKLMNOP" not in (tmp_path / "masked.pcapng").read_bytes()


def write(capture: Capture, folder: Path) -> Path:
    path = folder / "recorded.pcap"
    path.write_bytes(pcap(capture.packets))
    return path


def several(count: int = 5, bad: int = 5) -> Capture:
    """Calls on streams 1, 3 …, of which one is reset by the server."""
    capture = Capture()
    connection = capture.connect().hello()
    for stream in range(1, 2 * count, 2):
        connection.request(stream)
        if stream == bad:
            connection.headers(stream).server(data(stream, message(b"half an answer"))).server(rst(stream, 2))
        else:
            connection.headers(stream).server(data(stream, message(b"answer"))).trailers(stream)
        connection.client(window_update(0, 1000))
    connection.close()
    return capture


def streams_of(path: Path) -> list[int]:
    calls: list[int] = []
    diagnose(Options([str(path)]), on_call=lambda call, _: calls.append(call.stream.id))
    return sorted(calls)


def test_other_streams_are_left_out_and_neighbours_kept_on_demand(tmp_path):
    path = write(several(), tmp_path)
    target = tmp_path / "case.pcapng"
    cut(path, target)
    assert streams_of(target) == [5]
    target.unlink()
    cut(path, target, context=1)
    assert streams_of(target) == [3, 5, 7]
    target.unlink()
    cut(path, target, call=0)
    assert streams_of(target) == [1]
    target.unlink()
    cut(path, target, call=0, context=2)
    assert streams_of(target) == [1, 3, 5]


def test_calls_can_be_asked_for_by_a_predicate(tmp_path):
    path = write(several(), tmp_path)
    cut(path, tmp_path / "case.pcapng", where=lambda call, findings: call.stream.id in (1, 9))
    assert streams_of(tmp_path / "case.pcapng") == [1, 9]


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ({"finding": "F99"}, "no finding F99"),
        ({"call": 99}, "no call 99"),
        ({"where": lambda c, f: False}, "no call matches"),
    ],
)
def test_what_is_not_there_is_said(selection, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        cut(write(several(), tmp_path), tmp_path / "case.pcapng", **selection)
    assert list(tmp_path.glob("*case*")) == []


def test_where_nothing_is_found_all_calls_are_kept(tmp_path):
    made = cut(fixture("healthy-grpcjs-gzip"), tmp_path / "case.pcapng")
    assert made.findings == [] and made.diagnosis.calls.ok == made.recording.calls.ok > 1


def test_nothing_at_all_is_said(tmp_path):
    with pytest.raises(CannotCarryError, match="no fault and no gRPC call"):
        cut(fixture("healthy-http1"), tmp_path / "case.pcapng")
    assert list(tmp_path.iterdir()) == []


def test_the_credit_for_what_was_left_out_is_left_out(tmp_path):
    """Window updates for the DATA of dropped streams would overflow the connection's window."""
    capture = Capture()
    connection = capture.connect().hello(client=((4, 1 << 30),))
    connection.client(window_update(0, (1 << 31) - 1 - 65535))
    for stream in range(1, 41, 2):
        connection.request(stream).headers(stream)
        connection.server(data(stream, message(bytes(9000)))).trailers(stream)
        connection.client(window_update(0, 9005))
    connection.request(41).headers(41).server(rst(41, 2)).close()
    cut(write(capture, tmp_path), tmp_path / "case.pcapng")
    assert {one.rule for one in diagnose(Options([str(tmp_path / "case.pcapng")])).findings} == {"rst-midbody"}


def test_a_call_that_begins_in_a_capture_that_joined_late(tmp_path):
    """Its dynamic table, its SETTINGS and its handshake are out of sight."""
    capture = Capture()
    connection = capture.connect(syn=False)
    hidden = Capture().connect()
    hidden.peers = connection.peers
    hidden.hello().request(1).headers(1).trailers(1)  # fills the tables of both peers
    for stream in (3, 5, 7):
        connection.request(stream).headers(stream).server(data(stream, message(b"x"))).trailers(stream)
    connection.request(9).headers(9).server(data(9, message(b"half"))).server(rst(9, 2))
    connection.close()
    recorded = diagnose(Options([str(write(capture, tmp_path))]))
    assert "obs-midconnection" in {one.rule for one in recorded.findings}
    made = cut(tmp_path / "recorded.pcap", tmp_path / "case.pcapng")
    assert made.notes[0]["joined_late"] == ["client", "server"] and made.notes[0]["handshake_added"]
    found = diagnose(Options([str(tmp_path / "case.pcapng")]))
    assert [one.rule for one in found.findings] == ["rst-midbody"]
    assert made.notes[0]["assumed"]


def test_a_frame_cut_by_a_fin_stays_cut(tmp_path):
    capture = Capture()
    connection = capture.connect().hello().request(1).headers(1)
    connection.server(data(1, message(bytes(5000)))[:1000]).fin(SERVER).fin(CLIENT)
    recorded = diagnose(Options([str(write(capture, tmp_path))]))
    cut(tmp_path / "recorded.pcap", tmp_path / "case.pcapng")
    found = diagnose(Options([str(tmp_path / "case.pcapng")]))
    assert [one.rule for one in found.findings] == [one.rule for one in recorded.findings]
    assert found.findings[0].details.get("body_bytes") == recorded.findings[0].details.get("body_bytes")


def test_a_silence_up_to_the_end_of_the_capture_is_kept(tmp_path):
    """Another connection goes on; the open call's does not."""
    capture = Capture()
    connection = capture.connect().hello().request(1).headers(1)
    connection.server(data(1, message(bytes(500)))[:200])
    other = capture.connect(client="10.0.0.1:40001")
    other.wait(90).hello().request(1).headers(1).trailers(1).close()
    recorded = diagnose(Options([str(write(capture, tmp_path))]))
    cut(tmp_path / "recorded.pcap", tmp_path / "case.pcapng", call=0)
    found = diagnose(Options([str(tmp_path / "case.pcapng")]))
    assert found.sources[0].last == recorded.sources[0].last
    assert found.connections == 1 and found.calls.unfinished == 1


def test_a_case_that_tells_something_else_is_not_written(tmp_path):
    class Wrong(Unmasked):
        def message(self, payload, **_):
            return payload

        def headers(self, fields, *, side):
            return [(name, b"0" if name == b"grpc-status" else value) for name, value in fields]

    with pytest.raises(VerdictLostError, match="did not survive"):
        cut(fixture("grpc-local-reply"), tmp_path / "case.pcapng", masks=Wrong())
    assert list(tmp_path.iterdir()) == []


def test_the_same_recording_gives_the_same_case(tmp_path):
    one = cut(fixture("incident"), tmp_path / "one.pcapng")
    other = cut(fixture("incident"), tmp_path / "other.pcapng")
    assert one.sha256 == other.sha256


def test_a_case_of_a_case_is_a_case(tmp_path):
    cut(fixture("incident"), tmp_path / "one.pcapng")
    made = cut(tmp_path / "one.pcapng", tmp_path / "two.pcapng")
    assert made.not_carried == [] and verify(str(tmp_path / "two.pcapng")).sound


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
class TestTshark:
    def read(self, path: Path, *options: str) -> list[str]:
        done = subprocess.run(
            ["tshark", "-r", str(path), *options], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    @pytest.mark.parametrize(
        "name",
        ["apache-page-midstream", "body-cut-connection", "grpc-invalid-compression-flag", "incident", "rst-midbody"],
    )
    def test_it_finds_the_calls_by_itself(self, name, tmp_path):
        cut(fixture(name), tmp_path / "case.pcapng")
        assert self.read(tmp_path / "case.pcapng", "-Y", "grpc", "-T", "fields", "-e", "frame.number")

    def test_it_shows_the_comments_and_correct_checksums(self, tmp_path):
        cut(fixture("rst-midbody"), tmp_path / "case.pcapng")
        checks = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
        bad = "tcp.checksum.status == 0 || ip.checksum.status == 0 || tcp.analysis.flags"
        assert self.read(tmp_path / "case.pcapng", *checks, "-Y", bad) == []
        shown = self.read(tmp_path / "case.pcapng", "-Y", "frame.comment", "-T", "fields", "-e", "frame.comment")
        assert any("rst-midbody" in line for line in shown)


TOKENS = st.integers(0, 1 << 64).map(lambda number: hashlib.sha256(str(number).encode()).hexdigest()[:28])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TOKENS, TOKENS, TOKENS, TOKENS)
def test_planted_secrets_do_not_travel(tmp_path, token, cookie, payload, spoken):
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1, extra=(("authorization", f"Bearer {token}"), ("cookie", f"sid={cookie}")))
    connection.headers(1, (*RESPONSE, ("set-cookie", f"sid={cookie}; Path=/"), ("x-api-key", token)))
    connection.server(data(1, message(payload.encode())))
    connection.trailers(1, (("grpc-status", "13"), ("grpc-message", f"authorization: Bearer {token} was refused")))
    connection.request(3, body=message(payload.encode()), extra=(("authorization", f"Bearer {token}"),))
    connection.headers(3).server(data(3, b"Connection reset, Authorization: Bearer " + spoken.encode()))
    connection.trailers(3).close()
    path = write(capture, tmp_path)
    secrets = {one.encode() for one in (token, cookie, payload, spoken)}
    assert search(path.read_bytes(), secrets)
    for finding in ("F1", "F2"):
        target = tmp_path / "case.pcapng"
        try:
            cut(path, target, finding=finding)
        except UsageError:
            continue
        assert search(target.read_bytes(), secrets) == []
        target.unlink()


def test_many_calls_on_a_connection_that_is_kept_whole(tmp_path):
    """More than are remembered once they are closed, with frames that come late."""
    capture = Capture()
    connection = capture.connect().hello()
    for stream in range(1, 1201, 2):
        connection.request(stream).headers(stream).server(data(stream, message(b"x"))).trailers(stream)
        connection.client(rst(max(stream - 700, 1), 8) if stream > 1000 else window_update(stream, 10))
    connection.server(goaway(1199, 11, b"too_many_pings")).close()
    made = cut(write(capture, tmp_path), tmp_path / "case.pcapng")
    assert made.notes[0]["streams"] == "all"
    assert len(streams_of(tmp_path / "case.pcapng")) == 600
