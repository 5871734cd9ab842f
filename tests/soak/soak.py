"""A long run of the flight recorder: real grpcio and pyarrow.flight traffic, and faults at random times.

``python soak.py --minutes 30 [--seed N] [--folder DIR]`` prints what it measured as JSON and exits with 1 if a fault
that a client felt was not kept as a case, a byte was altered, the diagnosing process grew by more than a fifth in the
second half, or a descriptor leaked: during the second half, or from before the first connection to behind the last one.
Faults that hit no call are told as ``unfelt``: there was nothing to keep of them.

Clients go through ``wirecase record --cases`` and a relay that breaks things (`chaos.Chaos`) to servers in processes of
their own. Every answer is held against what it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from chaos import Chaos  # noqa: E402
from servers import piece  # noqa: E402

BROKEN = ("body-cut-", "tcp-", "connection-", "close-", "call-without-", "grpc-missing-")
RULES = {
    "killed": BROKEN,
    "page": ("http-error-", "grpc-invalid-compression-flag"),
    "reset": BROKEN,
    "stall": ("grpc-deadline", "stream-", "fc-"),
}
"""What each kind of fault may be told as."""
KINDS = tuple(RULES)
DEADLINE = 3.0
STALL = 5.0
WINDOW = 6.0
"""Seconds after a fault in which what it broke has come to an end."""
IDLE = 5.0
"""Seconds in which processes have begun, and behind the last call in which connections come to their end."""
SPARE = 12
"""Descriptors that the diagnosing process may have more at the end: pipes to the process that makes cases."""
LAST = 15.0
"""Seconds at the end without a fault."""


@dataclass
class Books:
    """What the clients saw."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    ok: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[float, str, str]] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    bytes: int = 0

    def good(self, kind: str, size: int) -> None:
        with self.lock:
            self.ok[kind] += 1
            self.bytes += size

    def bad(self, kind: str, why: str) -> None:
        with self.lock:
            self.failed.append((time.time(), kind, why))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Server:
    """A server process that can be killed and begun again."""

    def __init__(self, kind: str) -> None:
        self.kind, self.port = kind, free_port()
        self.begin()

    def begin(self) -> None:
        self.process = subprocess.Popen([sys.executable, str(HERE / "servers.py"), self.kind, str(self.port)])
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"the {self.kind} server does not come up")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def grpc_client(target: str, books: Books, stop: threading.Event, rng: random.Random, pause: float) -> None:
    import grpc

    options = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 1000),
               ("grpc.use_local_subchannel_pool", 1)]  # fmt: skip
    channel = grpc.insecure_channel(target, options=options)
    unary, stream = channel.unary_unary("/soak.Soak/Unary"), channel.unary_stream("/soak.Soak/Stream")
    upload, chat = channel.stream_unary("/soak.Soak/Upload"), channel.stream_stream("/soak.Soak/Chat")

    def ask() -> tuple[bool, int]:
        body = piece(rng.getrandbits(30), 0, rng.choice((10, 300, 5_000, 200_000)))
        return unary(body, timeout=DEADLINE) == hashlib.sha256(body).digest() + body, 2 * len(body)

    def take() -> tuple[bool, int]:
        seed, count, size = rng.getrandbits(30), rng.randint(1, 40), rng.choice((100, 4_000, 60_000))
        got = list(stream(f"{seed} {count} {size}".encode(), timeout=DEADLINE))
        return got == [piece(seed, i, size) for i in range(count)], count * size

    def give() -> tuple[bool, int]:
        parts = [piece(rng.getrandbits(30), i, 20_000) for i in range(rng.randint(1, 30))]
        return upload(iter(parts), timeout=DEADLINE) == hashlib.sha256(b"".join(parts)).digest(), sum(map(len, parts))

    def talk() -> tuple[bool, int]:
        parts = [piece(rng.getrandbits(30), i, 500) for i in range(5)]
        return [hashlib.sha256(one).digest() for one in parts] == list(chat(iter(parts), timeout=DEADLINE)), 2500

    kinds: list[tuple[str, Callable[[], tuple[bool, int]]]]
    kinds = [("unary", ask), ("unary", ask), ("stream", take), ("upload", give), ("chat", talk)]
    while not stop.is_set():
        kind, call = rng.choice(kinds)
        try:
            right, size = call()
        except grpc.RpcError as error:
            books.bad(kind, f"{error.code()}: {error.details()}"[:300])
            time.sleep(0.3)
        else:
            books.good(kind, size)
            if not right:
                books.altered.append(kind)
        time.sleep(pause * rng.random())
    channel.close()


