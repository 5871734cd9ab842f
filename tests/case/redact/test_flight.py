"""Arrow Flight: what is redacted is still Flight, and its metadata still Arrow."""

from __future__ import annotations

from typing import Any

import pytest
from planted import assert_gone, encode, field

from wirecase.case.redact import Policy, Redactor
from wirecase.grpc.protobuf import read_fields
from wirecase.model import CLIENT, SERVER

FLIGHT = "/arrow.flight.protocol.FlightService/"
SECRETS = ["customer", "salary_eur", "owner-of-table", "acme metadata", "inner_street", "ticket-of-ann", "acme"]


def redact(payload: bytes, method: str, side: int = SERVER, policy: Policy | None = None) -> bytes:
    made = Redactor(policy or Policy()).message(payload, path=FLIGHT + method, side=side, compressed=False)
    assert len(made) == len(payload)
    again = Redactor(policy or Policy()).message(made, path=FLIGHT + method, side=side, compressed=False)
    assert again == made or (policy and policy.payloads == "hash")
    return made


def values(raw: bytes) -> dict[int, Any]:
    fields = read_fields(raw)
    assert fields is not None
    return {f.number: f.value for f in fields}


def test_tickets_and_commands_are_masked() -> None:
    assert redact(field(1, "ticket-of-ann"), "DoGet", CLIENT) == field(1, "x" * 13)
    descriptor = encode([(1, 1), (3, "acme"), (3, "customer"), (2, "select 1")])
    assert redact(descriptor, "GetFlightInfo", CLIENT) == encode([(1, 1), (3, "xxxx"), (3, "x" * 8), (2, "x" * 8)])
    assert redact(encode([(1, "DropTable"), (2, "acme")]), "DoAction", CLIENT) == encode(
        [(1, "DropTable"), (2, "xxxx")]
    )


def test_locations_keep_their_scheme_and_lose_their_host() -> None:
    endpoint = [(1, [(1, "ticket-of-ann")]), (2, [(1, "grpc+tls://db.acme.internal:8815/acme?k=v")])]
    endpoint += [(2, [(1, "arrow-flight-reuse-connection://?")]), (2, [(1, "grpc://10.20.30.40:1")])]
    info = encode([(2, [(1, 2), (2, "select")]), (3, endpoint), (4, 77), (5, 300)])
    made = redact(info, "GetFlightInfo")
    assert b"grpc+tls://host-1xx.example:8815/xxxx?x=x" in made
    assert b"arrow-flight-reuse-connection://?" in made and b"grpc://192.0.2.001:1" in made
    assert (values(made)[4], values(made)[5]) == (77, 300)
    assert_gone(made, SECRETS)


def test_schema_and_batches_stay_readable() -> None:
    pa = pytest.importorskip("pyarrow")
    inner = pa.struct([pa.field("inner_street", pa.string()), pa.field("id", pa.int32())])
    schema = pa.schema(
        [
            pa.field("customer", pa.string(), metadata={"owner-of-table": "ann"}), pa.field("salary_eur", pa.float64()),
            pa.field("inner", inner), pa.field("when", pa.timestamp("us", "Europe/Berlin")), pa.field("", pa.int8()),
            pa.field("kind", pa.dictionary(pa.int8(), pa.string())),
        ],
        metadata={"note": "acme metadata"},
    )  # fmt: skip
    encapsulated = schema.serialize().to_pybytes()
    made = redact(encode([(1, [(1, 1), (3, "acme")]), (2, encapsulated[8:]), (3, "app acme")]), "DoGet")
    read = pa.ipc.read_schema(pa.py_buffer(encapsulated[:8] + values(made)[2]))
    assert [f.type for f in read][:2] == [pa.string(), pa.float64()]
    assert read.field(3).type == pa.timestamp("us", "Europe/Berlin") and len(set(read.names)) == 6
    assert read.names[0] == "c1______"
    assert_gone(made, SECRETS)
    assert_gone(str(read).encode(), SECRETS)

    batch = pa.record_batch(
        [pa.array(["ann", None, "bob"]), pa.array([1.5, 2.5, 3.5])], names=["customer", "salary_eur"]
    )
    raw = batch.serialize().to_pybytes()
    length = int.from_bytes(raw[4:8], "little")
    head, body = raw[8 : 8 + length], raw[8 + length :]
    for payloads in ("redact", "hash"):
        data = values(redact(encode([(2, head), (1000, body)]), "DoGet", policy=Policy(payloads)))  # type: ignore[arg-type]
        assert data[1000] == bytes(len(body))
        back = pa.ipc.read_record_batch(pa.py_buffer(raw[:8] + data[2] + data[1000]), batch.schema)
        assert back.num_rows == 3 and back.column(1).null_count == 0
        back.validate()


def test_encapsulated_schemas() -> None:
    pa = pytest.importorskip("pyarrow")
    schema = pa.schema([("customer", pa.string()), ("salary_eur", pa.int64())])
    raw = schema.serialize().to_pybytes()
    made = values(redact(field(1, raw), "GetSchema"))[1]
    assert pa.ipc.read_schema(pa.py_buffer(made)).names == ["c1______", "c2________"]
    info = values(redact(encode([(1, raw), (4, 5)]), "GetFlightInfo"))
    assert pa.ipc.read_schema(pa.py_buffer(info[1])).names == ["c1______", "c2________"]


def test_columns_keep_their_pseudonym_over_messages() -> None:
    pa = pytest.importorskip("pyarrow")
    redactor = Redactor(Policy())
    made = []
    for names in (("alpha", "beta2"), ("beta2", "gamma")):
        raw = pa.schema([(name, pa.int8()) for name in names]).serialize().to_pybytes()
        out = redactor.message(field(1, raw), path=FLIGHT + "GetSchema", side=SERVER, compressed=False)
        made.append(pa.ipc.read_schema(pa.py_buffer(values(out)[1])).names)
    assert made == [["c1___", "c2___"], ["c2___", "c3___"]]


def test_metadata_that_is_damaged_is_masked_as_text() -> None:
    pa = pytest.importorskip("pyarrow")
    raw = pa.schema([("customer_name", pa.string())]).serialize().to_pybytes()[8:]
    for at in range(0, len(raw), 3):
        for damaged in (raw[:at], raw[:at] + b"\xff" * 4 + raw[at + 4 :], raw[:at] + b"\x7f\x7f" + raw[at + 2 :]):
            redactor = Redactor(Policy())
            out = redactor.message(field(2, damaged), path=FLIGHT + "DoGet", side=SERVER, compressed=False)
            assert len(out) == len(field(2, damaged))
            if redactor.manifest()["notes"]:
                assert b"customer" not in out


def test_other_methods_and_cut_messages() -> None:
    raw = field(1, b"abc") + field(1000, b"\1" * 500)
    made = Redactor(Policy()).message(raw[:100], path=FLIGHT + "DoPut", side=CLIENT, compressed=False, cut=True)
    assert made[5:8] == raw[5:8] and len(made) == 100 and made.endswith(bytes(90))
    assert redact(field(1, "acme"), "NoSuchMethod") == field(1, "xxxx")
    assert redact(b"", "ListActions", CLIENT) == b""
