"""What real programs wrote is read as the calls that were made, and nothing made up is blamed on anybody."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from forms_data import DATA, SAMPLES, read, read_unless_refused

from wirecase.errors import InputError

FIVE = ["Unary", "Stream", "Fail", "Slow", "Cut"]
OF_GO = ["Unary", "Fail", "Stream", "Stream", "Stream"]
DOWN = (FIVE, [0, 0, 9, None, None])
"""The listener's side: the client cancels, Envoy resets what its upstream cut."""
DOWN_RULES = ["grpc-app-status", "grpc-deadline", "proxy-fingerprint", "rst-cancel-by-client", "rst-midbody"]
UP_RULES = ["grpc-app-status", "grpc-deadline", "obs-capture-ends"]

EXPECTED: dict[str, tuple[str, list[str], list[int | None], list[str]]] = {
    "envoy-http-buffered-stream.json": ("envoy http tap (json)", ["Stream"], [0], []),
    "envoy-http-buffered-stream.pb_text": ("envoy http tap (text)", ["Stream"], [0], []),
    "envoy-http-buffered-strings.json": ("envoy http tap (json)", ["Unary"], [0], []),
    "envoy-http-buffered-fail.json": ("envoy http tap (json)", ["Fail"], [9], ["grpc-app-status"]),
    "envoy-http-buffered-fail.pb": ("envoy http tap (protobuf)", ["Fail"], [9], ["grpc-app-status"]),
    "envoy-http-buffered-cut.json": (
        "envoy http tap (json)", ["Cut"], [None], ["call-end-unseen", "proxy-fingerprint"],
    ),
    "envoy-http-buffered-truncated.json": ("envoy http tap (json)", ["Stream"], [0], ["obs-form-truncated"]),
    "envoy-http-streamed-stream.json": ("envoy http tap (json)", ["Stream"], [0], []),
    "envoy-http-streamed-stream.pb_length_delimited": (
        "envoy http tap (protobuf, delimited)", ["Stream"], [0], [],
    ),
    "envoy-http-streamed-cut.json": (
        "envoy http tap (json)", ["Cut"], [None], ["obs-capture-ends", "proxy-fingerprint"],
    ),
    "envoy-socket-buffered-down.json": ("envoy socket tap (json)", *DOWN, DOWN_RULES),
    "envoy-socket-buffered-down.pb_text": ("envoy socket tap (text)", *DOWN, DOWN_RULES),
    "envoy-socket-streamed-down.json": ("envoy socket tap (json)", *DOWN, DOWN_RULES),
    "envoy-socket-streamed-down.pb_length_delimited": ("envoy socket tap (protobuf, delimited)", *DOWN, DOWN_RULES),
    "envoy-socket-buffered-up.json": (
        "envoy socket tap (json)", FIVE, [0, 0, 9, 4, None], [*UP_RULES, "rst-cancel-by-client"],
    ),
    "envoy-socket-streamed-up.json": (
        "envoy socket tap (json)", FIVE, [0, 0, 9, 4, None], [*UP_RULES, "rst-cancel-by-client"],
    ),
    "envoy-socket-buffered-up.pb": ("envoy socket tap (protobuf)", FIVE, [0, 0, 9, 4, None], UP_RULES),
    "envoy-socket-buffered-truncated.json": ("envoy socket tap (json)", [], [], ["obs-form-truncated"]),
    "binlog-go-client.bin": (
        "grpc binary log (protobuf, length-prefixed)", OF_GO, [0, 9, 0, None, None],
        ["call-end-unseen", "grpc-app-status", "grpc-deadline", "rst-cancel-by-client"],
    ),
    "binlog-go-client-truncated.bin": (
        "grpc binary log (protobuf, length-prefixed)", OF_GO, [0, 9, 0, None, None],
        ["call-end-unseen", "call-end-unseen", "grpc-app-status", "obs-form-truncated"],
    ),
    "binlog-go-server.bin": (
        "grpc binary log (protobuf, length-prefixed)", OF_GO[:4], [0, 9, 0, 1], ["grpc-app-status", "grpc-app-status"],
    ),
    "binlog-java-client.bin": (
        "grpc binary log (protobuf, delimited)", OF_GO, [None, 9, 0, None, None],
        ["call-end-unseen", "call-end-unseen", "grpc-app-status", "grpc-deadline"],
    ),
    "binlog-java-server.bin": (
        "grpc binary log (protobuf, delimited)", OF_GO, [None, 9, 0, None, None],
        ["call-end-unseen", "grpc-app-status", "grpc-deadline"],
    ),
    "exported-pdu-tls.pcapng": (
        "pcapng", ["Unary", "ServerStream", "ClientStream", "Bidi"], [0, 0, 0, 0], [],
    ),
    "mitmproxy-grpc.flows": (
        "mitmproxy flows", FIVE, [0, 0, 9, None, None], ["call-end-unseen", "call-end-unseen", "grpc-app-status"],
    ),
    "mitmproxy-grpc-web.flows": ("mitmproxy flows", FIVE[:3], [0, 0, 9], ["grpc-app-status"]),
    "grpc.har": ("har", FIVE, [None, None, 9, None, None], ["grpc-app-status"]),
    "grpc-web.har": ("har", FIVE[:3], [0, 0, 9], ["grpc-app-status"]),
}  # fmt: skip


