"""Write data/raw_responses.json from a checkout of connectrpc/conformance: ``transcribe.py CHECKOUT`` (needs PyYAML).

Of each test case that tells the reference server what to answer octet by octet (`raw_response`), the answer is taken
with its payloads as octets, and the error codes that the case allows. What the reference server does with an answer
(internal/app/referenceserver/raw_response.go) is done in test_conformance.py.
"""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SUITES = (
    "client_http_to_rpc_code",
    "client_unexpected",
    "grpc_client_empty",
    "grpc_client_proto_subformat",
    "grpc_client_trailers",
    "grpc_client_unexpected",
    "grpc_web_client_compressed_trailers",
    "grpc_web_client_empty",
    "grpc_web_client_proto_subformat",
    "grpc_web_client_trailers",
    "grpc_web_client_unexpected",
)
EMPTY_ZSTD = bytes.fromhex("28b52ffd2000010000")
"""A frame of Zstandard without content and checksum (RFC 8878 section 3.1.1)."""
MAGIC = "x-connect-trailers-only"
"""Tells the reference server to end the stream with the headers; it is not sent."""
DATA = Path(__file__).parent / "data" / "raw_responses.json"


def payload(of: dict[str, Any]) -> bytes:
    """The octets of a message; the only protobuf with content has ConformancePayload.data in UnaryResponse.payload."""
    data = str(of.get("text", "")).encode()
    if inner := of.get("binary_message", {}).get("payload", {}).get("data"):
        raw = base64.b64decode(inner)
        field = b"\x0a" + bytes([len(raw)]) + raw
        data = b"\x0a" + bytes([len(field)]) + field
    kind = of.get("compression", "COMPRESSION_IDENTITY")
    if kind == "COMPRESSION_ZSTD":
        assert not data
        return EMPTY_ZSTD
    return gzip.compress(data, mtime=0) if kind == "COMPRESSION_GZIP" else data


def fields(of: list[dict[str, Any]]) -> list[list[str]]:
    """Name and value of each field line."""
    return [[one["name"].lower(), value] for one in of for value in one["value"] if one["name"] != MAGIC]


def case(of: dict[str, Any]) -> dict[str, Any] | None:
    """One test case; None if its answer is not given octet by octet."""
    request = of["request"]
    definition = request["requestMessages"][0].get("responseDefinition", {})
    raw = definition.get("rawResponse") or definition.get("raw_response")
    if raw is None:
        return None
    expected = of["expectedResponse"].get("error")
    codes = [expected["code"], *of.get("otherAllowedErrorCodes", [])] if expected else []
    return {
        "kind": request["streamType"].removeprefix("STREAM_TYPE_"),
        "status": raw.get("statusCode") or raw.get("status_code") or 200,
        "headers": fields(raw.get("headers", [])),
        "messages": [
            [item.get("flags", 0), payload(item["payload"]).hex()] for item in raw.get("stream", {}).get("items", [])
        ],
        "trailers": fields(raw.get("trailers", [])),
        "allowed_codes": codes,
    }


def main() -> None:
    """Transcribe all suites."""
    yaml = importlib.import_module("yaml")
    checkout = Path(sys.argv[1])
    folder = checkout / "internal/app/connectconformance/testsuites/data"
    found: dict[str, Any] = {}
    for suite in SUITES:
        for one in yaml.safe_load((folder / f"{suite}.yaml").read_text())["testCases"]:
            told = case(one)
            if told is not None:
                found[f"{suite}/{one['request']['testName']}"] = told
    head = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(told)}" for name, told in found.items())
    DATA.write_text(f'{{\n "commit": "{head}",\n "cases": {{\n{lines}\n }}\n}}\n')


if __name__ == "__main__":
    main()
