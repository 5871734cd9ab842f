"""What Python's ssl cannot do, by the openssl command over loopback: suites of TLS 1.3, KeyUpdate, early data."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tls_peers import CLIENT, SERVER, certificate
from tls_reading import read

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")
PATIENCE = 10
PAUSE = 0.2
"""Seconds between two lines: s_client takes what comes at once as one."""


class Relay:
    """Stands between the two and records what they send."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.flights: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._listener.settimeout(PATIENCE)
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._target), timeout=PATIENCE)
        client.settimeout(PATIENCE)
        back = threading.Thread(target=self._carry, args=(SERVER, server, client), daemon=True)
        back.start()
        self._carry(CLIENT, client, server)
        back.join(PATIENCE)
        client.close()
        server.close()

    def _carry(self, side: int, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                with self._lock:
                    self.flights.append((side, data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def wait(self) -> list[tuple[int, bytes]]:
        self._thread.join(PATIENCE)
        self._listener.close()
        return self.flights


class Server:
    """``openssl s_server``, which turns each line round (-rev)."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.keys = folder / "server.keys"
        pem, private = certificate("ec")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process = subprocess.Popen(
            [str(OPENSSL), "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert", str(pem), "-key", str(private),
             "-keylogfile", str(self.keys), "-alpn", "h2", *options],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


def client(port: int, lines: list[bytes], *options: str) -> None:
    """Run ``openssl s_client`` and let it send `lines`, one after the other."""
    process = subprocess.Popen(
        [str(OPENSSL), "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2", *options],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        for line in lines:
            time.sleep(PAUSE)
            process.stdin.write(line + b"\n")
            process.stdin.flush()
        time.sleep(PAUSE)
        process.stdin.close()
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait(PATIENCE)


@pytest.mark.parametrize(
    "suite",
    ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_8_SHA256"],
)  # fmt: skip
def test_suites_of_tls13_and_key_updates(suite: str, tmp_path: Path) -> None:
    security = ("-cipher", "ALL:@SECLEVEL=0")
    server = Server(tmp_path, "-rev", "-ciphersuites", suite, *security)
    try:
        relay = Relay(server.port)
        # K is a command of s_client: send a KeyUpdate and ask for one
        client(relay.port, [b"one", b"K", b"two", b"K", b"three"], "-ciphersuites", suite, *security)
        flights = relay.wait()
    finally:
        server.stop()
    for size in (1, 1448):
        facts, heard = read(flights, server.keys.read_bytes(), size=size)
        assert bytes(heard.plain[CLIENT]) == b"one\ntwo\nthree\n"
        assert bytes(heard.plain[SERVER]) == b"eno\nowt\neerht\n"
        assert [side.key_updates for side in facts.sides] == [2, 2]
        assert facts.alpn == "h2"
        assert facts.hidden is None


def test_early_data(tmp_path: Path) -> None:
    """Taken the first time; the second time the ticket is used up, and what was sent early is passed over."""
    server = Server(tmp_path, "-early_data", "-max_early_data", "10000")
    ticket, early = tmp_path / "ticket", tmp_path / "early"
    early.write_bytes(b"early bird\n")
    taken: list[tuple[list[tuple[int, bytes]], bytes]] = []
    try:
        first = Relay(server.port)
        client(first.port, [b"x"], "-sess_out", str(ticket))
        first.wait()
        for number in range(2):
            relay, keys = Relay(server.port), tmp_path / f"{number}.keys"
            client(relay.port, [b"late"], "-sess_in", str(ticket), "-early_data", str(early), "-keylogfile", str(keys))
            taken.append((relay.wait(), keys.read_bytes()))
    finally:
        server.stop()
    for (flights, log), said, state in zip(
        taken, (b"early bird\nlate\n", b"late\n"), ("accepted", "rejected"), strict=True
    ):
        assert b"CLIENT_EARLY_TRAFFIC_SECRET" in log
        for size in (1, 1448):
            facts, heard = read(flights, log, size=size)
            assert facts.early_data == state
            assert bytes(heard.plain[CLIENT]) == said
            assert facts.sides[CLIENT].problem is None
        without = re.sub(rb"CLIENT_EARLY_TRAFFIC_SECRET.*\n", b"", log)
        facts, heard = read(flights, without)
        assert bytes(heard.plain[CLIENT]) == b"late\n"
        assert [gap[1] for gap in heard.gaps] == ([len(b"early bird\n")] if state == "accepted" else [])
