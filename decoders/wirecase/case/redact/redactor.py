"""The redactor of one case: it meets everything in the order in which the case is written."""

from __future__ import annotations

import secrets as random_source
from typing import Any

from wirecase.case.redact import compressed as squeeze
from wirecase.case.redact.arrow import ArrowNames
from wirecase.case.redact.fields import Fields
from wirecase.case.redact.fill import is_text
from wirecase.case.redact.flight import flight_schema
from wirecase.case.redact.ledger import Ledger
from wirecase.case.redact.places import Places
from wirecase.case.redact.policy import Policy
from wirecase.case.redact.prose import Prose
from wirecase.case.redact.stray import StrayBody
from wirecase.case.redact.structure import Filler, Walker
from wirecase.grpc.compression import BUDGET
from wirecase.model import CLIENT

_KEPT_COMPRESSED = "compressed messages that do not inflate were kept as they are: what inflates of them tells nothing"


class Redactor:
    """Takes out of headers, messages and text what should not be told; the same value gets the same stand-in.

    Deterministic for the same input in the same order, except under ``payloads="hash"``, whose key is drawn at random
    and forgotten with the object.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._ledger = Ledger()
        self._places = Places()
        self._prose = Prose(policy, self._ledger, self._places)
        self._names = ArrowNames()
        self._filler = Filler(random_source.token_bytes(32) if policy.payloads == "hash" else None)
        self._fields = Fields(policy, self._ledger, self._places, self._prose, self._filler)
        self._inflating = BUDGET
        """What is left of the budget for bombs: the diagnosis of the case will have the same."""
        self._stray = StrayBody(self._prose, self._filler, self._ledger)

    def __repr__(self) -> str:
        return f"<Redactor {self._policy.payloads}>"

    @property
    def secrets(self) -> list[bytes]:
        """The removed secrets, hosts and addresses (at most 20,000): nothing of a case may contain them."""
        return self._ledger.secrets

    def headers(self, fields: list[tuple[bytes, bytes]], *, side: int = CLIENT) -> list[tuple[bytes, bytes]]:
        """Return a header list that `side` sent, redacted: the same fields in the same order.

        Values keep their length, but for hosts and addresses in fields that hold nothing else.
        """
        return self._fields.redact(fields)

    def message(
        self, payload: bytes, *, path: str | None, side: int, compressed: bool, encoding: bytes | None = None,
        cut: bool = False,
    ) -> bytes:  # fmt: skip
        """Return the payload of one message, as long as it was.

        `path` is the call's ``:path``, `side` who sent it; `encoding` its grpc-encoding if it is `compressed`, told
        from its first bytes where None; with `cut` the payload is only the beginning of the message.
        """
        if not payload:
            return payload
        if compressed:
            return self._compressed(payload, path, side, encoding, cut=cut)
        return self._plain(payload, path, side, cut=cut)

    def _plain(self, payload: bytes, path: str | None, side: int, *, cut: bool) -> bytes:
        if self._policy.payloads == "keep":
            out = bytearray(payload)
            self._prose.mask_shapes(out, random=is_text(payload))
            return bytes(out)
        self._ledger.counts["message"] += 1
        schema = flight_schema(path, side, self._prose, self._names, self._ledger, self._filler)
        return Walker(self._filler).redact(payload, schema, cut=cut)

    def _compressed(self, payload: bytes, path: str | None, side: int, encoding: bytes | None, *, cut: bool) -> bytes:
        encoding = encoding or squeeze.guess_encoding(payload)

        def transform(content: bytes) -> bytes:
            return self._plain(content, path, side, cut=failed)

        left = self._inflating
        weighed = squeeze.weigh(payload, encoding, left) if encoding else None
        if encoding is None or weighed is None or weighed.outcome is None:  # of an encoding that nobody here can check
            return self._plain(payload, path, side, cut=cut)
        self._inflating = weighed.left
        failed = isinstance(weighed.outcome, tuple)
        made = squeeze.refit(payload, encoding, transform, weighed, left)
        if made is not None:
            return made
        if failed and squeeze.tells_nothing(payload, encoding, transform):
            self._ledger.note(_KEPT_COMPRESSED)
            return payload
        self._ledger.note("compressed messages were replaced by zeros, because no stream of their length was found")
        return bytes(len(payload))

    def filler(self, length: int) -> bytes:
        """Return `length` bytes that stand for the rest of a very large message."""
        return bytes(length)

    def foreign(self, body: bytes) -> bytes:
        """Return a body that should be gRPC and is not: its text stays, its first five bytes always do."""
        return self._stray.redact(body, keep=self._policy.payloads == "keep")

    def debug(self, data: bytes) -> bytes:
        """Return short text from the wire (GOAWAY debug data), as long as it was."""
        return self._prose.mask(data)

    def address(self, address: str) -> str:
        """Return the pseudonym of ``ip:port``, ``[v6]:port`` or an address; ports and loopback stay."""
        return self._fields.place(address)

    def host(self, name: str) -> str:
        """Return the pseudonym of a host name, with its port if it has one."""
        return self._fields.place(name)

    def fresh(self) -> Redactor:
        """Return another one of the same policy."""
        return Redactor(self._policy)

    def manifest(self) -> dict[str, Any]:
        """Return what was changed and what was kept, for the case itself: no original value is in it."""
        policy, ledger = self._policy, self._ledger
        return {
            "payloads": policy.payloads,
            "kept_on_request": sorted(policy.keep),
            "addresses": "kept" if policy.keep_addresses else self._places.addresses,
            "hosts": "kept" if policy.keep_hosts else self._places.hosts,
            "changed": dict(sorted(ledger.counts.items())),
            "fields_masked": sorted(ledger.masked_names),
            "ids_kept": sorted(ledger.shown_ids),
            "notes": [f"{text} ({count})" for text, count in ledger.notes.items()],
            "not_searched_for": ledger.dropped,
        }
