"""A small gRPC client for tests: ``h2_client.py TARGET PATH naive|patched|hang|crash|leak [ROUNDS [PAUSE]]``.

naive takes whatever comes for a success, patched looks at it and asks again, hang never ends, crash falls over it; leak
is patched, and opens a descriptor in each round.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived


def ask(target: str, path: str, number: int) -> tuple[str, bytes]:
    """Make one call; return the status and the body. The body carries `number`, so that no two requests are equal."""
    host, _, port = target.rpartition(":")
    made = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    made.initiate_connection()
    fields: dict[str, str] = {}
    body = b""
    with socket.create_connection((host, int(port)), timeout=20) as live:
        made.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", target),
                              ("te", "trailers"), ("content-type", "application/grpc")])  # fmt: skip
        made.send_data(1, b"\0\0\0\0\2\x08" + bytes((number % 128,)), end_stream=True)
        while True:
            live.sendall(made.data_to_send())
            data = live.recv(65536)
            if not data:
                return "14", body
            for event in made.receive_data(data):
                if isinstance(event, ResponseReceived | TrailersReceived):
                    fields |= dict(event.headers)
                elif isinstance(event, DataReceived):
                    body += event.data
                elif isinstance(event, StreamReset):
                    return "13", body
                elif isinstance(event, StreamEnded):
                    return fields.get("grpc-status", "2"), body


def report(call: int, code: str, details: str = "") -> None:
    with open(os.environ["WIRECASE_REPORT"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"call": call, "code": code, "details": details}) + "\n")


def main() -> int:
    target, path, manner = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    pause = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
    number = 0
    kept = []
    for _ in range(rounds):
        time.sleep(pause)
        if manner == "leak":
            kept.append(os.dup(0))
        for _attempt in range(3):
            status, body = ask(target, path, number)
            # UNIMPLEMENTED is what a healthy server says where the recording holds no answer.
            sound = status in ("0", "12") and body[:1] in (b"\0", b"")
            if manner == "crash":
                os.abort()
            if manner == "hang":
                print("waiting \x1b]0;title\x07 Authorization: Bearer abcdefghijklmnop0123456789", flush=True)
                time.sleep(60)
            code = "UNIMPLEMENTED" if status == "12" else "OK" if manner == "naive" or sound else "INTERNAL"
            report(number, code, "" if sound else "not a message")
            number += 1
            if sound or manner == "naive":
                break
    return 0


if __name__ == "__main__":
    sys.exit(main())
