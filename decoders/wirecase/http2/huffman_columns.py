"""What Huffman-coded strings hold, for many strings at once, without decoding any (RFC 7541 §5.2).

The strings go through the code's automaton in lockstep: the first byte of all, the second of all, and so on. What comes
of a string is its decoded length, whether it holds a control character, and whether it is sound; plain strings go the
same way in a state of their own. For nearly all fields of nearly all calls nobody asks for more.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from wirecase.http2 import huffman
from wirecase.http2.fields import CONTROL
from wirecase.http2.lockstep import Array

_STATES = 9
"""Bits that hold a state."""
_CONTROLS = 16
"""Control characters are counted above so many bits, decoded bytes below."""
_FEW = 16
"""So few strings that are longer than all others are decoded one by one."""


class Lengths(NamedTuple):
    """What many strings are."""

    decoded: Array
    """Decoded length of each."""
    control: Array
    """Which ones hold a control character."""
    sound: bool
    """All of them are what RFC 7541 allows."""


class _Steps(NamedTuple):
    """The automaton by columns."""

    table: Array
    """By state and byte: the state that follows, and (from bit `_STATES`) what to count."""
    accepting: Array
    """The states in which a string may end."""
    plain: int
    """The state of strings that are not coded."""


@cache
def _steps() -> _Steps:
    nodes, final = huffman.automaton()
    count = len(nodes)
    dead, plain = count, count + 1
    follow: Array = np.array([*nodes, [dead, dead]], dtype=np.int64)
    is_control: Array = np.zeros(257, dtype=np.int64)
    is_control[list(CONTROL)] = 1
    state: Array = np.repeat(np.arange(count + 1), 16)
    nibble = np.tile(np.arange(16), count + 1)
    counted: Array = np.zeros(len(state), dtype=np.int64)
    for bit in range(3, -1, -1):
        reached = follow[state, nibble >> bit & 1]
        leaf = reached < 0
        symbol = np.where(leaf, ~reached, 0)
        counted += leaf * (1 + (is_control[symbol] << _CONTROLS))
        state = np.where(leaf, np.where(symbol == huffman.EOS, dead, 0), reached)
    state, counted = state.reshape(-1, 16), counted.reshape(-1, 16)
    high, low = np.arange(256) >> 4, np.arange(256) & 15
    middle = state[:, high]  # a byte is two steps of four bits
    coded = state[middle, low] | (counted[:, high] + counted[middle, low]) << _STATES
    as_is = plain | (1 + (is_control[:256] << _CONTROLS)) << _STATES
    accepting: Array = np.zeros(count + 2, dtype=bool)
    accepting[[*final, plain]] = True
    return _Steps(np.concatenate((coded.ravel(), as_is)), accepting, plain)


def measure(raw: Array, data: bytes, at: Array, length: Array, coded: Array) -> Lengths:
    """Measure the strings of `length` bytes at `at` in `raw`, which is `data`; `coded` tells which are coded."""
    table, accepting, plain = _steps()
    order = np.argsort(-length, kind="stable")
    at, length = at[order], length[order]
    state = np.where(coded[order], 0, plain)
    counted: Array = np.zeros(len(order), dtype=np.int64)
    last = int(length[min(_FEW, len(order) - 1)]) if len(order) else 0
    longer = np.searchsorted(-length, -np.arange(last), side="left").tolist()
    few = int(np.searchsorted(-length, -last, side="left"))
    sound = True
    for step, count in enumerate(longer):
        reached = table[state[few:count] << 8 | raw[at[few:count] + step]]
        state[few:count] = reached & (1 << _STATES) - 1
        counted[few:count] += reached >> _STATES
    for i in range(few):
        text = data[int(at[i]) : int(at[i]) + int(length[i])]
        if state[i] != plain:
            try:
                text = huffman.decode(text)
            except huffman.HuffmanError:
                sound = False
                break
        counted[i] = len(text) | (len(text) - len(text.translate(None, CONTROL))) << _CONTROLS
    sound = sound and bool(accepting[state[few:]].all())
    back: Array = np.empty_like(counted)
    back[order] = counted
    return Lengths(back & (1 << _CONTROLS) - 1, back >> _CONTROLS != 0, sound)
