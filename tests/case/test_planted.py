"""Secrets planted wherever a connection can carry them: nothing that is made of a case shows any."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import pytest
from captured import PREFACE, Capture
from captures import pcap
from h2_bytes import END_STREAM, RESPONSE, data, frame, goaway, message, padded, rst
from h2_bytes import settings as h2_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent / "redact"))
from planted import BY_SHAPE, PASSWORD, TOKEN, bare, encode, field

from wirecase.case.redact import search
from wirecase.model import CLIENT, SERVER
from wirecase_cli.main import main

VIEWS = (
    ("diagnose",), ("diagnose", "--format", "json"), ("diagnose", "--format", "markdown"), ("calls",),
    ("calls", "--format", "json"), ("calls", "--format", "csv"), ("show", "--call", "0", "--hex", "--all"),
    ("show", "--connection", "0", "--hex", "--all"), ("show", "--connection", "0", "--format", "json", "--hex"),
    ("show", "--where", "path~/", "--hex", "--secrets"), ("verify",),
)  # fmt: skip
"""Commands that read a case."""


def run(*arguments: str) -> tuple[int, str]:
    """Run a command; return its status and all that it says."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(list(arguments))
    return status, out.getvalue()


def told(case: Path) -> bytes:
    """The case and everything that any command says of it."""
    parts = [case.read_bytes()]
    for view in VIEWS:
        status, said = run(view[0], str(case), *view[1:])
        assert status in (0, 1, 2), (view, said)
        if status == 2:  # there is no call to show
            assert said.count("\n") == 1, (view, said)
            parts.append(said.encode())
            continue
        parts.append(said.encode())
        if "json" in view:  # what stands behind its escapes
            parts.append(json.dumps(json.loads(said), ensure_ascii=False).encode())
    return b"\n".join(parts)


def status_details(secret: str) -> str:
    """A google.rpc.Status with a secret in its message and in a detail of an unknown type."""
    detail = encode([(1, "type.googleapis.com/acme.Denied"), (2, [(1, secret)])])
    return base64.b64encode(field(1, 16) + field(2, f"denied: {secret}") + field(3, detail)).decode().rstrip("=")


def extracted(capture: Capture, folder: Path, *options: str) -> tuple[Path, bytes]:
    """Write the recording, cut a case out of it; return the case and what the command said."""
    source, target = folder / "recorded.pcap", folder / "case.pcapng"
    source.write_bytes(pcap(capture.packets))
    status, said = run("extract", str(source), "-o", str(target), "--force", *options)
    assert status == 0, said
    return target, said.encode()


def bundled(folder: Path, *options: str) -> bytes:
    """Everything in a bundle about the same recording, and what is said of it."""
    status, said = run("report", str(folder / "recorded.pcap"), "-o", str(folder / "bundle"), *options)
    assert status == 0, said
    files = sorted((folder / "bundle").iterdir())
    assert {"MANIFEST.json", "case.pcapng", "report.json", "report.md"} <= {file.name for file in files}
    parts = [said.encode(), *(file.read_bytes() for file in files)]
    parts += [json.dumps(json.loads(file.read_bytes()), ensure_ascii=False).encode() for file in files
              if file.suffix == ".json"]  # fmt: skip
    status, said = run("verify", str(folder / "bundle"))
    assert status in (0, 1), said
    return b"\n".join([*parts, said.encode()])


def check(capture: Capture, secrets: list[str], *options: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case, said = extracted(capture, folder, *options)
        wanted = [bare(one) for one in secrets]
        everything = said + told(case) + bundled(folder, *options)
        hits = search(everything, wanted)
        assert not hits, [
            (hit.encoding, secrets[hit.secret], everything[max(hit.offset - 60, 0) : hit.offset + 60]) for hit in hits
        ]


EXAMPLES = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.explicit, Phase.generate]
)
"""Few, as each goes through a dozen commands; what fails is not made smaller, for the same reason."""


@EXAMPLES
@given(BY_SHAPE, PASSWORD, TOKEN, PASSWORD, TOKEN)
def test_in_headers_and_messages(shaped, named, kept, cookie, payload):
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(
        1,
        body=message(encode([(1, 1), (2, payload), (3, [(1, 5), (2, named)])])),
        extra=(
            ("authorization", f"Bearer {kept}"), ("cookie", f"sid={cookie}; theme=dark"), ("x-api-key", named),
            ("x-note", f"call it {shaped}"), ("x-trail-bin", base64.b64encode(payload.encode()).decode()),
        ),
    )  # fmt: skip
    connection.headers(1, (*RESPONSE, ("set-cookie", f"sid={cookie}; Path=/"), ("x-session-token", named)))
    connection.server(data(1, message(encode([(1, 1), (2, payload)]))))
    connection.server(frame(0, 0x8, 1, padded(message(payload.encode()), 3)))
    details = (("grpc-status-details-bin", status_details(shaped)), ("x-owner", payload))
    connection.trailers(
        1, (("grpc-status", "13"), ("grpc-message", f"{kept} was refused%0A, so was {named}"), *details)
    )
    connection.close()
    check(capture, [shaped, named, kept, cookie, payload], "--call", "0")


