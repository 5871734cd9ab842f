"""The messages of Arrow Flight, and `google.rpc.Status`: what their fields are, so that a client still reads them.

Sources: Arrow's ``Flight.proto``; ``google/rpc/status.proto`` and ``error_details.proto``.
"""

from __future__ import annotations

from functools import partial

from wirecase.case.redact.arrow import ArrowNames, mask_message, mask_stream
from wirecase.case.redact.ledger import Ledger
from wirecase.case.redact.prose import Prose
from wirecase.case.redact.structure import Filler, Rule, Schema, Walker
from wirecase.grpc.protobuf import BYTES, read_fields
from wirecase.model import CLIENT

FLIGHT = "/arrow.flight.protocol.FlightService/"
_REUSE = b"arrow-flight-reuse-connection:"


def _zeros(value: bytes) -> bytes:
    return bytes(len(value))


def _uri(prose: Prose, value: bytes) -> bytes:
    """Mask a location: the scheme stays, host and address get their pseudonyms, what is behind them a filler."""
    if value.startswith(_REUSE):
        return value
    scheme, mark, rest = value.partition(b"://")
    if not mark:
        return b"x" * len(value)
    place, slash, path = rest.partition(b"/")
    return prose.mask(scheme + mark + place) + slash + bytes(b if b in b"/?=&" else 0x78 for b in path)


def flight_schema(
    path: str | None, side: int, prose: Prose, names: ArrowNames, ledger: Ledger, filler: Filler
) -> Schema | None:  # fmt: skip
    """Return the schema of the messages that `side` sends in a call of `path`; None if it is not a Flight method."""
    if not path or not path.startswith(FLIGHT):
        return None
    opaque = filler.binary if filler.keyed else lambda value: b"x" * len(value)
    ipc: Rule = partial(_masked, mask_stream, names, ledger)
    descriptor: dict[int, Rule] = {1: "keep", 2: opaque, 3: opaque}
    endpoint: dict[int, Rule] = {1: {1: opaque}, 2: {1: partial(_uri, prose)}, 3: "keep", 4: opaque}
    info: dict[int, Rule] = {1: ipc, 2: descriptor, 3: endpoint, 4: "keep", 5: "keep", 6: "keep", 7: opaque}
    data: dict[int, Rule] = {1: descriptor, 2: partial(_masked, mask_message, names, ledger), 3: opaque, 1000: _zeros}
    kind: dict[int, Rule] = {1: prose.mask, 2: opaque}
    methods: dict[str, tuple[Schema, Schema]] = {
        "Handshake": ({1: "keep", 2: opaque}, {1: "keep", 2: opaque}),
        "ListFlights": ({1: opaque}, info),
        "GetFlightInfo": (descriptor, info),
        "PollFlightInfo": (descriptor, {1: info, 2: descriptor, 3: "keep", 4: "keep"}),
        "GetSchema": (descriptor, {1: ipc}),
        "DoGet": ({1: opaque}, data),
        "DoPut": (data, {1: opaque}),
        "DoExchange": (data, data),
        "DoAction": (kind, {1: opaque}),
        "ListActions": ({}, kind),
    }
    pair = methods.get(path[len(FLIGHT) :].partition("?")[0])
    return (pair[0] if side == CLIENT else pair[1]) if pair else None


def _masked(how: object, names: ArrowNames, ledger: Ledger, value: bytes) -> bytes:
    assert callable(how)
    made: bytes = how(value, names, ledger)
    return made


_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


def mask_status(raw: bytes, prose: Prose, filler: Filler) -> bytes:
    """Return a `google.rpc.Status`, as long as it was: code and types stay, the message is text, details are masked."""

    def detail(value: bytes) -> bytes:
        types = [field.value for field in read_fields(value) or [] if field.number == 1 and field.wire_type == BYTES]
        rules: dict[int, Rule] = {1: partial(prose.mask, places=False)}
        if types == [_RETRY_INFO]:  # a duration; everything else in details is about somebody
            rules[2] = {1: {1: "keep", 2: "keep"}}
        return Walker(filler).redact(value, rules)

    return Walker(filler).redact(raw, {1: "keep", 2: prose.mask, 3: detail})
