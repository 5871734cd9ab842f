"""A client of the gauntlet in four characters: ``client.py CHARACTER host:port [kind calls deadline]``.

``patched`` reports what its calls ended with; ``naive`` takes every error for the end of a call that went well;
``hanging`` has no deadline; ``crashing`` aborts at the first error; ``silent`` is patched and reports nothing.
"""

from __future__ import annotations

import json
import os
import sys

import grpc


def main() -> int:
    character, target, kind, calls, deadline = [*sys.argv[1:], "unary", "3", "2"][:5]
    timeout = None if character == "hanging" else float(deadline)
    failed = False
    with grpc.insecure_channel(target) as channel:
        for number in range(int(calls)):
            code = "OK"
            try:
                if kind == "unary":
                    channel.unary_unary("/made.Up/Unary")(b"", timeout=timeout)
                else:
                    list(channel.unary_stream("/made.Up/Stream")(b"", timeout=timeout))
            except grpc.RpcError as error:
                if character == "crashing":
                    os.abort()
                code = "OK" if character == "naive" else error.code().name
                failed = failed or code != "OK"
            if character != "silent":
                with open(os.environ["WIRECASE_REPORT"], "a", encoding="utf-8") as file:
                    file.write(json.dumps({"call": number, "code": code}) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