def flight_client(target: str, books: Books, stop: threading.Event, rng: random.Random, pause: float) -> None:
    import pyarrow as pa
    from pyarrow import flight

    client = flight.connect(f"grpc://{target}")
    options = flight.FlightCallOptions(timeout=DEADLINE)
    schema = pa.schema([("data", pa.binary())])
    while not stop.is_set():
        seed, count, size = rng.getrandbits(30), rng.randint(1, 20), 50_000
        parts = [piece(seed, i, size) for i in range(count)]
        kind = rng.choice(("get", "put"))
        try:
            if kind == "get":
                reader = client.do_get(flight.Ticket(f"{seed} {count} {size}".encode()), options)
                right = [value.as_py() for value in reader.read_all().column(0)] == parts
            else:
                writer, answers = client.do_put(flight.FlightDescriptor.for_path("soak"), schema, options)
                for one in parts:
                    writer.write_batch(pa.record_batch([pa.array([one])], schema=schema))
                writer.done_writing()
                answer = answers.read()
                writer.close()  # tells why there is none
                right = answer is not None and answer.to_pybytes() == hashlib.sha256(b"".join(parts)).digest()
        except (pa.ArrowException, OSError) as error:
            books.bad(kind, f"{type(error).__name__}: {error}"[:300])
            time.sleep(0.3)
        else:
            books.good(kind, count * size)
            if not right:
                books.altered.append(kind)
        time.sleep(pause * rng.random())
    client.close()


