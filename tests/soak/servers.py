"""The servers of the soak: gRPC and Arrow Flight, whose answers can be computed by whoever asks.

``python servers.py grpc|flight PORT``
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from typing import Any


def piece(seed: int, number: int, size: int) -> bytes:
    """Return bytes that look random and can be computed again."""
    return hashlib.shake_128(f"{seed}/{number}".encode()).digest(size)


def serve_grpc(port: int) -> None:
    import grpc

    def answer(request: bytes, _context: Any) -> bytes:
        return hashlib.sha256(request).digest() + request

    def stream(request: bytes, _context: Any) -> Iterator[bytes]:
        seed, count, size = map(int, request.split())
        for number in range(count):
            yield piece(seed, number, size)

    def digest(requests: Iterator[bytes], _context: Any) -> bytes:
        found = hashlib.sha256()
        for one in requests:
            found.update(one)
        return found.digest()

    def slow(requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        for one in requests:
            time.sleep(0.2)
            yield hashlib.sha256(one).digest()

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            return {
                "/soak.Soak/Unary": grpc.unary_unary_rpc_method_handler(answer),
                "/soak.Soak/Stream": grpc.unary_stream_rpc_method_handler(stream),
                "/soak.Soak/Upload": grpc.stream_unary_rpc_method_handler(digest),
                "/soak.Soak/Chat": grpc.stream_stream_rpc_method_handler(slow),
            }.get(details.method)

    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


def serve_flight(port: int) -> None:
    import pyarrow as pa
    from pyarrow import flight

    class Server(flight.FlightServerBase):
        def do_get(self, _context: Any, ticket: Any) -> Any:
            seed, count, size = map(int, ticket.ticket.split())
            schema = pa.schema([("data", pa.binary())])
            batches = [pa.record_batch([pa.array([piece(seed, i, size)])], schema=schema) for i in range(count)]
            return flight.RecordBatchStream(pa.Table.from_batches(batches, schema))

        def do_put(self, _context: Any, _descriptor: Any, reader: Any, writer: Any) -> None:
            found = hashlib.sha256()
            for chunk in reader:
                for value in chunk.data.column(0):
                    found.update(value.as_py())
            writer.write(pa.py_buffer(found.digest()))

    Server(f"grpc://127.0.0.1:{port}").serve()


if __name__ == "__main__":
    {"grpc": serve_grpc, "flight": serve_flight}[sys.argv[1]](int(sys.argv[2]))
