"""``wirecase probe`` through the command line: reports, the case, nginx before a real server, wrong usage."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from live_servers import H2Server, grpc_answer, page, serving

from wirecase.replay.tls import Tls
from wirecase_cli.main import main


def validate(text: str) -> dict[str, object]:
    schema = json.loads(resources.files("wirecase_cli").joinpath("reports", "probe_v1.schema.json").read_text())
    document: dict[str, object] = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


class TestReports:
    def test_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        with serving(H2Server(grpc_answer)) as port:
            assert main(["probe", f"127.0.0.1:{port}", "--method", "/demo.Echo/Unary", "--no-grpcio"]) == 0
        said = capsys.readouterr().out
        assert "✓ call             OK, 1 message (2 bytes)" in said
        assert said.endswith("Nothing wrong was seen.\n")

    def test_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        with serving(H2Server(grpc_answer)) as port:
            main(["probe", f"127.0.0.1:{port}", "--no-grpcio", "--format", "json"])
        document = validate(capsys.readouterr().out)
        assert document["verdict"] == "fine"
        assert document["target"]["name"] == f"127.0.0.1:{port}"  # type: ignore[index]

    def test_json_without_a_connection(self, capsys: pytest.CaptureFixture[str]) -> None:
        with serving(lambda sock: None) as port:
            pass
        assert main(["probe", f"127.0.0.1:{port}", "--format", "json"]) == 3
        document = validate(capsys.readouterr().out)
        assert (document["verdict"], document["report"]) == ("unreachable", None)

    def test_json_over_tls(self, capsys: pytest.CaptureFixture[str]) -> None:
        made = Tls()
        with serving(H2Server(grpc_answer), made.context) as port:
            main(["probe", f"127.0.0.1:{port}", "--ca", made.ca, "--no-grpcio", "--format", "json"])
        made.close()
        document = validate(capsys.readouterr().out)
        assert isinstance(document["tls"], dict)
        assert document["tls"]["alpn"] == "h2"

    def test_what_a_server_says_is_escaped(self, capsys: pytest.CaptureFixture[str]) -> None:
        def evil(_path: str) -> tuple[list[tuple[str, str]], bytes, None]:
            head = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "2")]
            return [*head, ("grpc-message", "%1B]52;c;eA==%07%E2%80%AE")], b"", None

        with serving(H2Server(evil)) as port:
            main(["probe", f"127.0.0.1:{port}", "--method", "/a.B/C", "--no-grpcio"])
        said = capsys.readouterr().out
        assert "\\x1b]52" in said
        assert "\x1b" not in said
        assert "\u202e" not in said


class TestCase:
    def test_of_a_finding(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "case.pcapng"
        with serving(H2Server(page(502))) as port:
            assert main(["probe", f"127.0.0.1:{port}", "--no-grpcio", "-o", str(file)]) == 1
        said = capsys.readouterr().out
        assert f"{file} is the case of F" in said.replace("\n", "")
        assert main(["verify", str(file)]) == 0
        capsys.readouterr()
        assert main(["diagnose", "--format", "json", str(file)]) == 1
        report = json.loads(capsys.readouterr().out)
        assert "http-error-with-body" in [one["rule"] for one in report["findings"]]

    def test_the_recording_where_nothing_is_wrong(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "recording.pcapng"
        with serving(H2Server(grpc_answer)) as port:
            assert main(["probe", f"127.0.0.1:{port}", "--no-grpcio", "-o", str(file)]) == 0
        assert "holds the whole recording, not redacted" in capsys.readouterr().out
        assert main(["diagnose", str(file)]) == 0


def test_ctrl_c_prints_what_is_known() -> None:
    code = "import sys; from wirecase_cli.main import main; sys.exit(main())"
    server = H2Server(grpc_answer)
    with serving(server) as port:
        run = subprocess.Popen(
            [sys.executable, "-c", code, "probe", f"127.0.0.1:{port}", "--no-grpcio", "--for", "60"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        until = time.monotonic() + 20
        while "/wirecase.probe.v1.NoSuchService/NoSuchMethod" not in server.paths and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.5)  # the connection is held by now
        run.send_signal(signal.SIGINT)
        out, complaint = run.communicate(timeout=20)
    assert run.returncode == 130, complaint
    said = out.decode()
    assert "✓ ping" in said
    assert "no PING was due" in said
    assert "interrupted: this is what was known then" in said


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["nowhere"], "write HOST:PORT"),
            (["127.0.0.1:1", "--method", "Echo"], "write /package.Service/Method"),
            (["127.0.0.1:1", "--data-hex", "00"], "goes with --method"),
            (["127.0.0.1:1", "--method", "/a/b", "--data-hex", "zz"], "--data-hex"),
            (["127.0.0.1:1", "--plaintext", "--insecure"], "are for --tls"),
            (["127.0.0.1:1", "--ca", "x", "--insecure"], "exclude each other"),
            (["127.0.0.1:1", "--metadata", "x"], "write NAME=VALUE"),
        ],
    )
    def test_wrong(self, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["probe", *arguments]) == 2
        assert words in capsys.readouterr().err

    def test_no_such_authority(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["probe", "127.0.0.1:1", "--ca", "/no/such/file"]) == 3
        assert "no such file" in capsys.readouterr().err

    def test_an_unknown_host(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["probe", "no-such-host.invalid:50051"]) == 3
        assert "the host is not known" in capsys.readouterr().err


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """nginx with one route to a server over h2, a page for all other paths; its port and that of the upstream."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(H2Server(grpc_answer)) as upstream:
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
            "events {}\nhttp { access_log off; "
            + " ".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + f" server {{ listen 127.0.0.1:{port} http2; "
            f"location /demo.Echo/ {{ grpc_pass grpc://127.0.0.1:{upstream}; }} }} }}\n"
        )  # fmt: skip
        run = subprocess.Popen([program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
                               stderr=subprocess.PIPE)  # fmt: skip
        until = time.monotonic() + 10
        while time.monotonic() < until and run.poll() is None:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        try:
            yield port, upstream
        finally:
            run.terminate()
            run.communicate(timeout=10)


def test_behind_nginx(nginx: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    """The proxy's 404 and 405 pages for what only we ask for are noted, and the route that there is works."""
    port, _ = nginx
    assert main(["probe", f"127.0.0.1:{port}", "--method", "/demo.Echo/Unary", "--no-grpcio", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    told = {one["id"]: one for one in document["checks"]}
    assert told["call"]["text"].startswith("OK, 1 message")
    assert told["health"]["state"] == "note"
    assert "nginx" in told["health"]["text"]
    assert told["unknown-method"]["state"] == "ok", "the route leads to a server that knows gRPC"
    assert not document["findings"]