class Memory(threading.Thread):
    """Samples memory and descriptors of the recorder's processes."""

    def __init__(self, pid: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._pid, self._over = pid, stop
        self.samples: list[tuple[float, dict[str, int], dict[str, int]]] = []

    def run(self) -> None:
        import psutil

        began = time.monotonic()
        while not self._over.wait(5):
            memory: dict[str, int] = {}
            files: dict[str, int] = {}
            try:
                root = psutil.Process(self._pid)
                for process in [root, *root.children(recursive=True)]:
                    name = _role(process.cmdline(), process.pid == self._pid, len(memory))
                    memory[name] = memory.get(name, 0) + process.memory_full_info().uss
                    files[name] = files.get(name, 0) + process.num_fds()
            except psutil.Error:
                continue
            self.samples.append((time.monotonic() - began, memory, files))

    def result(self) -> dict[str, Any]:
        """Return, by process, the beginning and end of the second half and the slope over it."""
        if not self.samples:
            return {}
        half = [one for one in self.samples if one[0] >= self.samples[-1][0] / 2]
        found: dict[str, Any] = {}
        for name in sorted({name for _, memory, _ in half for name in memory}):
            points = [(at, memory[name]) for at, memory, _ in half if name in memory]
            files = [count[name] for _, _, count in half if name in count]
            found[name] = {
                "samples": len(points),
                "MB": [round(points[0][1] / 1e6, 1), round(points[-1][1] / 1e6, 1)],
                "largest_MB": round(max(size for _, size in points) / 1e6, 1),
                "MB_per_hour": round(_slope(points) * 3600 / 1e6, 2),
                "descriptors": [files[0], files[-1], max(files)],
            }
        return found


def descriptors(pid: int) -> dict[str, int]:
    """Return how many descriptors the diagnosing and the forwarding process hold."""
    import psutil

    root = psutil.Process(pid)
    found = {"diagnosis": root.num_fds()}
    for process in root.children(recursive=True):
        if "resource_tracker" not in " ".join(process.cmdline()):
            found["forwarding"] = process.num_fds()  # the first one that was begun
            break
    return found


def _role(command: list[str], is_root: bool, number: int) -> str:
    if is_root:
        return "diagnosis"
    text = " ".join(command)
    return "tracker" if "resource_tracker" in text else f"child {number}"


def _slope(points: list[tuple[float, int]]) -> float:
    count = len(points)
    if count < 2:
        return 0.0
    x, y = sum(at for at, _ in points) / count, sum(size for _, size in points) / count
    below = sum((at - x) ** 2 for at, _ in points)
    return sum((at - x) * (size - y) for at, size in points) / below if below else 0.0


def begin_recorder(folder: Path, target: int) -> tuple[subprocess.Popen[str], str]:
    command = [
        sys.executable, "-m", "wirecase_cli", "record", "--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{target}",
        "--cases", str(folder), "--keep", "20s", "--keep-bytes", "96MB", "--on", "warning", "--max-cases", "1000000",
        "--quiet",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    if "listening on" not in line:
        raise SystemExit(f"the recorder does not come up: {line}{process.stderr.read()}")
    address = line.split("listening on ")[1].split(",")[0]
    threading.Thread(target=lambda: list(process.stderr or ()), daemon=True).start()
    return process, address


async def faults(
    sides: list[tuple[Chaos, Server]], until: float, rng: random.Random, every: tuple[float, float],
) -> list[dict[str, Any]]:  # fmt: skip
    """Break things at random times, one at a time."""
    done: list[dict[str, Any]] = []
    await asyncio.sleep(5)
    while time.time() < until - LAST:
        kind, (chaos, server) = rng.choice(KINDS), rng.choice(sides)
        began = time.time()
        if kind == "killed":
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(1)
            await asyncio.to_thread(server.begin)
        elif kind == "page":
            await chaos.page(3)
        elif kind == "reset":
            await chaos.reset()
        else:
            await chaos.stall(STALL)
        done.append({"kind": kind, "side": server.kind, "at": began, "until": time.time()})
        await asyncio.sleep(rng.uniform(*every))
    await asyncio.sleep(max(until - time.time(), 0))
    return done


def cases(folder: Path) -> Iterator[dict[str, Any]]:
    for index in folder.glob("*/cases.jsonl"):
        for line in index.read_text().splitlines():
            yield {**json.loads(line), "side": index.parent.name}


def judge(done: list[dict[str, Any]], kept: list[dict[str, Any]], books: Books) -> list[dict[str, Any]]:
    """Return the faults that a client felt and that no case shows."""
    missed = []
    for fault in done:
        low, high = fault["at"], fault["until"] + WINDOW
        prefix = "flight" if fault["side"] == "flight" else "grpc"
        felt = [
            one for one in books.failed if low <= one[0] <= high and (one[1] in ("get", "put")) == (prefix == "flight")
        ]
        if fault["kind"] == "stall":
            low -= DEADLINE + 1  # some are told at the time of what came last
        rules = {
            finding["rule"]
            for case in kept
            if case["case"] is not None and case["side"] == fault["side"] and Path(case["case"]).exists()
            for finding in case["findings"]
            if finding["time"] is not None and low - 0.5 <= finding["time"] / 1e9 <= high
        }
        fault["felt"], fault["rules"] = len(felt), sorted(rules)
        if felt and not any(rule.startswith(RULES[fault["kind"]]) for rule in rules):
            told = [f"{kind} after {at - fault['at']:.3f} s: {why}" for at, kind, why in felt]
            missed.append({**fault, "told": told})
    return missed


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--every", type=float, nargs=2, default=(12.0, 30.0))
    parser.add_argument("--pause", type=float, default=0.2, help="seconds that a client rests between calls, at most")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="wirecase-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    rng, books, stop = random.Random(asked.seed), Books(), threading.Event()
    sides: list[tuple[Chaos, Server]] = []
    recorders: list[subprocess.Popen[str]] = []
    clients: list[threading.Thread] = []
    watchers: list[Memory] = []
    for kind, client, count in (("grpc", grpc_client, 4), ("flight", flight_client, 2)):
        server = await asyncio.to_thread(Server, kind)
        chaos = Chaos(server.port)
        await chaos.start()
        sides.append((chaos, server))
        recorder, address = await asyncio.to_thread(begin_recorder, folder / kind, chaos.port)
        recorders.append(recorder)
        watchers.append(Memory(recorder.pid, stop))
        for number in range(count):
            own = random.Random(f"{asked.seed}/{kind}/{number}")
            clients.append(threading.Thread(target=client, args=(address, books, stop, own, asked.pause), daemon=True))
    await asyncio.sleep(IDLE)  # until all processes have begun
    before = [descriptors(recorder.pid) for recorder in recorders]
    for thread in (*watchers, *clients):
        thread.start()
    began = time.time()
    try:
        done = await faults(sides, began + asked.minutes * 60, rng, tuple(asked.every))
        stop.set()
        for thread in clients:
            await asyncio.to_thread(thread.join, 10)
        await asyncio.sleep(IDLE)
        alive = [recorder.poll() is None for recorder in recorders]
        after = [descriptors(one.pid) if here else {} for one, here in zip(recorders, alive, strict=True)]
        for recorder in recorders:
            recorder.terminate()
        reports = [await asyncio.to_thread(recorder.communicate) for recorder in recorders]
    finally:
        stop.set()
        for _, server in sides:
            server.kill()
        for recorder in recorders:
            if recorder.poll() is None:
                recorder.kill()
    kept = list(cases(folder))
    missed = judge(done, kept, books)
    memory = {kind: watcher.result() for kind, watcher in zip(("grpc", "flight"), watchers, strict=True)}
    (folder / "faults.json").write_text(json.dumps(done, indent=1))
    (folder / "reports.txt").write_text("\n".join(out for out, _ in reports))
    result = {
        "minutes": round((time.time() - began) / 60, 1),
        "seed": asked.seed,
        "folder": str(folder),
        "calls": dict(books.ok),
        "failed_calls": len(books.failed),
        "GB": round(books.bytes / 1e9, 3),
        "altered": books.altered,
        "faults": dict(Counter(f"{one['side']} {one['kind']}" for one in done)),
        "felt": sum(bool(one["felt"]) for one in done),
        "unfelt": [{key: one[key] for key in ("kind", "side", "rules")} for one in done if not one["felt"]],
        "missed": missed,
        "cases": sum(one["case"] is not None for one in kept),
        "not_kept": dict(Counter(one["why"] for one in kept if one["case"] is None)),
        "recorders_alive_at_the_end": alive,
        "descriptors_before_and_after": list(zip(before, after, strict=True)),
        "memory": memory,
    }
    print(json.dumps(result, indent=1))
    leaking = [
        one for roles in memory.values() for one in roles.values() if one["descriptors"][1] > one["descriptors"][0] + 20
    ]
    leaking += [
        {"before": first, "after": last}
        for first, last in zip(before, after, strict=True)
        if any(last.get(name, 0) > count + SPARE * (name == "diagnosis") for name, count in first.items())
    ]
    growing = [
        kind
        for kind, roles in memory.items()
        if roles and roles["diagnosis"]["MB"][1] > 1.2 * roles["diagnosis"]["MB"][0]
    ]
    # A run that is shorter than the ring takes to fill says nothing about memory.
    growing = growing if asked.minutes >= 10 else []
    return 1 if growing or missed or books.altered or not all(alive) or leaking else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
