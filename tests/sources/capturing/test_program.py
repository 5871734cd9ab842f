"""dumpcap and tcpdump as children: what is asked of them, what they say, and that they end."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import pytest

from wirecase.sources.capturing import (
    CaptureError,
    CaptureProgram,
    CaptureTool,
    Interface,
    capture_tool,
    interfaces,
    tools,
)
from wirecase.sources.capturing.program import Wish

EVERY = Wish(("eth0",), "tcp port 50051")


def fake(folder: Path, name: str, body: str) -> CaptureTool:
    """A program of this name that runs `body`; its arguments are in ``sys.argv``."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return CaptureTool(name, str(path))  # type: ignore[arg-type]


def output(program: CaptureProgram) -> bytes:
    out = b""
    while piece := os.read(program.output, 1 << 16):
        out += piece
    program.end()
    return out


class TestArguments:
    def test_dumpcap(self, tmp_path: Path) -> None:
        tool = fake(tmp_path, "dumpcap", "print('|'.join(sys.argv[1:]))")
        said = output(CaptureProgram(tool, Wish(("eth0", "lo"), "port 1", buffer=3))).decode().strip()
        assert said == "-f|port 1|-q|-s|0|-B|3|-i|eth0|-i|lo|-w|-", "a filter before the first -i counts for all"

    def test_tcpdump(self, tmp_path: Path) -> None:
        tool = fake(tmp_path, "tcpdump", "print('|'.join(sys.argv[1:]))")
        said = output(CaptureProgram(tool, Wish(("eth0",), "-w /etc/passwd", buffer=3))).decode().strip()
        assert said == "-U|-n|-s|0|-B|3072|-i|eth0|-w|-|--|-w /etc/passwd", "a filter can be nothing but a filter"

    def test_tcpdump_takes_one_interface(self, tmp_path: Path) -> None:
        with pytest.raises(CaptureError, match="one interface"):
            CaptureProgram(fake(tmp_path, "tcpdump", ""), Wish(("a", "b")))


class TestStopping:
    @pytest.mark.parametrize(("name", "waits"), [("tcpdump", True), ("dumpcap", False)])
    def test_tcpdump_gets_what_the_kernel_still_holds(self, name: str, waits: bool, tmp_path: Path) -> None:
        body = (
            "signal.signal(signal.SIGINT, lambda *_: os._exit(0))\n"
            "os.write(1, b'begun')\ntime.sleep(0.6)\nos.write(1, b' late')\ntime.sleep(60)"
        )
        program = CaptureProgram(fake(tmp_path, name, body), EVERY)
        assert os.read(program.output, 5) == b"begun"
        program.stop()
        program.stop()
        assert output(program) == (b" late" if waits else b"")


class TestWords:
    @pytest.mark.parametrize(
        ("name", "lines", "dropped"),
        [
            (
                "dumpcap",
                ["Packets received/dropped on interface 'Loopback: lo': 1937/0 (pcap:0/dumpcap:0) (100.0%)"],
                0,
            ),
            (
                "dumpcap",
                [
                    "Packets received/dropped on interface 'lo': 10/3 (pcap:3/dumpcap:0) (70.0%)",
                    "Packets received/dropped on interface 'eth0': 10/4 (pcap:4/dumpcap:0) (60.0%)",
                ],
                7,
            ),
            ("tcpdump", ["0 packets captured", "6 packets received by filter", "12 packets dropped by kernel"], 12),
            ("tcpdump", ["tcpdump: 9 packets captured, 9 packets received by filter, 5 packets dropped by kernel"], 5),
            ("tcpdump", ["5 packets dropped by kernel", "2 packets dropped by interface"], 7),
            ("tcpdump", ["nothing of interest"], None),
        ],
    )
    def test_drops(self, tmp_path: Path, name: str, lines: list[str], dropped: int | None) -> None:
        body = "\n".join(f"sys.stderr.write({line + chr(10)!r})" for line in lines)
        program = CaptureProgram(fake(tmp_path, name, body), EVERY)
        output(program)
        assert program.dropped == dropped
        assert program.problem() is None

    def test_missing_rights_come_with_their_remedy(self, tmp_path: Path) -> None:
        said = 'dumpcap: You do not have permission to capture on device "lo".\\n(socket: Operation not permitted)\\n'
        tool = fake(tmp_path, "dumpcap", f"sys.stderr.write('{said}'); sys.exit(1)")
        program = CaptureProgram(tool, EVERY)
        output(program)
        problem = program.problem()
        assert problem is not None
        text = str(problem)
        assert text.startswith("dumpcap may not capture (You do not have permission")
        assert f"setcap cap_net_raw,cap_net_admin+eip {tool.path}" in text
        assert "wireshark" in text
        assert "\n" not in text

    def test_no_such_interface(self, tmp_path: Path) -> None:
        tool = fake(tmp_path, "tcpdump", "sys.stderr.write('tcpdump: nope: No such device exists\\n'); sys.exit(1)")
        program = CaptureProgram(tool, EVERY)
        output(program)
        assert (
            str(program.problem())
            == "tcpdump: nope: No such device exists (wirecase watch --list shows the interfaces)"
        )

    def test_escapes_of_a_terminal_do_not_pass(self, tmp_path: Path) -> None:
        tool = fake(tmp_path, "tcpdump", "sys.stderr.write('bad \\x1b[31m name\\n'); sys.exit(1)")
        program = CaptureProgram(tool, EVERY)
        output(program)
        assert "\x1b" not in str(program.problem())

    def test_a_flood_on_standard_error_is_bounded(self, tmp_path: Path) -> None:
        tool = fake(tmp_path, "tcpdump", "sys.stderr.write('x\\n' * 100_000); sys.exit(1)")
        program = CaptureProgram(tool, EVERY)
        output(program)
        assert len(program._lines) <= 32


