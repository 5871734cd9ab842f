"""Regular expressions whose search takes time in proportion to the text, whatever the pattern and the text are.

What is searched was written by whoever is on the wire, so a backtracking engine is out of the question. The pattern
becomes a nondeterministic automaton (Thompson's construction), which is followed in all its states at once; the sets of
states that were met are remembered, so that a character costs one look-up. What needs backtracking (back-references,
looking around) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

TEXT_LIMIT = 65_536
"""Characters of a text that are searched."""
_NODES = 1_000
_DEPTH = 40
_MEMORY = 20_000
"""Transitions that are remembered."""
_LARGEST_REPEAT = 1_000

Test = Callable[[str], bool]


class PatternError(ValueError):
    """The pattern is not one; `position` is where it fails."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


@dataclass(slots=True)
class _Node:
    """One state: it takes a character (`test`), or holds under a condition (`at`), or only leads on."""

    following: list[int] = field(default_factory=list)
    test: Test | None = None
    at: str = ""
    """``^`` or ``$``: it may be left at the beginning or end of the text only."""


Emit = Callable[[int], int]
"""Adds a part of the pattern in front of a state and returns its first state."""

_CLASSES: dict[str, Test] = {
    "d": str.isdigit,
    "w": lambda char: char.isalnum() or char == "_",
    "s": str.isspace,
    "D": lambda char: not char.isdigit(),
    "W": lambda char: not (char.isalnum() or char == "_"),
    "S": lambda char: not char.isspace(),
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_ANY: Test = lambda char: char != "\n"  # noqa: E731 - named like its neighbours


class Pattern:
    """A compiled pattern; raises PatternError where `text` is none."""

    def __init__(self, text: str) -> None:
        self._nodes: list[_Node] = []
        self._text = text
        self._pos = 0
        self._fold = text.startswith("(?i)")
        if self._fold:
            self._pos = 4
        accept = self._add(_Node())
        emit = self._alternatives(0)
        if self._pos < len(text):
            raise PatternError("a ) without its (", self._pos)
        first = emit(accept)
        self._accept = accept
        self._begin = self._closure([first], start=True)
        self._again = self._closure([first], start=False)
        """The pattern may begin at any character."""
        self._empty_fits = accept in self._closure([first], start=True, end=True)
        self._forget()

    # ---- searching ---------------------------------------------------------------------------------------------

    def search(self, text: str) -> bool:
        """Tell whether the pattern occurs in `text`."""
        text = text[:TEXT_LIMIT]
        if not text:
            return self._empty_fits
        accept = self._accept
        if accept in self._begin:
            return True
        if len(self._steps) > _MEMORY:
            self._forget()
        state = 0
        for char in text:
            following = self._steps.get((state, char))
            state = self._step(state, char) if following is None else following
            if state < 0:
                return True
        waiting = [node for node in self._sets[state] if self._nodes[node].at == "$"]
        return bool(waiting) and accept in self._closure(waiting, start=False, end=True)

    def _forget(self) -> None:
        self._sets = [self._begin]
        self._numbers = {self._begin: 0}
        self._steps: dict[tuple[int, str], int] = {}

    def _step(self, state: int, char: str) -> int:
        """Return the number of the set that follows; -1 if the pattern has been found."""
        reached: list[int] = []
        for number in self._sets[state]:
            node = self._nodes[number]
            if node.test is not None and node.test(char):
                reached += node.following
        following = self._closure(reached, start=False) | self._again
        if self._accept in following:
            number = -1
        else:
            number = self._numbers.setdefault(following, len(self._sets))
            if number == len(self._sets):
                self._sets.append(following)
        self._steps[state, char] = number
        return number

    def _closure(self, nodes: Iterable[int], *, start: bool, end: bool = False) -> frozenset[int]:
        """Return the states that are reached without taking a character."""
        found: set[int] = set()
        waiting = list(nodes)
        while waiting:
            number = waiting.pop()
            if number in found:
                continue
            found.add(number)
            node = self._nodes[number]
            if node.test is None and (not node.at or (start if node.at == "^" else end)):
                waiting += node.following
        return frozenset(found)

    # ---- reading the pattern -----------------------------------------------------------------------------------

    def _add(self, node: _Node) -> int:
        if len(self._nodes) >= _NODES:
            raise PatternError("too large a pattern", 0)
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _peek(self) -> str:
        return self._text[self._pos : self._pos + 1]

    def _alternatives(self, depth: int) -> Emit:
        if depth > _DEPTH:
            raise PatternError("too many groups within each other", self._pos)
        ways = [self._sequence(depth)]
        while self._peek() == "|":
            self._pos += 1
            ways.append(self._sequence(depth))
        if len(ways) == 1:
            return ways[0]
        return lambda after: self._add(_Node([way(after) for way in ways]))

    def _sequence(self, depth: int) -> Emit:
        parts: list[Emit] = []
        while (char := self._peek()) and char not in "|)":
            parts.append(self._repeated(self._atom(depth)))

        def emit(after: int) -> int:
            for part in reversed(parts):
                after = part(after)
            return after

        return emit

    def _repeated(self, part: Emit) -> Emit:
        bounds = self._bounds()
        if bounds is None:
            return part
        if self._peek() == "?":
            self._pos += 1  # how much a repetition takes makes no difference to whether it is found
        again = self._pos
        if self._bounds() is not None:
            raise PatternError("a repetition of a repetition", again)
        least, most = bounds

        def emit(after: int) -> int:
            entry = after
            if most is None:
                entry = self._add(_Node())
                self._nodes[entry].following = [part(entry), after]
            else:
                for _ in range(most - least):
                    entry = self._add(_Node([part(entry), after]))
            for _ in range(least):
                entry = part(entry)
            return entry

        return emit

    def _bounds(self) -> tuple[int, int | None] | None:
        char = self._peek()
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if char in simple:
            self._pos += 1
            return simple[char]
        if char != "{":
            return None
        close = self._text.find("}", self._pos)
        least, comma, most = self._text[self._pos + 1 : close].partition(",")
        if close < 0 or not _is_count(least) or not (_is_count(most) or most == ""):
            return None  # a brace that stands for itself
        low, high = int(least), int(most) if most else None if comma else int(least)
        if high is not None and high < low:
            raise PatternError("a repetition whose most is less than its least", self._pos)
        self._pos = close + 1
        return low, high

    def _atom(self, depth: int) -> Emit:
        at = self._pos
        char = self._text[at]
        self._pos += 1
        if char == "(":
            if self._peek() == "?":
                if not self._text.startswith("?:", self._pos):
                    raise PatternError("(?…) is not supported, but for (?:…) and (?i) in front", at)
                self._pos += 2
            inner = self._alternatives(depth + 1)
            if self._peek() != ")":
                raise PatternError("a ( without its )", at)
            self._pos += 1
            return inner
        if char in "*+?":
            raise PatternError(f"nothing to repeat before {char}", at)
        if char in "^$":
            return lambda after: self._add(_Node([after], at=char))
        test = _ANY if char == "." else self._class() if char == "[" else self._escape(at) if char == "\\" else None
        return self._taking(test or _equals(char))

    def _taking(self, test: Test) -> Emit:
        if self._fold:
            exact = test
            test = lambda char: exact(char) or exact(char.lower()) or exact(char.upper())  # noqa: E731
        return lambda after: self._add(_Node([after], test))

    def _escape(self, at: int) -> Test:
        char = self._peek()
        if not char:
            raise PatternError("nothing behind the backslash", at)
        self._pos += 1
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            return _equals(_CONTROLS[char])
        if char.isalnum():
            raise PatternError(f"\\{char} is not supported", at)
        return _equals(char)

    def _class(self) -> Test:
        at = self._pos - 1
        negated = self._peek() == "^"
        if negated:
            self._pos += 1
        tests: list[Test] = []
        while (char := self._peek()) != "]" or not tests:
            if not char:
                raise PatternError("a [ without its ]", at)
            begin = self._pos
            self._pos += 1
            if char == "\\":
                tests.append(self._escape(begin))
                continue
            last = self._text[self._pos + 1 : self._pos + 2]
            if self._peek() == "-" and last and last not in "]\\":
                self._pos += 2
                if last < char:
                    raise PatternError(f"{char}-{last} is no range", begin)
                tests.append(_between(char, last))
            else:
                tests.append(_equals(char))
        self._pos += 1
        return lambda char: any(test(char) for test in tests) != negated


def _equals(wanted: str) -> Test:
    return lambda char: char == wanted


def _between(first: str, last: str) -> Test:
    return lambda char: first <= char <= last


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= _LARGEST_REPEAT
