"""The Huffman code of HPACK (RFC 7541 §5.2 and Appendix B), decoded a byte at a time.

The code is canonical, so its lengths alone define it. A decoder's state is an inner node of the code tree: where in a
symbol's code the last byte ended. For each state a *row* of 256 pairs tells, for the next byte, which symbols it
completes and the row of the state after it. All 256 rows would take some 24 ms to make; text needs few of them, so a
row stays empty until a string first asks for it (0.15 ms each).
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

LENGTHS = (
    *(13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28),
    *(28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15),
    *(6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6),
    *(15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22),
    *(20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23),
    *(23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22),
    *(22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26),
    *(27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27),
    *(26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30),
)
"""Bits in the code of each byte value, and of the end-of-string symbol (256)."""
EOS = 256

_Row: TypeAlias = "list[tuple[bytes, _Row]]"


class HuffmanError(ValueError):
    """A string that is no Huffman coding; its text is the reason, to stand after "the Huffman-coded string"."""


def codes() -> list[tuple[int, int]]:
    """Return (code, bits) of each symbol, 0 to 256, as RFC 7541 Appendix B lists them."""
    table = [(0, 0)] * len(LENGTHS)
    code = bits = 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(LENGTHS)):
        code <<= length - bits
        bits = length
        table[symbol] = (code, bits)
        code += 1
    return table


class _Automaton:
    """The rows of the states, each made when it is first needed."""

    def __init__(self) -> None:
        self.nodes: list[list[int]] = [[0, 0]]
        """Per state what a 0 and a 1 lead to: another state, or ``~symbol`` where a code is complete."""
        for symbol, (code, bits) in enumerate(codes()):
            node = 0
            for shift in range(bits - 1, 0, -1):
                bit = code >> shift & 1
                if not self.nodes[node][bit]:
                    self.nodes.append([0, 0])
                    self.nodes[node][bit] = len(self.nodes) - 1
                node = self.nodes[node][bit]
            self.nodes[node][code & 1] = ~symbol
        self.rows: list[_Row] = [[] for _ in self.nodes]
        self.dead: _Row = []
        """The row after an EOS: nothing leads out of it."""
        self.dead.extend([(b"", self.dead)] * 256)
        self.unfinished = self._unfinished()
        """Why a string must not end in a row's state, by the row's `id`."""

    def _unfinished(self) -> dict[int, str]:
        """Return the rows in which a string must not end: all but those that 0 to 7 one bits lead to."""
        reasons = {id(row): "ends in the middle of a symbol or in padding that is not all ones" for row in self.rows}
        node = depth = 0
        while node >= 0:
            if depth <= 7:
                del reasons[id(self.rows[node])]
            else:
                reasons[id(self.rows[node])] = f"ends in {depth} bits of padding, more than 7"
            node = self.nodes[node][1]
            depth += 1
        reasons[id(self.dead)] = "contains the end-of-string symbol"
        return reasons

    def fill(self, state: int) -> None:
        """Make the row of `state`."""
        paths: list[tuple[bytes, int | None]] = [(b"", state)]
        for _ in range(8):
            longer: list[tuple[bytes, int | None]] = []
            for out, node in paths:
                for follower in (None, None) if node is None else self.nodes[node]:
                    if follower is None or follower == ~EOS:
                        longer.append((out, None))
                    elif follower < 0:
                        longer.append((out + bytes((~follower,)), 0))
                    else:
                        longer.append((out, follower))
            paths = longer
        self.rows[state][:] = [(out, self.dead if node is None else self.rows[node]) for out, node in paths]

    def grow(self, data: bytes) -> None:
        """Make the rows that decoding `data` needs."""
        states = {id(row): state for state, row in enumerate(self.rows)}
        row = self.rows[0]
        for byte in data:
            if not row:
                self.fill(states[id(row)])
            row = row[byte][1]


def automaton() -> tuple[list[list[int]], list[int]]:
    """Return the code tree (by node, what a 0 and a 1 lead to: a node or ``~symbol``) and where strings may end."""
    made = _made()
    return made.nodes, [state for state, row in enumerate(made.rows) if id(row) not in made.unfinished]


@cache
def _made() -> _Automaton:
    """Return the automaton, made for the first string that needs it: it takes some 5 ms."""
    return _Automaton()


def decode(data: bytes) -> bytes:
    """Return the bytes that `data` codes; raise `HuffmanError` on EOS and on bad padding (RFC 7541 §5.2)."""
    made = _made()
    row = made.rows[0]
    out: list[bytes] = []
    append = out.append
    try:
        for byte in data:
            piece, row = row[byte]
            append(piece)
    except IndexError:  # a row that no string has needed so far
        made.grow(data)
        return decode(data)
    if id(row) in made.unfinished:
        raise HuffmanError(made.unfinished[id(row)])
    return b"".join(out)
