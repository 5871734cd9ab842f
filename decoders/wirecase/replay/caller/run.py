"""The whole way: read a recording, send its requests to a server, compare the answers."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from wirecase.case.manifest import read_manifest
from wirecase.errors import InputError
from wirecase.replay.caller import behaved, raw
from wirecase.replay.caller.address import CannotConnectError, Target, Tls
from wirecase.replay.caller.compare import compare
from wirecase.replay.caller.connection import Manner
from wirecase.replay.caller.model import Comparison, Sent, Through
from wirecase.replay.caller.reading import see
from wirecase.replay.caller.tap import Recorder
from wirecase.replay.plan import CannotReplayError, Plan, read_plan

FULL_SPEED = math.inf


@dataclass(slots=True)
class Request:
    """What to send, where and how."""

    path: str
    """A capture or a case: a file."""
    target: Target
    finding: str | None = None
    call: int | None = None
    ports: Sequence[int] = ()
    keylogs: Sequence[str] = ()
    through: Through = "raw"
    tls: Tls | None = None
    speed: float = 1.0
    """Factor on the recorded tempo; `FULL_SPEED` for no delays."""
    timeout: float = 30.0
    """Seconds for each call."""
    authority: str | None = None
    """``:authority`` in place of the recorded one."""
    metadata: list[tuple[str, str]] = field(default_factory=list)
    """Fields in place of the recorded ones, such as credentials that a case does not hold."""


def call_again(request: Request) -> Comparison:
    """Send the recorded requests and return the comparison.

    Raises CannotReplayError (an InputError) if there is nothing to send, CannotConnectError if no connection could be
    opened, UsageError where grpcio is wanted and missing.
    """
    if request.tls is not None:
        request.tls.context()  # a file that cannot be used is told before anything is read
    plan = read_plan(request.path, request.finding, request.call, request.ports, keylogs=request.keylogs, serve=False)
    recorder = Recorder(request.target.address)
    try:
        return _call_again(request, plan, recorder)
    finally:
        recorder.discard()
        plan.close()


def _call_again(request: Request, plan: Plan, recorder: Recorder) -> Comparison:
    if not any(made.client_acts for made in plan.connections):
        raise CannotReplayError("nothing can be sent: the client's side of the connections is not in the capture")
    if all(made.protocol == "tls" for made in plan.connections):
        raise CannotReplayError(
            "nothing can be sent: the connections are TLS without keys; give a key log with --keylog"
        )
    masked, hosts = _redaction(request.path)
    comparison = Comparison(
        request.path, request.target.name, request.target.address, request.through, request.tls is not None,
        plan.server, plan.headline, redacted=masked,
    )  # fmt: skip
    manner = Manner(request.speed, request.timeout, _replaced(request, hosts=hosts))
    if masked:
        comparison.notes.append(
            "The case's payloads and unknown metadata are masked: the server gets fillers of the same length and "
            "structure, and its answers are compared by status, number of messages and end, not by their bytes."
        )
    if hosts and request.authority is None:
        comparison.notes.append("The recorded host names are masked: :authority is the target's.")
    began = time.monotonic()
    send = behaved.send if request.through == "grpcio" else raw.send
    sent = send(plan, request.target, request.tls, recorder, manner)
    recorder.finish()
    comparison.seconds = time.monotonic() - began
    comparison.interrupted = sent.interrupted
    _check_reached(request, plan, sent)
    wanted = {made.index for made in plan.connections}
    before = see(request.path, ports=request.ports, keylogs=request.keylogs, wanted=wanted)
    after = see(recorder.path, ports=[request.target.port] if request.ports else ())
    compare(plan, sent, before, after, comparison)
    return comparison


def _check_reached(request: Request, plan: Plan, sent: Sent) -> None:
    """Raise CannotConnectError if nothing was reached."""
    if sent.errors and not sent.connections:
        made = next(iter(sent.errors))
        raise CannotConnectError(f"{request.target.name} cannot be reached: {sent.errors[made]}")


def _replaced(request: Request, *, hosts: bool) -> list[tuple[bytes, bytes]]:
    """Return the fields that are sent with other values than the recorded ones."""
    made = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in request.metadata]
    authority = request.authority or (request.target.name if hosts else None)
    if authority is not None:
        made.append((b":authority", authority.encode("latin-1", "replace")))
    return made


def _redaction(path: str) -> tuple[bool, bool]:
    """Tell whether a case's payloads are masked, and whether its hosts are."""
    try:
        manifest = read_manifest(path)
    except InputError:
        return False, False
    redaction = manifest.get("redaction")
    if not isinstance(redaction, dict):
        return False, False
    masked = redaction.get("payloads") in ("redact", "hash")
    hosts = redaction.get("hosts")
    addresses = redaction.get("addresses")
    return masked, bool(isinstance(hosts, list) and hosts) or bool(isinstance(addresses, list) and addresses)
