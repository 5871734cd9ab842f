"""Schemas from descriptor sets, from .proto files and from a server's reflection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import pytest

from wirecase.errors import InputError, UsageError
from wirecase.grpc.schema import Schema
from wirecase.sources.schemas import SchemaSources, load
from wirecase.sources.schemas.reflection import reflect

CASE = Path(__file__).parents[2] / "fixtures/grpc-payload-undecodable"
PATH = "/demo.v1.Echo/Unary"


def test_a_descriptor_set() -> None:
    schema = load(SchemaSources([CASE / "schema.binpb"]))
    method = schema.method(PATH)
    assert method is not None
    assert method.kind == "unary"
    assert [field.name for field in schema.messages["demo.v1.EchoReply"].fields.values()] == ["text", "count"]


def test_a_proto_file_with_imports(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    (tmp_path / "inc").mkdir()
    (tmp_path / "inc/base.proto").write_text('syntax = "proto3"; package base; message Base { int32 n = 1; }')
    main = tmp_path / "main.proto"
    main.write_text(
        'syntax = "proto3"; package app; import "base.proto"; import "google/protobuf/any.proto";\n'
        "service S { rpc M(base.Base) returns (google.protobuf.Any); }"
    )
    schema = load(SchemaSources(protos=[main], imports=[tmp_path / "inc"]))
    assert schema.methods["/app.S/M"].request == "base.Base"
    assert "google.protobuf.Any" in schema.messages
    assert load(SchemaSources(protos=[CASE / "echo.proto"])).methods.keys() == {PATH}
    with pytest.raises(InputError, match=r"base\.proto") as told:
        load(SchemaSources(protos=[main]))
    assert "\n" not in str(told.value)


def test_what_cannot_be_had_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no descriptor set"):
        load(SchemaSources([CASE / "README.md"]))
    with pytest.raises(InputError, match="No such file"):
        load(SchemaSources([tmp_path / "nope"]))
    with pytest.raises(UsageError, match="-I"):
        load(SchemaSources([CASE / "schema.binpb"], imports=[tmp_path]))
    for address in ("nowhere", "host:port", "host:99999", "http://host:1"):
        with pytest.raises(UsageError, match="HOST:PORT"):
            reflect(address, Schema())
    monkeypatch.setitem(sys.modules, "grpc_tools", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"wirecase\[protobuf\]"):
        load(SchemaSources(protos=[CASE / "echo.proto"]))
    with pytest.raises(UsageError, match=r"wirecase\[protobuf\]"):
        reflect("127.0.0.1:1", Schema())


@pytest.fixture
def server() -> Iterator[str]:
    """A real grpcio server with grpcio's own reflection over the fixture's service."""
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    reflection = pytest.importorskip("grpc_reflection.v1alpha.reflection", reason="grpcio-reflection is not installed")
    descriptor_pool = pytest.importorskip("google.protobuf.descriptor_pool")
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString((CASE / "schema.binpb").read_bytes()).file:
        pool.Add(file)
    running = grpc.server(futures.ThreadPoolExecutor(2))
    reflection.enable_server_reflection(["demo.v1.Echo", reflection.SERVICE_NAME], running, pool=pool)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield f"127.0.0.1:{port}"
    running.stop(None).wait()


def test_reflection(server: str) -> None:
    schema = load(SchemaSources(reflect=server))
    assert schema.methods.keys() == {PATH}
    assert schema.messages.keys() >= {"demo.v1.EchoRequest", "demo.v1.EchoReply"}
    assert not schema.missing


def test_a_server_without_reflection() -> None:
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    running = grpc.server(futures.ThreadPoolExecutor(1))
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    try:
        with pytest.raises(InputError, match="UNIMPLEMENTED"):
            load(SchemaSources(reflect=f"127.0.0.1:{port}"))
    finally:
        running.stop(None).wait()
