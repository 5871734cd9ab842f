"""What the writer of a case asks of a redaction: everything keeps its length, addresses keep their form."""

from __future__ import annotations

from typing import Any, Protocol

Fields = list[tuple[bytes, bytes]]


class Masks(Protocol):
    """Takes recorded values and returns what may travel."""

    def headers(self, fields: Fields, *, side: int) -> Fields:
        """Return the header list that `side` sent, in the same order, names unchanged."""

    def message(
        self, payload: bytes, *, path: str | None, side: int, compressed: bool, encoding: bytes | None = None,
        cut: bool = False,
    ) -> bytes:  # fmt: skip
        """Return a message of the call on `path` without its contents, at the same length.

        `cut` says that this is only its beginning.
        """

    def filler(self, length: int) -> bytes:
        """Return what stands for the rest of a very large message."""

    def foreign(self, body: bytes) -> bytes:
        """Return bytes that are no gRPC, with the secrets in them masked, at the same length."""

    def address(self, address: str) -> str:
        """Return what stands for ``addr:port``, always the same for the same."""

    def debug(self, data: bytes) -> bytes:
        """Return the debug data of a GOAWAY, at the same length."""

    def manifest(self) -> dict[str, Any]:
        """Return what was changed, for the manifest."""

    def fresh(self) -> Masks:
        """Return another one of the same policy, for a trial: it remembers nothing of this one, nor this one of it."""


class Unmasked:
    """Keeps everything as it was recorded."""

    def headers(self, fields: Fields, *, side: int) -> Fields:
        """Return them."""
        return fields

    def message(
        self, payload: bytes, *, path: str | None, side: int, compressed: bool, encoding: bytes | None = None,
        cut: bool = False,
    ) -> bytes:  # fmt: skip
        """Return it."""
        return payload

    def filler(self, length: int) -> bytes:
        """Return zeros; nobody who keeps payloads asks for them."""
        return bytes(length)

    def foreign(self, body: bytes) -> bytes:
        """Return it."""
        return body

    def address(self, address: str) -> str:
        """Return it."""
        return address

    def debug(self, data: bytes) -> bytes:
        """Return it."""
        return data

    def manifest(self) -> dict[str, Any]:
        """Say that nothing was changed."""
        return {"redacted": False}

    def fresh(self) -> Unmasked:
        """Return another one."""
        return Unmasked()
