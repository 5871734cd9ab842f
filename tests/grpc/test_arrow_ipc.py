"""Arrow IPC metadata and Flight messages, as pyarrow writes them and as anybody may send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.grpc.arrow_ipc import read_message
from wirecase.grpc.flight import PACKAGE, flight_schema, is_flight
from wirecase.grpc.views import draw


def test_flight_methods_are_known() -> None:
    schema = flight_schema()
    assert len(schema.methods) == 10
    for method in schema.methods.values():
        assert method.request in schema.messages
        assert method.response in schema.messages
    get = schema.method(f"/{PACKAGE}.FlightService/DoGet")
    assert get is not None
    assert get.kind == "server-streaming"
    assert is_flight("/arrow.flight.protocol.FlightService/DoGet")
    assert not is_flight("/demo.Echo/Unary")


def test_schemas_and_batches() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    schema = pa.schema(
        [pa.field("id", pa.uint16(), nullable=False), pa.field("l", pa.list_(pa.float32())),
         pa.field("d", pa.dictionary(pa.int8(), pa.string()))]
    )  # fmt: skip
    found = read_message(schema.serialize().to_pybytes())
    assert found is not None
    assert found.kind == "Schema"
    assert [(one.name, one.type, one.nullable) for one in found.columns] == [
        ("id", "uint16", False), ("l", "list", True), ("d", "dictionary of utf8", True),
    ]  # fmt: skip
    assert found.columns[1].children[0].type == "float32"
    batch = pa.record_batch([pa.array(range(77))], names=["x"])
    told = read_message(batch.serialize().to_pybytes())
    assert told is not None
    assert (told.kind, told.rows, told.nodes, told.buffers) == ("RecordBatch", 77, 1, 2)
    assert told.body_length == 77 * 8 + (-77 * 8) % 64 or told.body_length >= 77 * 8


def test_flight_messages() -> None:
    flight = pytest.importorskip("pyarrow.flight", reason="pyarrow is not installed")
    pa = pytest.importorskip("pyarrow")
    known = flight_schema()
    columns = [pa.field(f"a_rather_long_column_name_{i}", pa.int64()) for i in range(100)]
    info = flight.FlightInfo(
        pa.schema(columns), flight.FlightDescriptor.for_command(b"select"),
        [flight.FlightEndpoint(b"ticket-1", ["grpc://h:1"])], 5, 6,
    )  # fmt: skip
    view = draw(info.serialize(), known, known.messages[f"{PACKAGE}.FlightInfo"])
    assert not view.problem
    assert not view.unknown
    by_name = {node.name: node for node in view.nodes}
    arrow = by_name["schema"].arrow
    assert arrow is not None
    assert arrow.column_count == 100
    assert by_name["flight_descriptor"].children[0].label == "CMD"
    assert by_name["endpoint"].children[0].children[0].value == b"ticket-1"
    assert by_name["total_records"].value == 5


@given(st.binary(max_size=200))
def test_any_bytes_are_taken(data: bytes) -> None:
    read_message(data)
    read_message(b"\xff\xff\xff\xff\x40\0\0\0" + data)


def test_every_byte_of_a_real_message_may_be_wrong() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    data = pa.schema([pa.field("id", pa.int64()), pa.field("name", pa.string())]).serialize().to_pybytes()
    for at in range(len(data)):
        for value in (0, 1, 0x7F, 0xFF):
            read_message(data[:at] + bytes((value,)) + data[at + 1 :])
        read_message(data[:at])
