"""What the readers of all forms share: counting records, noting damage, and what a record leads to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from wirecase.model import FormFacts, PacketBatch
from wirecase.sources.forms.documents import DamagedRecordError
from wirecase.sources.forms.segments import Segments
from wirecase.sources.reading import Reading
from wirecase.sources.window import Window

Record = TypeVar("Record")
NextRecord = Callable[[Window], Record | None]


class FormReader(ABC, Generic[Record]):
    """Reads one record after the other; satisfies `PacketReader`. Records are numbered from 1."""

    def __init__(self, window: Window, reading: Reading, next_record: NextRecord[Record], facts: FormFacts) -> None:
        self._window = window
        self._reading = reading
        self._next_record = next_record
        self.facts = facts
        reading.form = facts
        self.segments = Segments(reading)

    def batches(self) -> Iterator[PacketBatch]:
        """Yield what the records say as made-up packets (see `Segments`)."""
        window, reading, segments = self._window, self._reading, self.segments
        while True:
            at = window.base + window.start
            try:
                record = self._next_record(window)
            except DamagedRecordError as error:
                reading.damage(at, f"record {reading.packets + 1} cannot be read: {error}", error.size)
                break
            if record is None:
                break
            taken = self.take(record, reading.packets + 1)
            if not taken:
                size = window.base + window.start - at
                reading.damage(at, f"record {reading.packets + 1} is not what the records before it are", size)
                if reading.worn_out:
                    break
                continue
            reading.packets += taken
            yield from segments.take()
        self.over(max(reading.packets, 1), reading.last or 0)
        yield from segments.rest()
        rest = window.end - window.start
        if rest and not reading.damages and bytes(window.view[window.start : window.end]).strip(b" \t\r\n,]}\0"):
            reading.damage(window.base + window.start, "something else follows the last record and was not read", rest)

    @abstractmethod
    def take(self, record: Record, number: int) -> int:
        """Write what a record says to `segments`.

        Return how many records it counts for (its own are numbered from `number` on), 0 if it cannot be understood.
        """

    @abstractmethod
    def over(self, number: int, time: int) -> None:
        """The last record was `number`: settle what is open."""
