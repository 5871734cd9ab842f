"""Hostile bytes wherever a connection can carry them: no command lets one of them out as it is."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import pytest
from captured import PREFACE, Capture
from captures import pcap
from h2_bytes import RESPONSE, data, frame, goaway, message, rst
from h2_bytes import settings as h2_settings
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from wirecase_cli.main import main

CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSAFE = frozenset(map(chr, CONTROLS)) - {"\n"} | frozenset(BIDI)
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(["\x1b]52;c;aGk=\x07", "\x1b[31m", "\x9b31m", "\r", "\t", "\x00", "\x7f", "\n", "\u202egnp"]),
        st.sampled_from(BIDI), st.sampled_from([chr(one) for one in CONTROLS]), st.text("ab/ ", max_size=3),
    ),
    min_size=1, max_size=8,
).map("".join)  # fmt: skip
VIEWS = (
    ("diagnose",), ("diagnose", "--format", "json"), ("diagnose", "--format", "markdown"),
    ("diagnose", "--format", "html"), ("calls",),
    ("calls", "--format", "json"), ("calls", "--format", "csv"), ("show", "--connection", "0", "--all", "--secrets"),
    ("show", "--connection", "0", "--hex", "--all"), ("show", "--connection", "0", "--format", "json", "--hex"),
    ("show", "--call", "0", "--all"),
)  # fmt: skip
EXAMPLES = settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])


def run(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(list(arguments))
    return status, out.getvalue()


def check(capture: Capture) -> None:
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "recorded.pcap", Path(name) / "case.pcapng"
        source.write_bytes(pcap(capture.packets))
        outputs = [(view, *run(view[0], str(source), *view[1:])) for view in VIEWS]
        for options in ([], ["--call", "0"], ["--payloads", "keep"]):
            command = ("extract", str(source), "-o", str(target), "--force", *options)
            outputs.append((command, *run(*command)))
            if target.exists():
                outputs += [(view, *run(view[0], str(target), *view[1:])) for view in (*VIEWS[:3], ("verify",))]
                target.unlink()
    for command, status, said in outputs:
        if "csv" in command:
            said = said.replace("\r\n", "\n")  # its lines end so (RFC 4180 §2)
        found = sorted(set(said) & UNSAFE)
        assert not found, (command, found, said[:2000])
        assert status in (0, 1, 2, 3, 4), (command, said)


@EXAMPLES
@given(HOSTILE, HOSTILE, HOSTILE)
def test_in_headers_texts_and_messages(one, two, three):
    capture = Capture()
    connection = capture.connect().hello()
    raw = [text.encode("utf-8") for text in (one, two, three)]
    fields = (
        (":method", "POST"), (":scheme", "http"), (b":path", b"/demo." + raw[0]), (b":authority", raw[1]),
        ("te", "trailers"), ("content-type", "application/grpc"), (b"user-agent", raw[2]), (b"x-" + raw[0], raw[1]),
        (b"traceparent", raw[2]), (b"grpc-timeout", raw[0]),
    )  # fmt: skip
    connection.client(connection.peers[0].headers(1, fields), data(1, message(raw[0]), 1))
    connection.headers(1, (*RESPONSE, (b"grpc-encoding", raw[1]), (b"server", raw[2]), (b"via", raw[0])))
    connection.server(data(1, message(raw[1])))
    connection.trailers(1, ((b"grpc-status", raw[2][:3]), (b"grpc-message", raw[0] + raw[1])))
    connection.server(frame(0xFB, 0xFF, 7, raw[2]), goaway(1, 11, b"".join(raw))).close()
    check(capture)


@EXAMPLES
@given(HOSTILE, HOSTILE, st.binary(min_size=1, max_size=40))
def test_in_what_is_no_grpc(one, two, three):
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1).headers(1, ((":status", "502"), (b"content-type", b"text/" + one.encode())))
    connection.server(data(1, b"C" + two.encode() + three, 1))
    connection.request(3).headers(3).server(data(3, message(b"x")), rst(3, 0x1B5D3532)).close()
    other = capture.connect("10.0.0.1:40001").client(PREFACE, h2_settings())
    other.request(1).server(b"HTTP/1.1 400 " + one.encode() + b"\r\nserver: " + two.encode() + b"\r\n\r\n" + three)
    other.close()
    check(capture)


@pytest.mark.parametrize("name", ["a\x1b[31mb.pcap", "a\u202eb.pcap", "a\nb.pcap"])
def test_in_names_of_files(name, tmp_path):
    path = str(tmp_path / name)
    for command in ("diagnose", "calls", "show", "verify", "replay"):
        status, said = run(command, path, *(["--call", "0"] if command == "show" else []))
        assert status == 3 and said.count("\n") == 1 and not set(said) & UNSAFE, said
