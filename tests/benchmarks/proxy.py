"""The recording proxy beside haproxy in TCP mode: the same client and server, the same run, in alternating rounds.

``python proxy.py [--gigabytes 2] [--rounds 3] [--rate 200] [--seconds 8]`` prints JSON: processor seconds per GB of the
forwarding process on a bulk stream (and of the whole recorder, beside it), and median and 99th percentile of the time
that unary gRPC calls take at a fixed rate. Needs haproxy and grpcio.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_BLOCK = bytes(1 << 20)
_CONFIG = """
global
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend in
    bind 127.0.0.1:{listen}
    default_backend out
backend out
    server one 127.0.0.1:{target}
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def await_port(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


class Bulk:
    """Sends as many bytes as it is asked for."""

    def __init__(self) -> None:
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._sock.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            sock, _ = self._sock.accept()
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            asked = sock.recv(8)
            left = int.from_bytes(asked, "big") if len(asked) == 8 else 0
            while left:
                left -= sock.send(_BLOCK[: min(left, len(_BLOCK))])


def pull(port: int, count: int) -> float:
    """Fetch `count` bytes and return how long it took."""
    buffer = bytearray(1 << 20)
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(count.to_bytes(8, "big"))
        got = 0
        while size := sock.recv_into(buffer):
            got += size
    if got != count:
        raise SystemExit(f"{got} of {count} bytes came")
    return time.perf_counter() - began


@contextmanager
def haproxy(target: int) -> Iterator[tuple[int, list[int]]]:
    """Run haproxy; yield its port and its process."""
    listen = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(_CONFIG.format(listen=listen, target=target))
        file.flush()
        found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if found is None:
            raise SystemExit("haproxy is not installed")
        process = subprocess.Popen([found, "-db", "-f", file.name])
        try:
            await_port(listen)
            yield listen, [process.pid]
        finally:
            process.terminate()
            process.wait()


@contextmanager
def recorder(target: int) -> Iterator[tuple[int, list[int]]]:
    """Run the recorder; yield its port and its processes, the forwarding one first."""
    import psutil

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "wirecase_cli", "record", "--listen", "127.0.0.1:0", "--to",
                   f"127.0.0.1:{target}", "-o", str(Path(folder) / "recording.pcapng"), "--quiet",
                   "--spool", "256MB"]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        line = process.stderr.readline()
        port = int(line.split("listening on ")[1].split(",")[0].rpartition(":")[2])
        await_port(port)
        found = psutil.Process(process.pid)
        children = [one for one in found.children() if "resource_tracker" not in " ".join(one.cmdline())]
        children.sort(key=lambda one: one.create_time())
        try:
            yield port, [*(one.pid for one in children), process.pid]
        finally:
            process.terminate()
            process.stderr.read()
            process.wait()


def cpu(pid: int) -> float:
    """Return the processor seconds that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bulk(proxy: Any, target: int, count: int) -> dict[str, float]:
    with proxy(target) as (port, pids):
        pull(port, 1 << 24)
        time.sleep(0.3)
        before = [cpu(pid) for pid in pids]
        seconds = pull(port, count)
        time.sleep(0.3)
        spent = [cpu(pid) - old for pid, old in zip(pids, before, strict=True)]
    gigabytes = count / 1e9
    return {
        "forwarding_s_per_GB": spent[0] / gigabytes,
        "all_s_per_GB": sum(spent) / gigabytes,
        "MB_per_s": count / 1e6 / seconds,
    }


def unary(proxy: Any, target: int, rate: float, seconds: float) -> list[float]:
    """Call at a fixed rate; return the times that the calls took, in seconds."""
    import grpc

    took: list[float] = []
    with proxy(target) as (port, _), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/bench.Bench/Echo")
        for _ in range(50):
            call(b"x" * 100)
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            while (now := time.perf_counter()) < due:
                time.sleep(due - now)
            call(b"x" * 100)
            took.append(time.perf_counter() - now)
    return took


def serve() -> None:
    """Echo (the body of a process)."""
    import grpc

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(lambda request, _: request)

    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Handler(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve()
        return
    proxies = {"haproxy": haproxy, "wirecase": recorder}
    source = Bulk()
    results: dict[str, Any] = {name: {"bulk": [], "unary": []} for name in proxies}
    process = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    target = int(process.stdout.readline())
    try:
        for number in range(asked.rounds):
            for name in list(proxies)[:: 1 if number % 2 else -1]:
                results[name]["bulk"].append(bulk(proxies[name], source.port, int(asked.gigabytes * 1e9)))
                results[name]["unary"].append(unary(proxies[name], target, asked.rate, asked.seconds))
    finally:
        process.kill()
    told: dict[str, Any] = {}
    for name, result in results.items():
        keys = result["bulk"][0]
        told[name] = {key: round(statistics.median(one[key] for one in result["bulk"]), 3) for key in keys}
        told[name]["unary_median_us"] = round(statistics.median(map(statistics.median, result["unary"])) * 1e6)
        told[name]["unary_p99_us"] = round(statistics.median(percentile(one, 0.99) for one in result["unary"]) * 1e6)
    ours, theirs = told["wirecase"], told["haproxy"]
    told["ratios"] = {
        "forwarding_s_per_GB": round(ours["forwarding_s_per_GB"] / theirs["forwarding_s_per_GB"], 2),
        "unary_median": round(ours["unary_median_us"] / theirs["unary_median_us"], 2),
        "unary_p99": round(ours["unary_p99_us"] / theirs["unary_p99_us"], 2),
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
