"""Whoever is to be told: Prometheus, a command, an address."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from wirecase.errors import UsageError
from wirecase.recording.cases import Outcome
from wirecase.recording.hooks import Hooks
from wirecase.recording.metrics import Endpoint, Numbers

OUTCOME = Outcome(1, ["http-error-with-body"], "/tmp/a case.pcapng", headline="It broke.", size=17)


def test_metrics_are_answered() -> None:
    pytest.importorskip("prometheus_client", reason="wirecase[live] is not installed")
    numbers = Numbers({"calls": {("ok",): 3, ("failed",): 1}, "connections": 2}, {"lag_seconds": 0.5})
    endpoint = Endpoint(("127.0.0.1", 0), lambda: numbers)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.address[1]}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    finally:
        endpoint.close()
    assert 'wirecase_calls_total{outcome="ok"} 3.0' in text
    assert "wirecase_connections_total 2.0" in text
    assert "wirecase_lag_seconds 0.5" in text


def test_a_command_is_run_without_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "hook.py"
    target = tmp_path / "told"
    script.write_text(
        "import os, sys, pathlib\n"
        "pathlib.Path(sys.argv[1]).write_text(os.environ['WIRECASE_CASE'] + '\\n' + sys.stdin.read())\n"
    )
    hooks = Hooks(f"{sys.executable} {script} '{target}'", None)
    hooks.tell(OUTCOME)
    hooks.close()
    case, _, told = target.read_text().partition("\n")
    assert case == "/tmp/a case.pcapng"
    assert json.loads(told)["headline"] == "It broke."
    assert (hooks.told, hooks.failed) == (1, 0)


def test_one_that_fails_is_counted() -> None:
    hooks = Hooks(f"{sys.executable} -c 'raise SystemExit(3)'", None)
    hooks.tell(OUTCOME)
    hooks.close()
    assert (hooks.told, hooks.failed) == (0, 1)


@pytest.mark.parametrize(("command", "url"), [("/no/such/command", None), ("", None), (None, "ftp://x/"), (None, "x")])
def test_what_cannot_be_told_is_refused_at_once(command: str | None, url: str | None) -> None:
    with pytest.raises(UsageError):
        Hooks(command, url)


@pytest.fixture
def site() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    heard: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(302 if self.path == "/moved" else 204)
            if self.path == "/moved":
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", heard
    server.shutdown()
    server.server_close()


def test_an_address_is_posted_to_and_no_other(
    site: tuple[str, list[tuple[str, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    url, heard = site
    for path, good in (("/hook", True), ("/moved", False)):
        hooks = Hooks(None, url + path)
        hooks.tell(OUTCOME)
        hooks.close()
        assert (hooks.told, hooks.failed) == (int(good), int(not good))
    assert [path for path, _ in heard] == ["/hook", "/moved"]
    assert json.loads(heard[0][1])["rules"] == ["http-error-with-body"]
