"""How two files of raw bytes are named as one source."""

from __future__ import annotations

from collections.abc import Sequence

from wirecase.errors import UsageError


class BytePair(str):
    """The name of a source that is two files: the client's bytes, then the server's."""

    __slots__ = ("client", "server")

    client: str
    server: str

    def __new__(cls, client: str, server: str) -> BytePair:
        """Name the files; an empty side is given as an empty file, such as /dev/null."""
        pair = super().__new__(cls, f"{client} + {server}")
        pair.client, pair.server = client, server
        return pair


def pairs(arguments: Sequence[str]) -> list[str]:
    """Take arguments two by two, the client's file before the server's. Raise `UsageError` if one is left over."""
    if len(arguments) % 2:
        raise UsageError("raw bytes come in pairs: name the file of what the client sent, then that of the server")
    if "-" in arguments:
        raise UsageError("raw bytes are read from two files, not from standard input")
    return [BytePair(*two) for two in zip(arguments[::2], arguments[1::2], strict=True)]