def test_every_sample_is_expected() -> None:
    assert sorted(EXPECTED) == SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
def test_sample(name: str) -> None:
    found = read(DATA / name)
    form, paths, statuses, rules = EXPECTED[name]
    source = found.diagnosis.sources[0]
    assert source.format == form
    assert source.form is not None
    assert found.calls == list(zip(paths, statuses, strict=True))
    assert found.rules == sorted(rules)
    limits = [one for one in found.diagnosis.findings if one.rule == "obs-form-limits"]
    assert limits[0].details["not_shown"] == list(source.form.limits)
    assert limits[0].severity == "info"


@pytest.mark.parametrize("name", ["binlog-go-server.bin", "envoy-http-buffered-fail.pb", "grpc-web.har"])
def test_compressed(name: str, tmp_path: Path) -> None:
    packed = tmp_path / "it"
    packed.write_bytes(gzip.compress((DATA / name).read_bytes()))
    found = read(packed)
    assert found.calls == read(DATA / name).calls
    assert found.diagnosis.sources[0].format == f"{EXPECTED[name][0]}+gzip"


def test_both_traces_of_one_kind_in_one_folder(tmp_path: Path) -> None:
    for name in ("envoy-http-buffered-stream.json", "envoy-http-buffered-fail.pb", "binlog-java-server.bin"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    (tmp_path / "notes.txt").write_text("{}")
    found = read(tmp_path)
    assert sorted(found.calls, key=str)[:3] == [("Fail", 9), ("Fail", 9), ("Stream", 0)]
    assert len(found.diagnosis.sources) == 3


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_anywhere(name: str, tmp_path: Path) -> None:
    data = (DATA / name).read_bytes()
    part = tmp_path / "part"
    step = max(len(data) // 40, 1)
    whole = read(DATA / name).calls
    for size in range(0, len(data), step):
        part.write_bytes(data[:size])
        found = read_unless_refused(part)
        if found is None:
            continue
        assert len(found.calls) <= len(whole)
        assert not any(one.details.get("defect") for one in found.diagnosis.findings)


@pytest.mark.parametrize("name", SAMPLES)
def test_changed_anywhere(name: str, tmp_path: Path) -> None:
    data = (DATA / name).read_bytes()
    chance = random.Random(name)
    part = tmp_path / "part"
    for _ in range(25):
        changed = bytearray(data)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(changed))
            changed[at : at + chance.randrange(0, 3)] = chance.randbytes(chance.randrange(0, 4))
        part.write_bytes(changed)
        found = read_unless_refused(part)
        if found is None:
            continue
        assert not any(one.details.get("defect") for one in found.diagnosis.findings)


@pytest.mark.parametrize("name", [one for one in SAMPLES if one != "exported-pdu-tls.pcapng" and "har" not in one])
def test_what_follows_is_damage(name: str, tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    longer.write_bytes((DATA / name).read_bytes() + b"\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7fgarbage")
    try:
        found = read(longer)
    except InputError:  # one message is the whole file: then it is none
        assert name.endswith((".pb", ".pb_text"))
        return
    assert found.diagnosis.damaged
    assert found.calls == read(DATA / name).calls


def test_the_same_trace_in_every_encoding_says_the_same() -> None:
    names = ("envoy-socket-buffered-down.json", "envoy-socket-streamed-down.json", "envoy-socket-buffered-down.pb_text")
    titles = [[(f.rule, f.title.partition(" after")[0]) for f in read(DATA / name).diagnosis.findings
               if f.rule not in ("obs-form-limits", "grpc-deadline")] for name in names]  # fmt: skip
    assert titles[0] == titles[1] == titles[2]
