"""Where the values of a flatbuffer lie.

Theory (https://flatbuffers.dev/internals). Offsets are relative: the first four bytes point to the root table; each
table points back to its vtable, which tells where in the table a slot lies (0: absent). Strings and vectors begin with
a count.
"""

from __future__ import annotations

from struct import Struct

_I32, _U32, _U16 = Struct("<i"), Struct("<I"), Struct("<H")


class Flatbuffer:
    """Any bytes. What does not hold to the format raises IndexError or struct.error."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def u32(self, at: int) -> int:
        """Return the number at a place."""
        if at < 0:
            raise IndexError
        value: int = _U32.unpack_from(self.data, at)[0]
        return value

    def slot(self, table: int, slot: int) -> int:
        """Return where the value of a table's slot lies, 0 if it is absent."""
        if table < 0:
            raise IndexError
        vtable = table - _I32.unpack_from(self.data, table)[0]
        if vtable < 0:
            raise IndexError
        size: int = _U16.unpack_from(self.data, vtable)[0]
        entry = 4 + 2 * slot
        if entry + 2 > size:
            return 0
        offset: int = _U16.unpack_from(self.data, vtable + entry)[0]
        return table + offset if offset else 0

    def follow(self, table: int, slot: int) -> int:
        """Return where the table, vector or string lies that a slot points to, 0 if it is absent."""
        at = self.slot(table, slot)
        return at + self.u32(at) if at else 0

    def byte(self, table: int, slot: int) -> int:
        """Return a slot of one byte, 0 if it is absent."""
        at = self.slot(table, slot)
        return self.data[at] if at else 0
