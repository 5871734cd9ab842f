"""The messages and methods of Arrow Flight, known without being told: a capture of Flight needs no schema to be read.

Source: Arrow's ``format/Flight.proto``.
"""

from __future__ import annotations

from functools import cache

from wirecase.grpc.schema import (
    BOOL,
    DOUBLE,
    ENUM,
    INT32,
    INT64,
    MESSAGE,
    OCTETS,
    STRING,
    UINT64,
    EnumType,
    FieldType,
    MessageType,
    Method,
    Schema,
)

PACKAGE = "arrow.flight.protocol"
SERVICE = f"/{PACKAGE}.FlightService/"
DATA = f"{PACKAGE}.FlightData"
HEADER_FIELD = 2
"""Of FlightData: the metadata of an Arrow IPC message."""
SCHEMA_FIELDS = {f"{PACKAGE}.FlightInfo": 1, f"{PACKAGE}.SchemaResult": 1, DATA: HEADER_FIELD}
"""Message types that hold an Arrow IPC message, and the number of the field."""

CREDENTIALS = {f"{PACKAGE}.HandshakeRequest": "payload", f"{PACKAGE}.HandshakeResponse": "payload"}
"""Message types with a field that holds what a client logs in with, or the token that it gets."""

_SCALARS = {"string": STRING, "bytes": OCTETS, "int64": INT64, "uint64": UINT64, "int32": INT32, "bool": BOOL,
            "double": DOUBLE}  # fmt: skip
_MESSAGES = """
HandshakeRequest: 1 protocol_version uint64, 2 payload bytes
HandshakeResponse: 1 protocol_version uint64, 2 payload bytes
BasicAuth: 2 username string, 3 password string
Empty:
ActionType: 1 type string, 2 description string
Criteria: 1 expression bytes
Action: 1 type string, 2 body bytes
Result: 1 body bytes
SchemaResult: 1 schema bytes
FlightDescriptor: 1 type FlightDescriptor.DescriptorType, 2 cmd bytes, 3 path *string
FlightInfo: 1 schema bytes, 2 flight_descriptor FlightDescriptor, 3 endpoint *FlightEndpoint, 4 total_records int64, \
5 total_bytes int64, 6 ordered bool, 7 app_metadata bytes
PollInfo: 1 info FlightInfo, 2 flight_descriptor FlightDescriptor, 3 progress double, 4 expiration_time .Timestamp
FlightEndpoint: 1 ticket Ticket, 2 location *Location, 3 expiration_time .Timestamp, 4 app_metadata bytes
Location: 1 uri string
Ticket: 1 ticket bytes
FlightData: 1 flight_descriptor FlightDescriptor, 2 data_header bytes, 3 app_metadata bytes, 1000 data_body bytes
PutResult: 1 app_metadata bytes
"""
_METHODS = """
Handshake *HandshakeRequest *HandshakeResponse
ListFlights Criteria *FlightInfo
GetFlightInfo FlightDescriptor FlightInfo
PollFlightInfo FlightDescriptor PollInfo
GetSchema FlightDescriptor SchemaResult
DoGet Ticket *FlightData
DoPut *FlightData *PutResult
DoExchange *FlightData *FlightData
DoAction Action *Result
ListActions Empty *ActionType
"""
_TIMESTAMP = "google.protobuf.Timestamp"


@cache
def flight_schema() -> Schema:
    """Return the schema of Arrow Flight."""
    schema = Schema()
    kind = f"{PACKAGE}.FlightDescriptor.DescriptorType"
    schema.enums[kind] = EnumType(kind, {0: "UNKNOWN", 1: "PATH", 2: "CMD"})
    times = {1: FieldType(1, "seconds", INT64), 2: FieldType(2, "nanos", INT32)}
    schema.messages[_TIMESTAMP] = MessageType(_TIMESTAMP, times, utf8=True)
    for line in _MESSAGES.strip().splitlines():
        name, _, listed = line.partition(":")
        fields: dict[int, FieldType] = {}
        for entry in filter(None, listed.strip().split(", ")):
            number, label, told = entry.split(" ")
            repeated, told = told.startswith("*"), told.removeprefix("*")
            type_, full = _SCALARS.get(told, MESSAGE), ""
            if type_ == MESSAGE:
                full = _TIMESTAMP if told.startswith(".") else f"{PACKAGE}.{told}"
                type_ = ENUM if full in schema.enums else MESSAGE
            fields[int(number)] = FieldType(int(number), label, type_, full, repeated)
        full_name = f"{PACKAGE}.{name}"
        schema.messages[full_name] = MessageType(full_name, fields, utf8=True)
    for line in _METHODS.strip().splitlines():
        name, asked, answered = line.split(" ")
        schema.methods[SERVICE + name] = Method(
            SERVICE + name, f"{PACKAGE}.{asked.removeprefix('*')}", f"{PACKAGE}.{answered.removeprefix('*')}",
            asked.startswith("*"), answered.startswith("*"),
        )  # fmt: skip
    return schema


def is_flight(path: str | None) -> bool:
    """Tell whether a ``:path`` names a method of Arrow Flight."""
    return path is not None and path.startswith(SERVICE)
