"""The clients whose words are known, and one row of what they say."""

from __future__ import annotations

from typing import NamedTuple

from wirecase.grpc.status import status_name
from wirecase.model import ClientSees

DEFAULT_LIMIT = 4 * 1024 * 1024
"""Largest message that every client takes unless told otherwise."""


class Client(NamedTuple):
    """A client and the version whose words are quoted."""

    name: str
    version: str


TONIC = Client("tonic", "0.14.9")
TONIC_14_6 = Client("tonic", "0.14.6")
OLD_TONIC = Client("tonic", "before 0.14.6")
OLD_HYPER = Client("tonic", "with an older hyper")
GO = Client("grpc-go", "1.85")
CORE = Client("grpc-core (C++, Python)", "1.85")
JAVA = Client("grpc-java", "1.85")
JS = Client("grpc-js", "1.14")
DOTNET = Client("grpc-dotnet", "2.66")
CONNECT = Client("connect-go", "1.21")
GRPCLIB = Client("grpclib", "0.4.9")

CURRENT = {client.name: client.version for client in (TONIC, GO, CORE, JAVA, JS, DOTNET, CONNECT, GRPCLIB)}


def says(client: Client, code: int | str, text: str, *, checked: bool = True) -> ClientSees:
    """One row: `code` is a status code, or the name of what is raised instead of one.

    `checked` is False where the words were remembered, not read in the client's source or in its output. A finding
    is stricter: see `checked.marked`.
    """
    return ClientSees(client.name, client.version, code if isinstance(code, str) else status_name(code), text, checked)