class TestEnd:
    def test_stop_lets_it_finish(self, tmp_path: Path) -> None:
        body = (
            "def end(*_):\n    os.write(1, b'rest'); sys.stderr.write('3 packets dropped by kernel\\n'); sys.exit(0)\n"
            "signal.signal(signal.SIGINT, end); os.write(1, b'head')\nwhile True: time.sleep(0.1)"
        )
        program = CaptureProgram(fake(tmp_path, "tcpdump", body), EVERY)
        assert os.read(program.output, 4) == b"head"
        program.stop()
        assert output(program) == b"rest"
        assert program.dropped == 3
        assert program.problem() is None

    def test_what_does_not_end_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wirecase.sources.capturing.program._PATIENCE", 0.2)
        body = (
            "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "os.write(1, b'x')\nwhile True: time.sleep(0.1)"
        )
        program = CaptureProgram(fake(tmp_path, "tcpdump", body), EVERY)
        assert os.read(program.output, 1) == b"x"
        program.stop()
        program.end()
        assert not program.running

    def test_tcpdump_is_asked_for_its_counters(self, tmp_path: Path) -> None:
        body = (
            "def tell(*_):\n"
            "    sys.stderr.write('tcpdump: 1 packet captured, 4 packets dropped by kernel\\n')\n"
            "    sys.stderr.flush(); os.write(1, b'told')\n"
            "signal.signal(signal.SIGUSR1, tell); signal.signal(signal.SIGINT, lambda *_: sys.exit(0))\n"
            "os.write(1, b'x')\nwhile True: time.sleep(0.05)"
        )
        program = CaptureProgram(fake(tmp_path, "tcpdump", body), EVERY)
        assert os.read(program.output, 1) == b"x"
        program.ask()
        assert os.read(program.output, 4) == b"told"
        until = time.monotonic() + 5
        while program.dropped is None and time.monotonic() < until:
            time.sleep(0.01)
        assert program.dropped == 4
        program.stop()
        program.end()


class TestTools:
    def test_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tools, "find", lambda name: None)
        with pytest.raises(CaptureError, match="dumpcap and tcpdump are both missing: install one with: "):
            capture_tool()

    def test_who_may_capture_is_preferred(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        both = {"dumpcap": fake(tmp_path, "dumpcap", ""), "tcpdump": fake(tmp_path, "tcpdump", "")}
        monkeypatch.setattr(tools, "find", lambda name: both[name].path)
        monkeypatch.setattr(tools, "may_capture", lambda tool: tool.name == "tcpdump")
        assert capture_tool().name == "tcpdump"
        assert capture_tool("dumpcap").name == "dumpcap", "what was asked for is tried"
        monkeypatch.setattr(tools, "may_capture", lambda tool: False)
        assert capture_tool().name == "dumpcap", "it says itself what is in the way"

    def test_the_list_of_dumpcap(self, tmp_path: Path) -> None:
        told = (
            "1. eth0\\t\\t\\t0\\t192.0.2.2,fe80::1\\tnetwork\\t\\n2. lo\\t\\tLoopback\\t0\\t127.0.0.1\\tloopback\\t\\n"
        )
        tool = fake(tmp_path, "dumpcap", f"print('{told}')")
        assert interfaces(tool) == [
            Interface("eth0", "192.0.2.2,fe80::1, network"), Interface("lo", "Loopback, 127.0.0.1, loopback"),
        ]  # fmt: skip

    def test_the_list_of_tcpdump(self, tmp_path: Path) -> None:
        tool = fake(tmp_path, "tcpdump", "print('1.eth0 [Up, Running]\\n2.any (Pseudo-device) [Up]')")
        assert [one.name for one in interfaces(tool)] == ["eth0", "any"]

    def test_nobody_knows_one(self, tmp_path: Path) -> None:
        with pytest.raises(CaptureError, match="lists no interface"):
            interfaces(fake(tmp_path, "tcpdump", ""))
