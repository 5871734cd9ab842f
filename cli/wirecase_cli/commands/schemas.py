"""Options that name a schema, shared by the commands that look into payloads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError

if TYPE_CHECKING:
    from wirecase.grpc.schema import Schema

Protosets = Annotated[
    list[Path] | None,
    typer.Option(
        "--protoset",
        metavar="FILE",
        help="Read payloads with the types of this descriptor set (protoc --include_imports --descriptor_set_out). May "
        "be given several times.",
        show_default=False,
    ),
]
Protos = Annotated[
    list[Path] | None,
    typer.Option(
        "--proto",
        metavar="FILE",
        help="Read payloads with the types of this .proto file. May be given several times.",
        show_default=False,
    ),
]
Imports = Annotated[
    list[Path] | None,
    typer.Option("-I", metavar="FOLDER", help="With --proto: where its imports are.", show_default=False),
]
Reflect = Annotated[
    str | None,
    typer.Option(
        "--reflect",
        metavar="HOST:PORT",
        help="Ask this server for its types, by gRPC's reflection service.",
        show_default=False,
    ),
]


def schema_of(
    protosets: Iterable[Path] | None, protos: Iterable[Path] | None, imports: Iterable[Path] | None, reflect: str | None
) -> Schema | None:
    """Return the schema that the options name, or None. Raise an error in one line where one cannot be had."""
    if not (protosets or protos or reflect):
        if imports:
            raise UsageError("-I goes with --proto: it names folders of imports")
        return None
    from wirecase.sources.schemas import SchemaSources, load

    return load(SchemaSources(list(protosets or ()), list(protos or ()), list(imports or ()), reflect))
