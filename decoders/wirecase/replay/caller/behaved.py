"""The recorded calls made by grpcio: what a well-behaved client gets from the server.

grpcio speaks to a relay of this process, so that its bytes are seen (and TLS is the relay's); there is nothing else
that it may dial: proxies of the environment are off, service configs and retries too.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any

from wirecase.errors import UsageError
from wirecase.grpc.status import decode_bin, parse_timeout
from wirecase.model import CLIENT, SERVER
from wirecase.replay.caller.address import Target, Tls
from wirecase.replay.caller.connection import Manner
from wirecase.replay.caller.frames import replace
from wirecase.replay.caller.model import Sent
from wirecase.replay.caller.relay import Relay
from wirecase.replay.caller.tap import Recorder
from wirecase.replay.plan import Data, Headers, MessageCount, More, Plan, RecordedCall, RecordedConnection

_LARGEST = 256 << 20
"""Bytes of a request message after it was inflated."""
_OWN = frozenset({b"te", b"content-type", b"user-agent", b"content-length", b"host", b"connection"})
"""Fields that grpcio writes itself."""


def missing() -> UsageError:
    """Return what is said where grpcio is not installed."""
    return UsageError('--through grpcio needs grpcio, which is not installed: pip install "wirecase[grpc]"')


def send(plan: Plan, target: Target, tls: Tls | None, recorder: Recorder, manner: Manner) -> Sent:
    """Make the calls of `plan` with grpcio. Raises UsageError if it is not installed."""
    try:
        import grpc.aio  # noqa: F401
    except ImportError as error:
        raise missing() from error
    sent = Sent(recorder.path)
    try:
        asyncio.run(_send(plan, target, tls, recorder, manner, sent))
    except KeyboardInterrupt:
        sent.interrupted = True
    return sent


async def _send(plan: Plan, target: Target, tls: Tls | None, recorder: Recorder, manner: Manner, sent: Sent) -> None:
    first = min((made.started for made in plan.connections), default=0)
    async with asyncio.TaskGroup() as tasks:
        for made in plan.connections:
            tasks.create_task(_Channel(made, target, tls, recorder, manner, sent).run(made.started - first))


class _Channel:
    """The calls of one recorded connection."""

    def __init__(
        self, made: RecordedConnection, target: Target, tls: Tls | None, recorder: Recorder, manner: Manner, sent: Sent
    ) -> None:
        self._made = made
        self._manner = manner
        self._sent = sent
        self._target = target

        def opened(client: str) -> None:
            sent.connections[client] = made.index

        def failed(reason: str) -> None:
            sent.errors.setdefault(made.index, reason)

        self._relay = Relay(target, tls, recorder, opened, failed)
        self._over: dict[int, asyncio.Event] = {}

    async def run(self, delay: int) -> None:
        from grpc import aio

        calls = sorted(self._made.calls.values(), key=lambda one: (one.started, one.number))
        if not calls:
            self._sent.deviate(
                "left-out", "a connection without calls is nothing for grpcio", connection=self._made.index
            )
            return
        await asyncio.sleep(self._manner.pause(delay))
        address = await self._relay.start()
        channel = aio.insecure_channel(address, options=self._options())
        try:
            async with asyncio.TaskGroup() as tasks:
                latest = self._made.started
                for call in calls:
                    over = [one for one in calls if one.started < call.started and _over_at(one, call.started)]
                    for one in over:
                        await self._over[one.number].wait()
                        latest = max(latest, one.acts[-1].time if one.acts else latest)
                    await asyncio.sleep(self._manner.pause(max(call.started - latest, 0)))
                    latest = max(latest, call.started)
                    self._over[call.number] = asyncio.Event()
                    tasks.create_task(self._call(channel, call))
        finally:
            await channel.close()
            await self._relay.stop()

    def _options(self) -> list[tuple[str, Any]]:
        authority = dict(self._manner.replaced).get(b":authority")
        if authority is None:
            request = next(iter(self._made.calls.values())).request
            authority = next((value for name, value in request if name == b":authority"), self._target.name.encode())
        return [
            ("grpc.default_authority", authority.decode("latin-1")),
            ("grpc.enable_http_proxy", 0),
            ("grpc.enable_retries", 0),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", 1 << 20),
        ]

    async def _call(self, channel: Any, call: RecordedCall) -> None:
        import grpc

        number = call.number
        try:
            messages = _messages(call)
            if messages is None:
                self._sent.skipped[number] = "its request holds no sound gRPC messages: grpcio cannot send it"
                return
            if self._sent.errors.get(self._made.index):
                self._sent.skipped[number] = "the server could not be reached"
                return
            seen = asyncio.Event()
            got = 0
            made = channel.stream_stream(call.path, request_serializer=None, response_deserializer=None)

            async def ask() -> AsyncIterator[bytes]:
                latest = call.started
                for message, time, before in messages:
                    while got < before and not done.is_set():  # as much of the answer as the recorded client had
                        seen.clear()
                        try:
                            await asyncio.wait_for(seen.wait(), 2.0)
                        except TimeoutError:
                            break
                    await asyncio.sleep(self._manner.pause(max(time - latest, 0)))
                    latest = time
                    yield message

            done = asyncio.Event()
            live = made(ask(), timeout=min(_deadline(call), self._manner.timeout), metadata=self._metadata(call))
            try:
                async for _ in live:
                    got += 1
                    seen.set()
            except grpc.RpcError:
                pass  # its code and details are asked for below
            done.set()
            seen.set()
            code, details = await live.code(), await live.details()
            self._sent.told[number] = (code.name, details or "")
            if code is grpc.StatusCode.DEADLINE_EXCEEDED and self._manner.timeout < _deadline(call):
                self._sent.gave_up.add(number)
        finally:
            self._over[number].set()

    def _metadata(self, call: RecordedCall) -> list[tuple[str, str | bytes]]:
        found: list[tuple[str, str | bytes]] = []
        for name, value in replace(call.request, {name.lower(): value for name, value in self._manner.replaced}):
            if name[:1] == b":" or name in _OWN or name.startswith(b"grpc-"):
                continue
            key = name.decode("latin-1")
            if key.endswith("-bin"):
                raw = decode_bin(value)
                if raw is not None:
                    found.append((key, raw))
            elif value.isascii() and all(0x20 <= byte < 0x7F for byte in value) and key == key.lower():
                found.append((key, value.decode("latin-1")))
        return found


def _over_at(call: RecordedCall, time: int) -> bool:
    return call.ended and bool(call.acts) and call.acts[-1].time <= time


def _deadline(call: RecordedCall) -> float:
    """Return the recorded grpc-timeout in seconds (PROTOCOL-HTTP2, Timeout)."""
    raw = next((value for name, value in call.request if name == b"grpc-timeout"), b"")
    nanoseconds = parse_timeout(raw)
    return float("inf") if nanoseconds is None else max(nanoseconds / 1e9, 0.001)


def _messages(call: RecordedCall) -> list[tuple[bytes, int, int]] | None:
    """Return the request's messages, inflated, each with its time and the answers before it; None if it has none."""
    encoding = next((value for name, value in call.request if name == b"grpc-encoding"), b"identity")
    acts = sorted([*call.asked, *call.acts], key=lambda act: act.order)
    found: list[tuple[bytes, int, int]] = []
    buffer = bytearray()
    heard = MessageCount()
    for act in acts:
        if not isinstance(act, Data | More):
            continue
        if act.side == SERVER:
            heard.feed(act.body.read())
            continue
        buffer += act.body.read()
        while len(buffer) >= 5:
            length = int.from_bytes(buffer[1:5], "big")
            if len(buffer) < 5 + length:
                break
            message = _inflated(buffer[0], bytes(buffer[5 : 5 + length]), encoding)
            if message is None:
                return None
            found.append((message, act.time, heard.whole))
            del buffer[: 5 + length]
    if buffer or not any(isinstance(act, Headers) and act.side == CLIENT for act in call.asked):
        return None
    return found


def _inflated(flag: int, message: bytes, encoding: bytes) -> bytes | None:
    if flag == 0:
        return message
    if flag != 1 or encoding not in (b"gzip", b"deflate"):
        return None
    inflater = zlib.decompressobj(31 if encoding == b"gzip" else 15)
    try:
        made = inflater.decompress(message, _LARGEST)
    except zlib.error:
        return None
    return made if inflater.eof else None
