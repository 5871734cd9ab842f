"""Descriptor sets as protoc writes them, read without protobuf: against protobuf's own descriptor pool."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.grpc.flight import flight_schema
from wirecase.grpc.schema import MESSAGE, FieldType, MessageType, Schema
from wirecase.grpc.views import draw

descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
descriptor_pool = pytest.importorskip("google.protobuf.descriptor_pool")
message_factory = pytest.importorskip("google.protobuf.message_factory")
protoc = pytest.importorskip("grpc_tools.protoc", reason="grpcio-tools is not installed")

PROTO = """
syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
enum Color { COLOR_UNKNOWN = 0; RED = 1; BLUE = -2; }
message Item {
  string name = 1; int32 count = 2; sint64 delta = 3; double price = 4; float weight = 5; bool sold = 6;
  bytes raw = 7; Color color = 8; repeated int32 sizes = 9; repeated string tags = 10;
  map<string, Item> parts = 11; google.protobuf.Timestamp at = 12; oneof kind { string a = 13; uint64 b = 14; }
  fixed32 f32 = 15; sfixed64 sf64 = 16; Inner inner = 17; string password = 18; optional int64 maybe = 19;
  message Inner { repeated fixed64 ids = 1; enum Deep { ZERO = 0; ONE = 1; } Deep deep = 2; }
}
message Old { Item item = 1; }
service Shop {
  rpc Get(Item) returns (Item);
  rpc List(Item) returns (stream Item);
  rpc Put(stream Item) returns (Old);
  rpc Talk(stream Item) returns (stream Item);
}
"""
PROTO2 = """
syntax = "proto2";
package old;
message Box { optional group Lid = 1 { optional int32 size = 2; } repeated int32 loose = 3; optional string text = 4; }
"""


@pytest.fixture(scope="module")
def descriptor_set(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("proto")
    (folder / "shop.proto").write_text(PROTO)
    (folder / "old.proto").write_text(PROTO2)
    target = folder / "set.binpb"
    known = Path(protoc.__file__).parent / "_proto"
    arguments = ["", f"-I{folder}", f"-I{known}", "--include_imports", f"--descriptor_set_out={target}"]
    assert protoc.main([*arguments, str(folder / "shop.proto"), str(folder / "old.proto")]) == 0
    return target.read_bytes()


@pytest.fixture(scope="module")
def schema(descriptor_set: bytes) -> Schema:
    made = Schema()
    assert made.add_set(descriptor_set) == 3
    return made


@pytest.fixture(scope="module")
def classes(descriptor_set: bytes) -> dict[str, type]:
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set)
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        for name in ("shop.v1.Item", "shop.v1.Old", "old.Box")
    }


def test_methods_and_their_kinds(schema: Schema) -> None:
    kinds = {path.rpartition("/")[2]: method.kind for path, method in schema.methods.items()}
    assert kinds == {"Get": "unary", "List": "server-streaming", "Put": "client-streaming", "Talk": "bidirectional"}
    put = schema.method("/shop.v1.Shop/Put")
    assert put is not None
    assert (put.request, put.response) == ("shop.v1.Item", "shop.v1.Old")
    assert schema.method("/shop.v1.Shop/Nope") is None
    assert not schema.missing


def test_types_enums_and_nesting(schema: Schema) -> None:
    item = schema.messages["shop.v1.Item"]
    assert item.fields[17].type_name == "shop.v1.Item.Inner"
    assert item.utf8
    assert schema.messages["shop.v1.Item.PartsEntry"].map_entry
    assert schema.enums["shop.v1.Color"].values == {0: "COLOR_UNKNOWN", 1: "RED", -2: "BLUE"}
    assert schema.enums["shop.v1.Item.Inner.Deep"].values[1] == "ONE"
    assert not schema.messages["old.Box"].utf8


def test_every_kind_of_value(schema: Schema, classes: dict[str, type]) -> None:
    item = classes["shop.v1.Item"]()  # type: ignore[operator]
    item.name, item.count, item.delta, item.price, item.weight, item.sold = "Zürich", -5, -(2**40), 1.5, 0.25, True
    item.raw, item.color, item.b, item.f32, item.sf64, item.maybe = b"\xff\0", -2, 2**64 - 1, 7, -8, -1
    item.sizes.extend([1, -1, 300])
    item.tags.extend(["a", "b"])
    item.parts["x"].name = "part"
    item.at.seconds = 12
    item.inner.ids.extend([1, 2**63])
    item.inner.deep = 1
    view = draw(item.SerializeToString(), schema, schema.messages["shop.v1.Item"])
    assert not view.problem
    assert not view.unknown
    assert view.left_out == 0
    got: dict[str, list[object]] = {}
    for node in view.nodes:
        got.setdefault(node.name, []).append(node.value if node.value is not None else node.children)
    assert got["name"] == ["Zürich"]
    assert got["count"] == [-5]
    assert got["delta"] == [-(2**40)]
    assert (got["price"], got["weight"], got["sold"]) == ([1.5], [0.25], [True])
    assert (got["raw"], got["b"], got["f32"], got["sf64"], got["maybe"]) == ([b"\xff\0"], [2**64 - 1], [7], [-8], [-1])
    assert got["sizes"] == [1, -1, 300]
    assert got["tags"] == ["a", "b"]
    color = next(node for node in view.nodes if node.name == "color")
    assert (color.value, color.label) == (-2, "BLUE")
    parts = next(node for node in view.nodes if node.name == "parts")
    assert [child.name for child in parts.children] == ["key", "value"]
    inner = next(node for node in view.nodes if node.name == "inner")
    assert [(child.name, child.value, child.label) for child in inner.children] == [
        ("ids", 1, ""), ("ids", 2**63, ""), ("deep", 1, "ONE"),
    ]  # fmt: skip


def test_groups_and_fields_that_are_not_packed(schema: Schema, classes: dict[str, type]) -> None:
    box = classes["old.Box"]()  # type: ignore[operator]
    box.lid.size = 3
    box.loose.extend([1, 2])
    view = draw(box.SerializeToString(), schema, schema.messages["old.Box"])
    assert not view.problem
    assert [(node.name, node.value) for node in view.nodes] == [("lid", None), ("loose", 1), ("loose", 2)]
    assert view.nodes[0].children[0].value == 3
    # packed all the same: every receiver takes both
    assert [node.value for node in draw(b"\x1a\x02\x01\x02", schema, schema.messages["old.Box"]).nodes] == [1, 2]


BROKEN = [
    (b"\x0a\x05abc", "5 bytes by its length"),
    (b"\x00\x01", "field number 0"),
    (b"\x0e", "wire type 6"),
    (b"\x0f", "wire type 7"),
    (b"\x10", "is cut"),
    (b"\x10" + b"\xff" * 10 + b"\x01", "longer than ten bytes"),
    (b"\x2d\x01\x02", "field of 4 bytes is cut"),
    (b"\x0c", "not open"),
    (b"\x8b\x06\x08\x01", "is not closed"),
    (b"\x0a\x02\xff\xfe", "not UTF-8"),
    (b"\x62\x03\x08\xff\xff", "is cut"),
    (b"\x4a\x01\xff", "is cut"),
]


@pytest.mark.parametrize(("data", "problem"), BROKEN)
def test_what_protobuf_refuses_is_refused(
    schema: Schema, classes: dict[str, type], data: bytes, problem: str
) -> None:  # fmt: skip
    view = draw(data, schema, schema.messages["shop.v1.Item"])
    assert problem in view.problem
    with pytest.raises(Exception, match=r"."):
        classes["shop.v1.Item"].FromString(data)  # type: ignore[attr-defined]


@pytest.mark.parametrize("data", [b"", b"\xa2\x1f\x01x", b"\x0d\x01\x02\x03\x04", b"\x8b\x06\x08\x01\x8c\x06"])
def test_what_protobuf_takes_is_taken(schema: Schema, classes: dict[str, type], data: bytes) -> None:
    """Unknown fields, groups too, and fields of another wire type are no fault."""
    classes["shop.v1.Item"].FromString(data)  # type: ignore[attr-defined]
    assert not draw(data, schema, schema.messages["shop.v1.Item"]).problem


def test_the_same_verdict_as_protobuf_on_mutated_messages(schema: Schema, classes: dict[str, type]) -> None:
    item = classes["shop.v1.Item"]()  # type: ignore[operator]
    item.name, item.count, item.price = "something", 5, 2.5
    item.sizes.extend(range(20))
    item.parts["k"].inner.ids.append(4)
    whole = item.SerializeToString()
    random_ = random.Random(7)
    differ = 0
    for _ in range(1_500):
        data = bytearray(whole)
        for _ in range(random_.randint(1, 3)):
            data[random_.randrange(len(data))] = random_.randrange(256)
        data = data[: random_.randint(1, len(data))]
        try:
            classes["shop.v1.Item"].FromString(bytes(data))  # type: ignore[attr-defined]
            good = True
        except Exception:  # noqa: BLE001 - DecodeError of whichever backend
            good = False
        ours = draw(bytes(data), schema, schema.messages["shop.v1.Item"])
        if ours.problem:
            assert not good, (bytes(data).hex(), ours.problem)  # never an accusation that protobuf does not share
        differ += good != (not ours.problem)
    assert differ < 15  # a broken varint's high bits, say: a miss is allowed


@given(st.binary(max_size=300))
def test_any_bytes_are_taken(data: bytes) -> None:
    made = Schema()
    made.add_set(data)
    made.add_file(data)
    flight = flight_schema()
    for kind in (None, *flight.messages.values()):
        draw(data, flight, kind)
        draw(data, flight, kind, cut=True)


def test_depth_and_size_are_bounded(schema: Schema) -> None:
    data = b""
    for _ in range(3_000):
        size, length = len(data), b""
        while size > 127:
            length, size = length + bytes((size & 127 | 128,)), size >> 7
        data = b"\x0a" + length + bytes((size,)) + data
    nested = MessageType("N", {1: FieldType(1, "n", MESSAGE, "N")})
    assert not draw(data, Schema({"N": nested}), nested).problem
    assert not draw(data).problem
    assert draw(b"\x0b" * 5_000, schema).problem == ""
    many = draw(b"\x10\x01" * 50_000, schema, schema.messages["shop.v1.Item"])
    assert len(many.nodes) + many.left_out == 50_000
    assert len(many.nodes) <= 2_000


def test_the_beginning_of_a_message_is_no_broken_one(schema: Schema, classes: dict[str, type]) -> None:
    item = classes["shop.v1.Item"]()  # type: ignore[operator]
    item.name, item.inner.deep = "x" * 50, 1
    item.sizes.extend([1, 300, 5])
    data = item.SerializeToString()
    for stop in range(len(data)):
        assert not draw(data[:stop], schema, schema.messages["shop.v1.Item"], cut=True).problem


def test_without_a_schema_it_is_guessed(classes: dict[str, type]) -> None:
    item = classes["shop.v1.Item"]()  # type: ignore[operator]
    item.name, item.count, item.raw = "text", 5, b"\xff\xfe\xfd"
    item.inner.deep = 1
    view = draw(item.SerializeToString())
    assert [(node.number, node.type, node.value) for node in view.nodes] == [
        (1, "text", "text"), (2, "varint", 5), (7, "bytes", b"\xff\xfe\xfd"), (17, "message", None),
    ]  # fmt: skip
    assert view.nodes[3].children[0].value == 1
