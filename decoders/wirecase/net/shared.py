"""What all connections of one assembler share: the books, the budgets, and the list of those about to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecase.model import Accounting, Mark, Marks, Stretch
from wirecase.net.half import RING

if TYPE_CHECKING:
    from wirecase.net.tcp import Flow


class Shared:
    """State beside the connections themselves."""

    __slots__ = ("accounting", "closing", "dirty", "held", "ring")

    def __init__(self, accounting: Accounting) -> None:
        self.accounting = accounting
        self.held = 0
        """Bytes that wait behind holes, over all connections."""
        self.ring = RING
        """How many delivered bytes each side keeps."""
        self.closing: list[Flow] = []
        """Connections that are over and linger for late packets."""
        self.dirty: list[Flow] = []
        """Connections whose facts have to be brought up to date."""


class NotFollowed:
    """The listener of a connection that nobody asked for: it only books the bytes."""

    __slots__ = ("_accounting",)

    def __init__(self, accounting: Accounting) -> None:
        self._accounting = accounting

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Book the bytes as skipped."""
        self._accounting.skip("not followed", len(data))

    def stretch(self, stretch: Stretch) -> None:
        """Book the bytes as skipped."""
        self._accounting.skip("not followed", int((stretch.ends - stretch.begins).sum()))

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """Nothing to do."""

    def ended(self, side: int, how: str, mark: Mark) -> None:
        """Nothing to do."""

    def closed(self, reason: str) -> None:
        """Nothing to do."""
