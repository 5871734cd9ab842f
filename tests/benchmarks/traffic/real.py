"""Real gRPC traffic, recorded: grpcio calls and Arrow Flight, in cleartext and under TLS.

Run as a script inside a namespace of its own (see ``recording.run_in_namespace``) this is one recording session; with
``--serve`` it is the server of that session. Server and client are processes of their own, as they are in production.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

if __name__ == "__main__":  # run as a script, the folder above is the one to import from
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from traffic.recording import recorded, run_in_namespace, set_up_loopback
from traffic.sidecar import Sidecar
from traffic.terminator import make_certificate, terminate

UNARY_CALLS = 100_000
UNARY_CHANNELS = 4
UNARY_THREADS = 4
"""Callers on each channel, so many calls are open at once on a connection."""
TLS_UNARY_CALLS = 20_000
STREAMED_MESSAGES = 300_000
STREAMED_CALLS = 300
STREAMED_CHANNELS = 3
FLIGHT_BATCH_ROWS = 65_536
FLIGHT_BATCHES = 500
"""Record batches of two columns of 8 bytes, so 1 MiB each."""
FLIGHT_CALLS = 4


@dataclass(frozen=True, slots=True)
class RecordedCapture:
    """One capture of real traffic."""

    name: str
    port: int
    mtu: int
    pcapng: bool
    about: str
    inner: int | None = None
    """Under TLS: the port of the server behind the terminator, whose cleartext is recorded too."""


RECORDED_CAPTURES = (
    RecordedCapture("unary", 50051, 1500, True, "unary grpcio calls, 16 at once on 4 connections, MTU 1500"),
    RecordedCapture("streamed", 50052, 1500, True, "grpcio server-streaming calls of 1000 messages each, MTU 1500"),
    RecordedCapture("flight-1448", 8815, 1500, True, "Arrow Flight DoGet of 1 MiB batches, segments of 1448 bytes"),
    RecordedCapture("flight-64k", 8816, 65536, False, "Arrow Flight DoGet of 1 MiB batches, segments up to 64 KiB"),
    RecordedCapture("tls-unary", 50443, 1500, True, "unary grpcio calls under TLS 1.3, 4 connections, MTU 1500", 50053),
    RecordedCapture("tls-flight", 8843, 1500, True, "Arrow Flight DoGet under TLS 1.3, segments of 1448 bytes", 8817),
)


def record(capture: RecordedCapture, folder: Path, scale: float) -> Sidecar:
    """Record *capture* into *folder*; raises CannotGenerate with what is missing."""
    path = folder / (capture.name + (".pcapng" if capture.pcapng else ".pcap"))
    outcome = folder / f".{capture.name}.outcome"
    made = [path]
    if capture.inner is not None:
        made += [_keylog(path), _clear(path)]
    arguments = [str(Path(__file__).resolve()), capture.name, "--out", str(path), "--scale", repr(scale)]
    try:
        run_in_namespace([*arguments, "--outcome", str(outcome)], timeout=900)
        facts: dict[str, Any] = json.loads(outcome.read_text())
    except BaseException:
        for one in made:
            one.unlink(missing_ok=True)
        raise
    finally:
        outcome.unlink(missing_ok=True)
    sidecar = Sidecar(capture.name, path.name, capture.port, "Recorded: " + capture.about + ".", scale=scale, **facts)
    if capture.inner is not None:
        sidecar.keylog, sidecar.clear = _keylog(path).name, _clear(path).name
    return sidecar


def _keylog(path: Path) -> Path:
    return path.with_suffix(".keys")


def _clear(path: Path) -> Path:
    """Where the cleartext of a capture of TLS goes."""
    return path.with_name(f"{path.stem}-clear{path.suffix}")


# --- grpcio -----------------------------------------------------------------------------------------------------------

GET = "/shop.v1.Inventory/GetItem"
WATCH = "/shop.v1.Inventory/Watch"


def _item(number: int) -> bytes:
    """A protobuf message {1: string name, 2: varint count} of some 20 bytes."""
    name = b"item-%08d" % number
    return b"\x0a" + bytes([len(name)]) + name + b"\x10" + bytes([0x80 | number & 0x7F, number >> 7 & 0x7F])


def _serve_grpcio(port: int) -> Callable[[], None]:
    """Start the inventory server; returns what stops it."""
    import grpc  # type: ignore[import-untyped]

    def get_item(request: bytes, _context: grpc.ServicerContext) -> bytes:
        return request + b"\x18\x01"

    def watch(request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
        return map(_item, range(int.from_bytes(request, "big")))

    handler = grpc.method_handlers_generic_handler(
        "shop.v1.Inventory",
        {
            "GetItem": grpc.unary_unary_rpc_method_handler(get_item),
            "Watch": grpc.unary_stream_rpc_method_handler(watch),
        },
    )
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((handler,))
    if server.add_insecure_port(f"127.0.0.1:{port}") != port:
        raise OSError(f"port {port} is taken")
    server.start()

    def stop() -> None:
        server.stop(grace=1).wait()

    return stop


def _callers(
    port: int, channels: int, threads: int, body: Callable[[Any, int], None], root: bytes | None = None
) -> None:
    """Run *body(channel, n)* in *threads* threads on each of *channels* connections, n from 0 over all.

    With *root*, the certificate to trust, the connections are TLS.
    """
    import grpc

    options = [("grpc.use_local_subchannel_pool", 1)]
    if root is None:
        opened = [grpc.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(channels)]
    else:
        credentials = grpc.ssl_channel_credentials(root)
        options.append(("grpc.ssl_target_name_override", "localhost"))
        opened = [grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) for _ in range(channels)]
    with futures.ThreadPoolExecutor(channels * threads) as pool:
        running = [pool.submit(body, opened[n % channels], n) for n in range(channels * threads)]
        for one in running:
            one.result()
    for channel in opened:
        channel.close()


def _make_unary_calls(port: int, scale: float, root: bytes | None = None) -> dict[str, int]:
    total = max(1, round((UNARY_CALLS if root is None else TLS_UNARY_CALLS) * scale))
    callers = UNARY_CHANNELS * UNARY_THREADS

    def body(channel: Any, first: int) -> None:
        get = channel.unary_unary(GET)
        for number in range(first, total, callers):
            get(_item(number), timeout=60)

    _callers(port, UNARY_CHANNELS, UNARY_THREADS, body, root)
    return {"calls": total, "messages": 2 * total}


def _make_streamed_calls(port: int, scale: float, _root: bytes | None = None) -> dict[str, int]:
    calls = max(1, round(STREAMED_CALLS * scale))
    each = STREAMED_MESSAGES // STREAMED_CALLS

    def body(channel: Any, first: int) -> None:
        watch = channel.unary_stream(WATCH)
        for _ in range(first, calls, STREAMED_CHANNELS):
            if sum(1 for _ in watch(each.to_bytes(4, "big"), timeout=120)) != each:
                raise RuntimeError("a stream ended early")

    _callers(port, STREAMED_CHANNELS, 1, body)
    return {"calls": calls, "messages": calls * (each + 1)}


# --- Arrow Flight -----------------------------------------------------------------------------------------------------


def _serve_flight(port: int) -> Callable[[], None]:
    """Start a Flight server whose tickets are a number of record batches; returns what stops it."""
    import numpy
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import flight

    source = numpy.random.default_rng(8815)
    batch = pyarrow.record_batch(
        {
            "key": source.integers(0, 1 << 62, FLIGHT_BATCH_ROWS, dtype="int64"),
            "value": source.standard_normal(FLIGHT_BATCH_ROWS),
        }
    )

    class Server(flight.FlightServerBase):  # type: ignore[misc]
        def do_get(self, _context: Any, ticket: Any) -> Any:
            batches = (batch for _ in range(int(ticket.ticket)))
            return flight.GeneratorStream(batch.schema, batches)

    server = Server(f"grpc://127.0.0.1:{port}")

    def stop() -> None:
        server.shutdown()

    return stop


def _make_flight_calls(port: int, scale: float, root: bytes | None = None) -> dict[str, int]:
    from pyarrow import flight

    address = f"grpc://127.0.0.1:{port}" if root is None else f"grpc+tls://localhost:{port}"
    trust = {} if root is None else {"tls_root_certs": root}
    batches = max(1, round(FLIGHT_BATCHES * scale / FLIGHT_CALLS))
    for _ in range(2):  # two connections, the calls on each one after the other
        with flight.FlightClient(address, **trust) as client:
            for _ in range(FLIGHT_CALLS // 2):
                if sum(1 for _ in client.do_get(flight.Ticket(b"%d" % batches))) != batches:
                    raise RuntimeError("a stream ended early")
    return {"calls": FLIGHT_CALLS, "messages": 0}


# --- one session ------------------------------------------------------------------------------------------------------


def _versions(name: str) -> dict[str, str]:
    from importlib.metadata import version

    said = subprocess.run(["dumpcap", "--version"], capture_output=True, text=True, check=True).stdout.split()
    library = "pyarrow" if name.startswith("flight") else "grpcio"
    return {library: version(library), "dumpcap": said[2].rstrip(".") if len(said) > 2 else "unknown"}


def _session(capture: RecordedCapture, path: Path, scale: float, outcome: Path) -> None:
    """Record one capture: loopback, recorder, server, client, and all of them ended again."""
    set_up_loopback(capture.mtu)
    kind = capture.name.removeprefix("tls-")
    make_calls = {"unary": _make_unary_calls, "streamed": _make_streamed_calls}.get(kind, _make_flight_calls)
    with ExitStack() as stack:
        result = stack.enter_context(recorded(path, capture.port, pcapng=capture.pcapng))
        root = None
        if capture.inner is not None:
            stack.enter_context(recorded(_clear(path), capture.inner, pcapng=capture.pcapng))
            certificate = make_certificate(Path(stack.enter_context(TemporaryDirectory())))
            root = certificate[0].read_bytes()
            _keylog(path).unlink(missing_ok=True)
            stack.callback(terminate(capture.port, capture.inner, certificate, _keylog(path)))
        serve = [sys.executable, str(Path(__file__).resolve()), capture.name, "--serve"]
        with subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            try:
                if server.stdout.readline().strip() != "ready":
                    raise RuntimeError("the server did not start")
                facts: dict[str, Any] = dict(make_calls(capture.port, scale, root))
            finally:
                server.stdin.close()  # the server's sign to stop
                watchdog = threading.Timer(20, server.kill)
                watchdog.start()
                server.wait()
                watchdog.cancel()
    facts.update(packets=result.packets, size=path.stat().st_size, made_with=_versions(kind))
    outcome.write_text(json.dumps(facts))


def main() -> int:
    """The session, or its server."""
    parser = argparse.ArgumentParser(description="One recording session; generate.py starts it.")
    parser.add_argument("name", choices=[capture.name for capture in RECORDED_CAPTURES])
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--outcome", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    capture = next(capture for capture in RECORDED_CAPTURES if capture.name == options.name)
    if options.serve:
        serve = _serve_flight if "flight" in capture.name else _serve_grpcio
        stop = serve(capture.port if capture.inner is None else capture.inner)
        print("ready", flush=True)
        sys.stdin.read()
        stop()
    else:
        _session(capture, options.out, options.scale, options.outcome)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
