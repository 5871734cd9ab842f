"""``wirecase watch`` through the command line: pipes, a tool that is played, lines, JSON, the kept file, the end."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from wirecase.live import LivePipeline, Setup, Watch
from wirecase.pipeline import Options
from wirecase.sources import Source
from wirecase_cli.main import main
from wirecase_cli.reports.live_screen import Screen

CAPTURE = Path(__file__).parents[2] / "fixtures" / "rst-midbody" / "capture.pcapng"
RUN = "import sys; from wirecase_cli.main import main; sys.exit(main())"


def piped(*arguments: str, data: bytes = b"", **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", RUN, "watch", *arguments], input=data, capture_output=True, timeout=30,
                          check=False, **more)  # fmt: skip


def events(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a ``dumpcap`` in front of the search path that runs some Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(body: str) -> None:
        path = folder / "dumpcap"
        path.write_text(f"#!{sys.executable}\nimport os, shutil, signal, sys, time\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return make


PLAY = f"""
sys.stdout.buffer.write(open({str(CAPTURE)!r}, 'rb').read())
sys.stdout.flush()
sys.stderr.write("Packets received/dropped on interface 'eth0': 60/%d (pcap:0/dumpcap:0) (100.0%%)\\n")
"""


class TestPipe:
    def test_lines_and_the_report(self) -> None:
        run = piped("-", "--plain", data=CAPTURE.read_bytes())
        assert run.returncode == 1
        lines = run.stdout.decode().splitlines()
        found = [line for line in lines if " error rst-midbody count=" in line]
        assert len(found) == 1
        assert found[0][:4] == "2026"
        assert any(" stats packets=" in line and " dropped=unknown behind=0" in line for line in lines)
        assert "rst-midbody" in run.stdout.decode().partition("wirecase 0.")[2], "the report ends it"
        assert b"\x1b" not in run.stdout

    def test_the_report_is_that_of_the_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        run = piped("-", "--format", "json", data=CAPTURE.read_bytes())
        told = events(run.stdout)
        assert {one["schema"] for one in told} == {"wirecase/watch/1"}
        assert [one["event"] for one in told][-2:] == ["stats", "report"]
        main(["diagnose", "--format", "json", str(CAPTURE)])
        expected = json.loads(capsys.readouterr().out)
        live = told[-1]["report"]
        assert [(f["id"], f["rule"], f["count"]) for f in live["findings"]] == [
            (f["id"], f["rule"], f["count"]) for f in expected["findings"]
        ]
        assert live["calls"] == expected["calls"]
        assert live["accounting"] == expected["accounting"]
        assert live["sources"][0]["sha256"] == expected["sources"][0]["sha256"]

    def test_the_capture_is_kept_as_it_is(self, tmp_path: Path) -> None:
        kept = tmp_path / "kept.pcapng"
        assert piped("-", "-o", str(kept), data=CAPTURE.read_bytes()).returncode == 1
        assert kept.read_bytes() == CAPTURE.read_bytes()
        assert piped("-", "-o", str(kept), data=CAPTURE.read_bytes()).returncode == 2, "it is not overwritten"
        assert piped("-", "-o", str(kept), "--force", data=CAPTURE.read_bytes()).returncode == 1

    @pytest.mark.parametrize(("data", "words"), [(b"", "empty"), (b"<html>no capture</html>", "standard input")])
    def test_what_is_no_capture(self, data: bytes, words: str) -> None:
        run = piped("-", data=data)
        assert run.returncode == 3
        assert words in run.stderr.decode()
        assert run.stderr.count(b"\n") == 1

    def test_ctrl_c_prints_what_is_known(self, tmp_path: Path) -> None:
        run = subprocess.Popen([sys.executable, "-c", RUN, "watch", "-", "--format", "json"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        assert run.stdin is not None
        assert run.stdout is not None
        run.stdin.write(CAPTURE.read_bytes()[:-40])
        run.stdin.flush()
        seen = b""
        while b'"rst-midbody"' not in seen:  # told while the pipe is open
            line = run.stdout.readline()
            assert line
            seen += line
        run.send_signal(signal.SIGINT)
        rest, complaint = run.communicate(timeout=20)
        assert run.returncode == 130, complaint
        report = events(rest)[-1]["report"]
        assert report["interrupted"]
        assert "obs-file-damaged" not in [one["rule"] for one in report["findings"]], "we stopped, it was not cut"

    def test_a_reader_that_has_gone_ends_it(self) -> None:
        run = subprocess.Popen([sys.executable, "-c", RUN, "watch", "-", "--plain"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        assert run.stdin is not None
        assert run.stdout is not None
        run.stdin.write(CAPTURE.read_bytes()[:-40])
        run.stdin.flush()
        run.stdout.readline()
        run.stdout.close()
        until = time.monotonic() + 20
        while run.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        run.stdin.close()
        assert run.wait(10) in (0, 1), "quietly"
        assert run.stderr is not None
        assert not run.stderr.read()

    def test_fail_on(self) -> None:
        assert piped("-", "--fail-on", "never", data=CAPTURE.read_bytes()).returncode == 0


class TestTool:
    def test_what_was_lost_is_told(self, tool: Callable[[str], None], capfd: pytest.CaptureFixture[str]) -> None:
        tool(PLAY % 5)
        assert main(["watch", "-i", "eth0", "--format", "json"]) == 1
        captured = capfd.readouterr()
        told = [json.loads(line) for line in captured.out.splitlines()]
        assert told[-2]["dropped"] == 5
        rules = {one["rule"]: one for one in told[-1]["report"]["findings"]}
        assert rules["obs-capture-drops"]["details"]["dropped"] == 5
        assert "lost 5 packets" in captured.err
        assert told[-1]["report"]["sources"][0]["path"] == "eth0 (dumpcap)"

    def test_the_kept_file_names_the_packets(
        self, tool: Callable[[str], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        tool(PLAY % 0)
        kept = tmp_path / "kept.pcapng"
        assert main(["watch", "-i", "eth0", "--format", "json", "-o", str(kept)]) == 1
        report = json.loads(capfd.readouterr().out.splitlines()[-1])["report"]
        assert report["sources"][0]["path"] == str(kept)
        assert kept.read_bytes() == CAPTURE.read_bytes()

    def test_rights(self, tool: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
        tool("sys.stderr.write('dumpcap: You do not have permission to capture on device \"eth0\".\\n'); sys.exit(1)")
        assert main(["watch", "-i", "eth0"]) == 3
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "sudo setcap cap_net_raw,cap_net_admin+eip" in said

    def test_a_tool_that_dies_on_the_way(self, tool: Callable[[str], None], capfd: pytest.CaptureFixture[str]) -> None:
        tool(PLAY % 0 + "\nsys.stderr.write('dumpcap: The network went down\\n'); sys.exit(2)")
        assert main(["watch", "-i", "eth0", "--format", "json"]) == 3
        captured = capfd.readouterr()
        assert "The network went down" in captured.err
        assert json.loads(captured.out.splitlines()[-1])["report"]["calls"]["total"] > 0, "what was seen is reported"

    def test_duration(self, tool: Callable[[str], None], capfd: pytest.CaptureFixture[str]) -> None:
        tool(
            f"sys.stdout.buffer.write(open({str(CAPTURE)!r}, 'rb').read()); sys.stdout.flush()\n"
            "signal.signal(signal.SIGINT, lambda *_: sys.exit(0))\nwhile True: time.sleep(0.05)"
        )
        assert main(["watch", "-i", "eth0", "--plain", "--duration", "1"]) == 1
        assert "Interrupted" not in capfd.readouterr().out

    def test_list(self, tool: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
        tool("print('1. eth0\\t\\tUplink\\x1b[31m\\t0\\t192.0.2.2\\tnetwork\\t')")
        assert main(["watch", "--list"]) == 0
        said = capsys.readouterr().out
        assert said.startswith("eth0  Uplink")
        assert "\x1b" not in said


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "give -i IFACE"),
            (["capture.pcapng"], "files are for wirecase diagnose"),
            (["-", "-i", "lo"], "leave out --interface"),
            (["-", "-f", "port 1"], "leave out --interface"),
            (["-i", "lo", "-o", "/no/such/folder/x"], "does not exist"),
        ],
    )
    def test_wrong(self, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["watch", *arguments]) == 2
        assert words in capsys.readouterr().err


class TestScreen:
    @pytest.mark.parametrize("height", [8, 24, 60])
    @pytest.mark.parametrize("width", [40, 80, 120])
    def test_it_fits(self, width: int, height: int) -> None:
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=width, height=height, color_system=None)
        watch = Watch(Setup(Options(["-"])))
        watch.live = pipeline = LivePipeline(Options(["-"]))
        for batch in Source(str(CAPTURE)).batches():
            pipeline.feed(batch)
        pipeline.settle()
        screen = Screen(console)
        for one in pipeline.news():
            screen._note(one, watch)
        screen._picture.take(watch, [row for _, row in reversed(screen._rows)])
        lines = console.render_lines(screen._picture, console.options.update(height=height), pad=False)
        assert len(lines) <= height
        text = ["".join(segment.text for segment in line) for line in lines]
        assert all(len(line) <= width for line in text)
        assert text[0].startswith("wirecase watch -")
        if height > 8:
            assert any("rst-midbody" in line for line in text)

    def test_no_escape_of_a_capture_gets_through(self) -> None:
        from captured import Capture

        capture = Capture()
        connection = capture.connect().hello()
        connection.request(1, extra=()).headers(1, ((":status", "500"), ("server", "evil\x1b]52;c;x\x07")), 1)
        connection.close()
        watch = Watch(Setup(Options(["-"])))
        watch.live = pipeline = LivePipeline(Options(["-"]))
        pipeline.feed(capture.batch())
        pipeline.settle()
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=200, height=50, color_system=None)
        with Screen(console) as screen:
            screen.show(watch)
        assert "\x1b]52" not in out.getvalue()
        assert pipeline.board().errors


@pytest.mark.skipif(shutil.which("tcpdump") is None or os.geteuid() != 0, reason="needs tcpdump and root")
def test_tcpdump_on_loopback() -> None:
    """The real tool: a connection to a port of ours is seen, and the end is orderly."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        run = subprocess.Popen(
            [sys.executable, "-c", RUN, "watch", "-i", "lo", "-f", f"tcp port {port}", "--tool", "tcpdump", "--format",
             "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert run.stdout is not None
        try:
            first = json.loads(run.stdout.readline() or "{}") if _ready(run, port) else {}
        finally:
            run.send_signal(signal.SIGINT)
            rest, complaint = run.communicate(timeout=20)
    if b"may not capture" in complaint:
        pytest.skip("capturing is not allowed here")
    assert run.returncode == 130, complaint
    last = json.loads(rest.splitlines()[-1]) if rest else first
    assert last["report"]["sources"][0]["packets"] > 0
    assert last["report"]["sources"][0]["format"] == "pcap"


def _ready(run: subprocess.Popen[bytes], port: int) -> bool:
    """Connect until something is seen."""
    import select
    import socket

    until = time.monotonic() + 15
    while time.monotonic() < until and run.poll() is None:
        with socket.create_connection(("127.0.0.1", port)):
            pass
        if select.select([run.stdout], [], [], 0.3)[0]:
            return True
    return False
