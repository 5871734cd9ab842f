"""What a redaction has done: counts for the manifest, and the removed values for the search afterwards."""

from __future__ import annotations

from collections import Counter

SECRETS_LIMIT = 20_000
SECRETS_BYTES_LIMIT = 4 << 20
NAMES_LIMIT = 500
SHORTEST = 6
"""Bytes of the shortest removed value worth a search: shorter ones occur by chance."""


class Ledger:
    """Book of one redaction. It is the only place that remembers originals, and it never shows them."""

    __slots__ = ("_bytes", "_secrets", "counts", "dropped", "masked_names", "notes", "shown_ids")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """How many values of each kind were changed."""
        self.masked_names: dict[str, None] = {}
        """Names of fields whose values were replaced, in order."""
        self.shown_ids: dict[str, None] = {}
        """Names of correlation ids that stayed."""
        self.notes: dict[str, int] = {}
        """What was kept although it may hold something, and how often."""
        self.dropped = 0
        """Removed values that were not remembered because there were too many."""
        self._secrets: dict[bytes, None] = {}
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Ledger of {sum(self.counts.values())} changes>"

    @property
    def secrets(self) -> list[bytes]:
        """The removed secrets, in order, each once."""
        return list(self._secrets)

    def secret(self, value: bytes) -> None:
        """Remember a removed value."""
        value = value.strip()
        if len(value) < SHORTEST or value in self._secrets or is_filler(value):
            return
        if len(self._secrets) >= SECRETS_LIMIT or self._bytes + len(value) > SECRETS_BYTES_LIMIT:
            self.dropped += 1
            return
        self._secrets[value] = None
        self._bytes += len(value)

    def masked(self, name: str) -> None:
        """Note that the value of the field `name` was replaced."""
        if len(self.masked_names) < NAMES_LIMIT:
            self.masked_names[name] = None

    def shown(self, name: str) -> None:
        """Note that the correlation id in the field `name` stayed."""
        if len(self.shown_ids) < NAMES_LIMIT:
            self.shown_ids[name] = None

    def note(self, text: str) -> None:
        """Note something for the reader of the manifest."""
        self.notes[text] = self.notes.get(text, 0) + 1


def is_filler(value: bytes) -> bool:
    """Tell whether a value consists of what redaction puts in place of letters and digits."""
    return not value.translate(None, b"xX0. \t\r\n-_/+=:,;\0")
