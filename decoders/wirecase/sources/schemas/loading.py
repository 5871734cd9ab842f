"""Descriptor sets from files, and from ``.proto`` files by protoc."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wirecase.errors import InputError, UsageError
from wirecase.grpc.schema import Schema

LARGEST = 64 << 20
"""Bytes of one descriptor set."""
_PROTOC_SECONDS = 60


@dataclass(slots=True)
class SchemaSources:
    """Where to take types and methods from."""

    protosets: list[Path] = field(default_factory=list)
    """Serialized ``FileDescriptorSet``s (``protoc --include_imports --descriptor_set_out``, ``buf build -o``)."""
    protos: list[Path] = field(default_factory=list)
    imports: list[Path] = field(default_factory=list)
    """Folders in which ``.proto`` files look for their imports."""
    reflect: str | None = None
    """``host:port`` of a server with reflection."""

    def __bool__(self) -> bool:
        """Tell whether anything is named."""
        return bool(self.protosets or self.protos or self.reflect)


def load(sources: SchemaSources) -> Schema:
    """Return the schema of all sources together. Raise InputError where one cannot be read, UsageError on nonsense."""
    if sources.imports and not sources.protos:
        raise UsageError("-I goes with --proto: it names folders of imports")
    schema = Schema()
    for path in sources.protosets:
        _take(schema, _read(path), str(path))
    if sources.protos:
        _take(schema, compile_protos(sources.protos, sources.imports), "what protoc made of the .proto files")
    if sources.reflect is not None:
        from wirecase.sources.schemas.reflection import reflect

        reflect(sources.reflect, schema)
    return schema


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"--protoset {path} is longer than {LARGEST >> 20} MiB: no descriptor set is")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"--protoset {path}: {error.strerror}") from error


def _take(schema: Schema, data: bytes, name: str) -> None:
    before = len(schema.messages) + len(schema.methods)
    if not schema.add_set(data) or len(schema.messages) + len(schema.methods) == before:
        raise InputError(
            f"{name} is no descriptor set: make one with protoc --include_imports --descriptor_set_out=FILE, or with "
            "buf build -o FILE.binpb"
        )


def compile_protos(protos: Sequence[Path], imports: Sequence[Path]) -> bytes:
    """Return the descriptor set of ``.proto`` files and all that they import, by grpcio-tools' protoc."""
    if importlib.util.find_spec("grpc_tools") is None:
        raise UsageError("--proto needs protoc: pip install 'wirecase[protobuf]', or give --protoset instead")
    for path in protos:
        if not path.is_file():
            raise InputError(f"--proto {path}: there is no such file")
    roots = [*imports, *dict.fromkeys(path.parent for path in protos)]
    well_known = Path(str(importlib.util.find_spec("grpc_tools").origin)).parent / "_proto"  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="wirecase-") as folder:
        target = Path(folder, "set.binpb")
        command = [
            sys.executable, "-m", "grpc_tools.protoc", *(f"-I{root}" for root in dict.fromkeys(roots)),
            f"-I{well_known}", "--include_imports", f"--descriptor_set_out={target}", *map(str, protos),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=_PROTOC_SECONDS, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"--proto: protoc did not run: {error}") from error
        if done.returncode or not target.is_file():
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            told = said[0] if said else "protoc failed without a word"
            raise InputError(f"--proto: {told} (-I names import folders)")
        return target.read_bytes()
