"""A schema from a server's reflection service (``grpc.reflection.v1`` and, for older servers, ``v1alpha``).

The only address that is dialled is the one that was named. Requests and answers are written and read by hand: there are
three fields of each. Source: gRPC's ``reflection.proto``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

from wirecase.errors import InputError, UsageError
from wirecase.grpc.protobuf import BYTES
from wirecase.grpc.schema import Schema, fields_of

SECONDS = 10
"""How long the server may take for all of it."""
_SERVICES = 500
_FILES = 5_000
_BY_NAME, _BY_SYMBOL, _LIST = 3, 4, 7  # fields of ServerReflectionRequest
_FILES_ANSWER, _LIST_ANSWER, _ERROR = 4, 6, 7  # fields of ServerReflectionResponse
_VERSIONS = ("v1", "v1alpha")
_OWN = ("grpc.reflection.", "grpc.health.")


def reflect(address: str, schema: Schema) -> None:
    """Take what the server at ``host:port`` says of its services. Raise InputError if it says nothing."""
    if importlib.util.find_spec("grpc") is None:
        raise UsageError("--reflect needs grpcio: pip install 'wirecase[protobuf]', or give --protoset instead")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in address:
        raise UsageError(f"--reflect {address}: write HOST:PORT")
    import grpc

    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 64 << 20)]
    # The target is given as an address, so no service config and no other scheme of the resolver comes into play.
    with grpc.insecure_channel(f"dns:///{address}", options=options) as channel:
        problem = ""
        for version in _VERSIONS:
            ask = channel.stream_stream(
                f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                request_serializer=None, response_deserializer=None,
            )  # fmt: skip
            try:
                _take_all(ask, schema)
                return
            except grpc.RpcError as error:
                problem = f"{error.code().name}: {error.details()}"
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    break
        raise InputError(f"--reflect {address}: {problem or 'no answer'} (is reflection on there?)")


def _take_all(ask: Callable[..., Any], schema: Schema) -> None:
    import queue

    asked: queue.Queue[bytes | None] = queue.Queue()

    def requests() -> Iterator[bytes]:
        while (one := asked.get()) is not None:
            yield one

    answers = ask(requests(), timeout=SECONDS)

    def call(number: int, text: str) -> bytes:
        asked.put(_request(number, text))
        answer: bytes = next(answers)
        return answer

    try:
        services = [name for name in _services(call(_LIST, "*")) if not name.startswith(_OWN)][:_SERVICES]
        if not services:
            raise InputError("--reflect: the server names no service of its own")
        for name in services:
            _files(call(_BY_SYMBOL, name), schema)
        tried: set[str] = set()
        while (missing := sorted(schema.missing - tried)) and len(tried) < _FILES:
            for name in missing:
                tried.add(name)
                _files(call(_BY_NAME, name), schema)
    except StopIteration:
        raise InputError("--reflect: the server ended the conversation early") from None
    finally:
        asked.put(None)
        answers.cancel()


def _request(number: int, text: str) -> bytes:
    value = text.encode()
    size, length = len(value), b""
    while size > 0x7F:
        length += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return bytes((number << 3 | BYTES,)) + length + bytes((size,)) + value


def _services(answer: bytes) -> list[str]:
    return [
        name.decode("utf-8", "replace")
        for number, _, listed in fields_of(answer)
        if number == _LIST_ANSWER and isinstance(listed, bytes)
        for inner, _, service in fields_of(listed)
        if inner == 1 and isinstance(service, bytes)
        for field, _, name in fields_of(service)
        if field == 1 and isinstance(name, bytes)
    ]


def _files(answer: bytes, schema: Schema) -> None:
    """Take the files of an answer; one that the server does not have is left missing."""
    for number, _, listed in fields_of(answer):
        if number == _FILES_ANSWER and isinstance(listed, bytes):
            for inner, _, file in fields_of(listed):
                if inner == 1 and isinstance(file, bytes):
                    schema.add_file(file)