@EXAMPLES
@given(BY_SHAPE, BY_SHAPE, TOKEN, st.sampled_from(["text", "page", "binary", "json"]))
def test_in_what_is_no_grpc(shaped, other, token, kind):
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1, extra=(("authorization", f"Bearer {token}"),))
    body = {
        "text": f"Connection refused, authorization: Bearer {token}, key {shaped}",
        "page": f"<html><body>502 {shaped}<a href='https://u:{other}@proxy.internal/'>{token}</a></body></html>",
        "binary": "\x93\x94\x95" + shaped + "\0\0\x9f" + token,
        "json": json.dumps({"error": "denied", "access_token": token, "api_key": other, "note": shaped}),
    }[kind].encode("latin-1")
    connection.headers(1, (*RESPONSE[:1], ("content-type", "application/grpc"))).server(data(1, body)).trailers(1)
    connection.server(frame(0xFA, 0, 0, f"extension {shaped}".encode()))
    connection.server(goaway(1, 2, f"bad key {other} of {token}".encode())).close()
    check(capture, [shaped, other, token])


@EXAMPLES
@given(BY_SHAPE, TOKEN)
def test_in_http1_of_a_server(shaped, token):
    capture = Capture()
    connection = capture.connect().client(PREFACE, h2_settings())
    connection.request(1, extra=(("authorization", f"Bearer {token}"),))
    connection.server(
        f"HTTP/1.1 401 Unauthorized\r\nx-debug: {shaped}\r\nset-cookie: sid={token}\r\n\r\nno: {token}".encode()
    )
    check(capture, [shaped, token])


@EXAMPLES
@given(BY_SHAPE, TOKEN)
def test_in_http1_of_a_client(shaped, token):
    capture = Capture()
    connection = capture.connect()
    connection.client(
        f"POST /v1?api_key={token} HTTP/1.1\r\nhost: api\r\nauthorization: Bearer {token}\r\n\r\n{shaped}".encode()
    )
    connection.server(h2_settings(), goaway(0, 1, f"bad preface from {shaped}".encode())).close()
    check(capture, [shaped, token])


@EXAMPLES
@given(BY_SHAPE, TOKEN)
def test_in_frames_that_were_never_finished(shaped, token):
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1, extra=(("authorization", f"Bearer {token}"),))
    connection.headers(1)
    whole = data(1, message(encode([(1, 1), (2, shaped), (3, token)]) + bytes(400)))
    connection.server(whole[: len(whole) - 350]).fin(SERVER).fin(CLIENT)
    check(capture, [shaped, token])


@EXAMPLES
@given(TOKEN, PASSWORD)
def test_in_unfinished_header_blocks(token, named):
    capture = Capture()
    connection = capture.connect("127.0.0.1:40000", "127.0.0.1:50051").hello()
    block = connection.peers[CLIENT].headers(
        1, ((":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), ("content-type", "application/grpc"),
            ("authorization", f"Bearer {token}"), ("x-api-key", named))
    )[9:]  # fmt: skip
    connection.client(frame(1, 0, 1, block[:-3]), data(1, message(b"x"), END_STREAM))
    connection.server(goaway(0, 1, b"expected CONTINUATION")).close()
    check(capture, [token, named])


@EXAMPLES
@given(TOKEN, PASSWORD)
def test_under_other_policies(token, named):
    for options in (("--payloads", "hash"), ("--payloads", "keep", "--context", "1")):
        capture = Capture()
        connection = capture.connect().hello()
        connection.call(1).request(3, extra=(("authorization", f"Bearer {token}"), ("x-api-key", named)))
        connection.headers(3).server(data(3, message(b"half"))).server(rst(3, 2)).close()
        check(capture, [token, named], *options)


@pytest.mark.parametrize("names", [("authorization",), ("x-api-key",)])
def test_what_was_asked_for_by_name_is_kept_and_nothing_else(names, tmp_path):
    capture = Capture()
    connection = capture.connect().hello()
    secrets = {"authorization": "zq8WmvXhTt3L5pRc", "x-api-key": "kD7yNbVe2sGf9uJa"}
    connection.request(1, extra=tuple(secrets.items())).headers(1).server(rst(1, 2)).close()
    options = [part for name in names for part in ("--keep-secrets", name)]
    case, _ = extracted(capture, tmp_path, *options)
    for name, secret in secrets.items():
        assert bool(search(case.read_bytes(), [secret.encode()])) == (name in names)


@EXAMPLES
@given(TOKEN)
def test_in_error_lines(token):
    """A command that fails says why without quoting what it read."""
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1, extra=(("authorization", f"Bearer {token}"),)).headers(1).server(rst(1, 2)).close()
    with tempfile.TemporaryDirectory() as name:
        case, _ = extracted(capture, Path(name))
        source = str(Path(name) / "recorded.pcap")
        target = str(Path(name) / "other.pcapng")
        failing = (
            ("extract", source, "-o", str(case)), ("extract", source, "-o", target, "--finding", "F77"),
            ("extract", source, "-o", target, "--where", "status=0 and path~Nothing"), ("verify", source),
            ("show", source, "--call", "99"), ("calls", source, "--where", "path~"), ("replay", source, "--call", "99"),
        )  # fmt: skip
        for arguments in failing:
            status, said = run(*arguments)
            assert status in (2, 3, 4) and said.count("\n") == 1, (arguments, said)
            assert not search(said.encode(), [token.encode()])
