"""The addresses in Arrow Flight's answers, replaced (``Flight.proto``: FlightInfo, FlightEndpoint, Location)."""

from __future__ import annotations

from wirecase.grpc.protobuf import BYTES, FIXED32, FIXED64, VARINT, read_varint

_FLIGHT = "/arrow.flight.protocol.FlightService/"
_REUSE = b"arrow-flight-reuse-connection:"
_LOCATION = (3, 2, 1)
"""FlightInfo.endpoint, FlightEndpoint.location, Location.uri."""
_PLACES: dict[str, tuple[int, ...]] = {
    "GetFlightInfo": _LOCATION,
    "ListFlights": _LOCATION,
    "PollFlightInfo": (1, *_LOCATION),
    "DoAction": (1, 2, 1),
}
_RENEW = b"RenewFlightEndpoint"


class NotReadableError(ValueError):
    """A message is no protobuf."""


def places(path: str, request: bytes) -> tuple[int, ...] | None:
    """Return the field numbers that lead to an address in each message of an answer; None where there are none.

    `request` is the first message of the request: the action ``RenewFlightEndpoint`` returns an endpoint.
    """
    if not path.startswith(_FLIGHT):
        return None
    method = path[len(_FLIGHT) :].partition("?")[0]
    if method == "DoAction" and _RENEW not in request[:64]:
        return None
    return _PLACES.get(method)


def replace_locations(message: bytes, fields: tuple[int, ...], location: bytes) -> tuple[bytes, list[bytes]]:
    """Return the message with `location` in place of every address, and the addresses that it held.

    Raises NotReadableError.
    """
    found: list[bytes] = []
    return _walk(message, fields, location, found), found


def _walk(data: bytes, fields: tuple[int, ...], location: bytes, found: list[bytes]) -> bytes:
    out = bytearray()
    at, end = 0, len(data)
    while at < end:
        begin = at
        key = read_varint(data, at)
        if key is None:
            raise NotReadableError
        number, kind, at = key[0] >> 3, key[0] & 7, key[1]
        if kind == VARINT:
            value = read_varint(data, at)
            if value is None:
                raise NotReadableError
            at = value[1]
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        elif kind == BYTES:
            size = read_varint(data, at)
            if size is None or size[0] > end - size[1]:
                raise NotReadableError
            inner, at = data[size[1] : size[1] + size[0]], size[1] + size[0]
            if number == fields[0]:
                out += data[begin : key[1]]
                made = _walk(inner, fields[1:], location, found) if len(fields) > 1 else _uri(inner, location, found)
                out += _varint(len(made)) + made
                continue
        else:
            raise NotReadableError
        if at > end:
            raise NotReadableError
        out += data[begin:at]
    return bytes(out)


def _uri(value: bytes, location: bytes, found: list[bytes]) -> bytes:
    if not value or value.startswith(_REUSE):
        return value
    found.append(value)
    return location


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
