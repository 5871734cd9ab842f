"""Filters: text in, predicate over rows out.

    filter     = conjunction {("or" | "||") conjunction}
    conjunction = condition {("and" | "&&") condition}
    condition  = {"not" | "!"} ("(" filter ")" | field [operator value])
    operator   = "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
    value      = a string in quotes | anything up to a space or a parenthesis | "none"

A field alone holds where the row has a value for it. A missing value equals ``none`` and nothing else, is neither less
nor greater than anything, and matches no pattern; ``!=`` and ``!~`` are true exactly where ``=`` and ``~`` are not.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache

from wirecase.errors import UsageError
from wirecase.query import values
from wirecase.query.fields import FIELDS, Field, Value
from wirecase.query.pattern import Pattern, PatternError
from wirecase.query.rows import CallRow

_LONGEST = 4_096
_DEPTH = 50
_SHOWN = 40
"""Characters of the filter that an error shows on each side of the place."""

_NAME = re.compile(r"[A-Za-z][\w.-]*", re.A)
_OPERATOR = re.compile(r"==|!=|<=|>=|!~|=|<|>|~")
_BARE = re.compile(r"(?:(?!&&|\|\|)[^\s()])+")
_SPACE = re.compile(r"\s*")
_JOINTS = {"or": re.compile(r"or\b|\|\|", re.I), "and": re.compile(r"and\b|&&", re.I)}
_NOT = re.compile(r"not\b|!(?![=~])", re.I)
_ORDER: dict[str, Callable[[Value, Value], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_NONE = "none"

Predicate = Callable[[CallRow], bool]


class Filter:
    """A compiled filter: call it with a row."""

    __slots__ = ("_holds", "fields", "text")

    def __init__(self, text: str, holds: Predicate, fields: frozenset[str]) -> None:
        self.text = text
        self._holds = holds
        self.fields = fields
        """Names of the fields that it asks for."""

    def __call__(self, row: CallRow) -> bool:
        """Tell whether the filter holds for a row."""
        return self._holds(row)


def compile_filter(text: str) -> Filter:
    """Return the filter that `text` says. Raises UsageError, in one line that names the place, if it says none."""
    return _Parser(text).whole()


class _Parser:
    """Reads one filter from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pos = 0
        self._fields: set[str] = set()

    def whole(self) -> Filter:
        """Return the filter that the whole text is."""
        if len(self._text) > _LONGEST:
            raise UsageError(f"filter: longer than {_LONGEST:,} characters")
        self._skip_space()
        if self._pos == len(self._text):
            raise UsageError("filter: it is empty; write something like path~Flight and status!=0")
        holds = self._joined("or", 0)
        if self._pos < len(self._text):
            raise self._error("'and' or 'or' is missing here" if self._text[self._pos] != ")" else "a ) without its (")
        return Filter(self._text, holds, frozenset(self._fields))

    def _joined(self, joint: str, depth: int) -> Predicate:
        parts = [self._part(joint, depth)]
        while self._take(_JOINTS[joint]):
            parts.append(self._part(joint, depth))
        if len(parts) == 1:
            return parts[0]
        every = tuple(parts)
        if joint == "or":
            return lambda row: any(part(row) for part in every)
        return lambda row: all(part(row) for part in every)

    def _part(self, joint: str, depth: int) -> Predicate:
        return self._joined("and", depth) if joint == "or" else self._condition(depth)

    def _condition(self, depth: int) -> Predicate:
        negated = False
        while self._take(_NOT):
            negated = not negated
        if self._text.startswith("(", self._pos):
            if depth >= _DEPTH:
                raise self._error("too many parentheses within each other")
            opened = self._pos
            self._pos += 1
            self._skip_space()
            holds = self._joined("or", depth + 1)
            if not self._text.startswith(")", self._pos):
                at_end = self._pos == len(self._text)
                raise (
                    self._error("a ( without its )", opened) if at_end else self._error("'and', 'or' or ) is due here")
                )
            self._pos += 1
            self._skip_space()
        else:
            holds = self._comparison()
        return (lambda row: not holds(row)) if negated else holds

    def _comparison(self) -> Predicate:
        begin = self._pos
        name = _NAME.match(self._text, begin)
        if name is None or name[0].lower() in ("and", "or"):
            raise self._error(f"a field is due here: {', '.join(FIELDS)}")
        field = FIELDS.get(name[0].lower())
        if field is None:
            near = values.hint(name[0].lower(), FIELDS)
            raise self._error(f"there is no field {name[0][:_SHOWN]}{near or ': ' + ', '.join(FIELDS)}")
        self._fields.add(name[0].lower())
        self._pos = name.end()
        self._skip_space()
        sign_at = self._pos
        sign = self._take(_OPERATOR)
        if not sign:
            get = field.get
            return lambda row: any(value is not None for value in get(row))
        return self._compare(name[0].lower(), field, sign, sign_at)

    def _compare(self, name: str, field: Field, sign: str, sign_at: int) -> Predicate:
        value_at = self._pos
        text, quoted = self._value()
        if field.text:
            text = text.encode("utf-8", "surrogateescape").decode("latin-1")  # as rows hold what stood on the wire
        get = field.get
        if sign in ("~", "!~"):
            if not field.text:
                raise self._error(f"~ looks into text, and {name} is none: use =, != or a comparison", sign_at)
            found = self._pattern(text, value_at + quoted)
            if sign == "~":
                return lambda row: any(isinstance(value, str) and found(value) for value in get(row))
            return lambda row: not any(isinstance(value, str) and found(value) for value in get(row))
        wanted: Value | None = None
        if quoted or text.lower() != _NONE:
            try:
                wanted = field.parse(text)
            except values.ValueProblem as problem:
                raise self._error(str(problem), value_at) from problem
        if sign in _ORDER:
            if not field.ordered or wanted is None:
                raise self._error(f"{name} has no order: use =, != or ~", sign_at)
            least, holds = wanted, _ORDER[sign]
            return lambda row: any(value is not None and holds(value, least) for value in get(row))
        if sign == "!=":
            return lambda row: wanted not in get(row)
        return lambda row: wanted in get(row)

    def _pattern(self, text: str, at: int) -> Callable[[str], bool]:
        try:
            pattern = Pattern(text)
        except PatternError as error:
            raise self._error(f"the pattern has {error}", at + error.position) from error
        return lru_cache(maxsize=4096)(pattern.search)  # paths repeat

    def _value(self) -> tuple[str, bool]:
        """Return a value, and whether it stood in quotes."""
        begin = self._pos
        quote = self._text[begin : begin + 1]
        if quote in ('"', "'") and quote:
            close = self._text.find(quote, begin + 1)
            if close < 0:
                raise self._error("a string without its closing quote", begin)
            self._pos = close + 1
            self._skip_space()
            return self._text[begin + 1 : close], True
        bare = _BARE.match(self._text, begin)
        if bare is None:
            raise self._error("a value is due here", begin)
        self._pos = bare.end()
        self._skip_space()
        return bare[0], False

    def _take(self, wanted: re.Pattern[str]) -> str:
        found = wanted.match(self._text, self._pos)
        if found is None:
            return ""
        self._pos = found.end()
        self._skip_space()
        return found[0]

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._pos)
        if found is not None:
            self._pos = found.end()

    def _error(self, message: str, at: int | None = None) -> UsageError:
        place = min(self._pos if at is None else at, len(self._text))
        before, after = self._text[max(place - _SHOWN, 0) : place], self._text[place : place + _SHOWN]
        return UsageError(_printable(f"filter, column {place + 1}: {message} (at the ^ in: {before}^{after})"))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
