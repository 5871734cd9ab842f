"""A folder with the files that the documents name, and a search path with stand-ins for what they need beside wirecase.

The captures are the fixtures', so what a command says about them is real. ``sudo`` runs what it is given, ``tcpdump``,
``ssh``, ``kubectl`` and ``dumpcap`` hand over a recorded capture (dumpcap stays until it is asked to end, as a live one
does), ``cargo`` is a client, and no browser opens. ``wirecase`` itself is the one of this checkout; it notes its
process and its exit status, which a pipe would swallow.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

from documents import ROOT
from legs import leg

from wirecase.pipeline import Options, diagnose
from wirecase_cli.main import main

FIXTURES = ROOT / "fixtures"
INCIDENT = FIXTURES / "incident" / "capture.pcapng"
FAULT = FIXTURES / "grpc-invalid-compression-flag" / "capture.pcapng"
PROXY = FIXTURES / "apache-page-midstream" / "capture.pcapng"
ENCRYPTED = FIXTURES / "obs-encrypted"
FORMS = ROOT / "tests" / "sources" / "forms" / "data"
H2_CLIENT = ROOT / "tests" / "replay" / "cli" / "h2_client.py"

WIRECASE = """
import os, sys
from wirecase_cli.main import main

def note(text):
    with open(os.environ["WIRECASE_NOTES"], "a") as file:
        file.write(text + "\\n")

if __name__ == "__main__":  # the recording proxy starts processes that import this again
    note(f"process {os.getpid()}")
    status = main()
    note(f"status {status}")
    sys.exit(status)
"""

# Plays a capture; `-D` and `--version` are asked before a live capture begins.
PLAY = """
import shutil, signal, sys, time
if "-D" in sys.argv:
    sys.exit(print("1. eth0\\t\\t\\t0\\t127.0.0.1\\tnetwork"))
if "--version" in sys.argv:
    sys.exit(print("Dumpcap (Wireshark) 4.0.17"))
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
with open({capture!r}, "rb") as file:
    shutil.copyfileobj(file, sys.stdout.buffer)
sys.stdout.flush()
if {stays}:
    time.sleep(60)
"""

CLIENT = """
rounds=1
target=$1
while [ $# -gt 1 ]; do [ "$1" = --rounds ] && rounds=$2; shift; done
exec "{python}" "{client}" "$target" "{path}" {manner} "$rounds"
"""

PROTO = """
syntax = "proto3";
package pkg;
message Empty {}
service Service { rpc Method(Empty) returns (Empty); }
"""


def script(path: Path, body: str, interpreter: str = sys.executable) -> None:
    """Write a program that can be run."""
    path.write_text(f"#!{interpreter}\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Stage:
    """What every command finds around it. `folder` makes a fresh working folder with links to the files."""

    def __init__(self, base: Path, *, files: bool = True) -> None:
        """Prepare it in `base`; without `files` the folders are empty, and the programs are those of this machine."""
        self.base = base
        self.bin = base / "bin"
        self.files = base / "files"
        for folder in (self.bin, self.files, base / "home"):
            folder.mkdir()
        self._programs()
        if files:
            self._stand_ins()
            self._captures()
            self._clients()
            self._other_evidence()

    def folder(self, name: str, line: str) -> Path:
        """A working folder. What `line` writes is not there yet."""
        made = self.base / name
        made.mkdir()
        written = set(re.findall(r"(?:-o|-out|--output|-w) (\S+)", line))
        for file in self.files.iterdir():
            if file.name not in written:
                (made / file.name).symlink_to(file)
        return made

    def environment(self, notes: Path) -> dict[str, str]:
        """Of every command: the stand-ins first, and nothing of the person who runs the tests."""
        left_out = ("WIRECASE_DEBUG", "SSLKEYLOGFILE", "FORCE_COLOR", "PYTEST_CURRENT_TEST")
        return {
            **{name: value for name, value in os.environ.items() if name not in left_out},
            "PATH": os.pathsep.join([str(self.bin), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "cli"), str(ROOT / "decoders")]),
            "HOME": str(self.base / "home"),
            "BROWSER": str(self.bin / "browser"),
            "WIRECASE_NOTES": str(notes),
            "OPENBLAS_NUM_THREADS": "1",
        }

    def _programs(self) -> None:
        script(self.bin / "wirecase", WIRECASE)
        for name in ("python", "python3"):
            script(self.bin / name, f'exec "{sys.executable}" "$@"', "/bin/sh")
        script(self.bin / "browser", "exit 0", "/bin/sh")

    def _stand_ins(self) -> None:
        script(self.bin / "sudo", 'exec "$@"', "/bin/sh")
        for name in ("tcpdump", "ssh", "kubectl"):
            script(self.bin / name, PLAY.format(capture=str(INCIDENT), stays=False))
        script(self.bin / "dumpcap", PLAY.format(capture=str(INCIDENT), stays=True))
        if shutil.which("jq") is None:
            script(self.bin / "jq", "cat", "/bin/sh")

    def _captures(self) -> None:
        for name in ("capture.pcapng", "capture.pcap", "wifi.pcap", "ipsec.pcap", "CAPTURE"):
            shutil.copy(INCIDENT, self.files / name)
        leg(PROXY, self.files / "front.pcapng", 8181)
        leg(PROXY, self.files / "back.pcapng", 50051)
        shutil.copy(self.files / "front.pcapng", self.files / "client-side.pcap")
        shutil.copy(self.files / "back.pcapng", self.files / "proxy-side.pcap")
        (self.files / "ring").mkdir()
        shutil.copy(INCIDENT, self.files / "ring" / "ring.pcap0")
        shutil.copy(ENCRYPTED / "capture.pcapng", self.files / "trace.pcapng")
        shutil.copy(ENCRYPTED / "keys.log", self.files / "keys.log")
        (self.files / "keys").mkdir()
        shutil.copy(ENCRYPTED / "keys.log", self.files / "keys" / "server.log")
        assert main(["extract", str(FAULT), "--finding", "F1", "-o", str(self.files / "case.pcapng")]) == 0
        assert main(["report", str(FAULT), "-o", str(self.files / "bundle.zip")]) == 0

    def _clients(self) -> None:
        path = diagnose(Options([str(FAULT)])).findings[0].path
        for name, manner in (("old", "naive"), ("new", "patched")):
            body = CLIENT.format(python=sys.executable, client=H2_CLIENT, path=path, manner=manner)
            script(self.files / name, body, "/bin/sh")
        shutil.copy(self.files / "new", self.files / "client")
        for place in (self.files / "replay.test", self.bin / "cargo"):
            script(place, f'exec "{sys.executable}" {H2_CLIENT} "$WIRECASE_TARGET" {path} patched', "/bin/sh")
        (self.files / "known.txt").write_text("")
        (self.files / "token").write_text("token\n")
        (self.files / "fixtures").symlink_to(FIXTURES)

    def _other_evidence(self) -> None:
        (self.files / "tap").mkdir()
        shutil.copy(FORMS / "envoy-socket-streamed-down.json", self.files / "tap" / "down.json")
        shutil.copy(FORMS / "raw-client.bin", self.files / "client.bin")
        shutil.copy(FORMS / "raw-server.bin", self.files / "server.bin")
        (self.files / "api.proto").write_text(PROTO)
        arguments = [
            f"-I{self.files}",
            "--include_imports",
            f"--descriptor_set_out={self.files / 'api.binpb'}",
            "api.proto",
        ]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True, cwd=self.files)
