"""From one record of a log to the rules that it may stand for, best first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from wirecase.explaining import numbers, templates
from wirecase.explaining.shape import Shape, plain
from wirecase.explaining.shapes import SHAPES
from wirecase.grpc.status import STATUS_NAMES
from wirecase.model import Certainty

_SURE: dict[Certainty, int] = {"certain": 0, "probable": 1, "possible": 2}
_BY_RANK: tuple[Certainty, ...] = ("certain", "probable", "possible")
_STEP = 9.0
"""Score that each place further down a shape's list of rules costs."""
_DOUBT = 7.0
"""Score that a level of certainty costs."""
_TIE = 1.0
"""Score that each rule before it costs one that shares its words."""
_MATCHES, _MISMATCHES = 12.0, 28.0
"""Score for a status code that is the shape's, and for one that is not."""


class Hit(NamedTuple):
    """A shape that was found in a text."""

    shape: Shape
    start: int
    stop: int
    fields: dict[str, str]
    code: bool | None
    """Whether the text's status code is the one that the shape comes with; None if either is not known."""


@dataclass(slots=True)
class Guess:
    """A rule that a text may stand for."""

    rule: str
    certainty: Certainty
    score: float
    hits: list[Hit] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    """Reasons beside the words themselves: what a number in them means."""


@dataclass(slots=True)
class Reading:
    """What one record says."""

    guesses: list[Guess]
    """Best first; empty if nothing was recognised."""
    decoded: list[numbers.Decoded]
    facts: dict[str, str]
    """Fields of the best shapes: ``flag``, ``length``, ``status`` …"""
    codes: frozenset[str]
    """gRPC status names that stand in it."""


@cache
def _shapes() -> tuple[Shape, ...]:
    return (*templates.shapes(), *SHAPES)


_NAMES = {name.lower(): name for name in STATUS_NAMES} | {
    name.lower().replace("_", ""): name for name in STATUS_NAMES
} | {"canceled": "CANCELLED"}  # fmt: skip
_WORDS = "|".join(sorted((re.escape(name) for name in _NAMES if name != "ok"), key=len, reverse=True))
_NAMED = "|".join(name.lower() for name in STATUS_NAMES if name != "OK")
_CODE = re.compile(
    rf"(?:(?:code|status|statuscode)\\?\"?\s?[:=.]\s?\(?\"?(?:statuscode[.=]\"?)?|statusruntimeexception: "
    rf"|error: \d{{1,2}} |statuscode\.|\b\d{{1,2}} )({_WORDS})(?![a-z_])|\b({_NAMED}): "
)


def codes_of(text: str) -> frozenset[str]:
    """Return the names of the gRPC status codes that a `normal` text tells."""
    return frozenset(_NAMES[found[1] or found[2]] for found in _CODE.finditer(text))


@cache
def _by_hint() -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Return the places of the shapes by their hints, those for lower case and those for plain text."""
    lower: dict[str, list[int]] = {}
    plain: dict[str, list[int]] = {}
    for place, shape in enumerate(_shapes()):
        (plain if shape.cased else lower).setdefault(shape.hint, []).append(place)
    return lower, plain


def _hinted(text: str, cased: str) -> list[Shape]:
    """Return the shapes whose hints are there, in their order: most lines of a log have none."""
    lower, plain = _by_hint()
    places = [place for hint, found in lower.items() if hint in text for place in found]
    places += [place for hint, found in plain.items() if hint in cased for place in found]
    return [_shapes()[place] for place in sorted(places)]


def hits_of(text: str, cased: str, codes: frozenset[str], hinted: list[Shape]) -> list[Hit]:
    """Return those of the `hinted` shapes that are in a `normal` text, none that lies inside a more specific one."""
    hits: list[Hit] = []
    for shape in hinted:
        found = shape.pattern.search(cased if shape.cased else text)
        if found is None:
            continue
        fits = shape.code in codes if codes and shape.code in STATUS_NAMES else None
        fields = {name: value for name, value in found.groupdict().items() if value}
        hits.append(Hit(shape, found.start(), found.end(), fields, fits))
    return [one for one in hits if not any(_inside(one, other) for other in hits)]


def _inside(one: Hit, other: Hit) -> bool:
    if one.shape.cased or other.shape.cased:
        return False
    shorter = other.stop - other.start > one.stop - one.start
    return shorter and other.start <= one.start and one.stop <= other.stop and one.shape.weight < other.shape.weight


def read(record: str) -> Reading:
    """Say what one record of a log (a line, or a few that belong together) may stand for."""
    cased = plain(record)
    text = cased.lower()
    hinted = _hinted(text, cased)
    codes = codes_of(text) if hinted else frozenset[str]()
    hits = hits_of(text, cased, codes, hinted)
    guesses: dict[str, Guess] = {}
    shared = _shared(hits)
    for hit in hits:
        for rank, (rule, sure) in enumerate(hit.shape.rules):
            level = _SURE[sure]
            leaders = shared[hit.start, hit.stop]
            place = leaders.index(hit.shape.rules[0][0]) if hit.code is not False else 0
            if hit.code is False or place:
                level = 2  # other rules come first for the same words
            elif len(leaders) > 1 and level == 0:
                level = 1
            if not hit.shape.checked:
                level = max(level, 1)
            score = hit.shape.weight - rank * _STEP - level * _DOUBT - place * _TIE
            score += 0.0 if hit.code is None else _MATCHES if hit.code else -_MISMATCHES
            _add(guesses, rule, _BY_RANK[level], score, hit)
    facts: dict[str, str] = {}
    for hit in sorted(hits, key=lambda one: -one.shape.weight):
        for name, value in hit.fields.items():
            facts.setdefault(name, value)
    decoded = numbers.decode(text)
    _refine(guesses, facts, decoded)
    order = {rule: place for place, rule in enumerate(guesses)}
    best = sorted(guesses.values(), key=lambda guess: (-guess.score, _SURE[guess.certainty], order[guess.rule]))
    return Reading(best, decoded, facts, codes)


def _shared(hits: Iterable[Hit]) -> dict[tuple[int, int], list[str]]:
    """Return the leading rules of all shapes that say the same words, in the shapes' order."""
    out: dict[tuple[int, int], list[str]] = {}
    for hit in hits:
        rules = out.setdefault((hit.start, hit.stop), [])
        if hit.code is not False and hit.shape.rules[0][0] not in rules:
            rules.append(hit.shape.rules[0][0])
    return out


def _add(guesses: dict[str, Guess], rule: str, sure: Certainty, score: float, hit: Hit) -> None:
    guess = guesses.get(rule)
    if guess is None:
        guesses[rule] = Guess(rule, sure, score, [hit])
        return
    guess.hits.append(hit)
    if score > guess.score:
        guess.score = score
    if _SURE[sure] < _SURE[guess.certainty]:
        guess.certainty = sure


_FLAG_RULES = {
    8: ("grpc-unframed-protobuf", 10.0), 10: ("grpc-unframed-protobuf", 10.0), 18: ("grpc-unframed-protobuf", 10.0),
    128: ("grpc-web-on-grpc", 16.0), 129: ("grpc-web-on-grpc", 16.0), 31: ("grpc-http-content-encoding", 16.0),
}  # fmt: skip
"""Flags that a rule of their own explains, and how far before or behind the general rule it is put."""


def _refine(guesses: dict[str, Guess], facts: dict[str, str], decoded: list[numbers.Decoded]) -> None:
    """Let the numbers decide: a length that is text is no length, a flag beside HTTP 502 is a page."""
    top = max((guess.score for guess in guesses.values()), default=0.0)
    status = facts.get("status", "")
    by_kind: dict[str, numbers.Decoded] = {}
    for each in decoded:
        by_kind.setdefault(each.what, each)
    flag, size = by_kind.get("compression flag"), by_kind.get("message length")

    def lead(rule: str, sure: Certainty, why: str, step: float = 20.0) -> None:
        guess = guesses.setdefault(rule, Guess(rule, sure, 0.0))
        guess.score, guess.certainty = top + step, sure
        guess.why.insert(0, why)

    if flag is not None and flag.value not in ("0", "1", "0x0", "0x1", "0x00", "0x01"):
        value = int(flag.value, 16) if flag.value.startswith("0x") else int(flag.value)
        said = f"flag {flag.value} is {flag.meaning}"
        lead("grpc-invalid-compression-flag", "certain", said, 15.0)
        if status not in ("", "200"):
            phrase = numbers.http_status(int(status))
            lead("http-error-with-body", "certain", f"HTTP {status} {phrase} came with a body that is not gRPC; {said}")
        elif own := _FLAG_RULES.get(value):
            lead(own[0], "probable", said, own[1])
        elif flag.text:
            lead("http-error-with-body", "possible", "the text may be the page of an HTTP error", 8.0)
            lead("http-200-wrong-content-type", "possible", "or of an answer that calls itself a success", 7.0)
    elif size is not None and size.text:
        lead("grpc-length-is-text", "probable", f"{size.value} is {size.meaning}")
        page = f"the four bytes behind the first one of such a page are {size.text!r}"
        lead("grpc-invalid-compression-flag", "probable", page, 18.0)
        lead("http-error-with-body", "possible", page, 16.0)
        lead("http-200-wrong-content-type", "possible", page, 15.0)
    if facts.get("type", "").startswith("application/grpc-web"):
        lead("grpc-web-on-grpc", "certain", f"the content-type is {facts['type']}")
    if status:
        wrong = ("http-error-with-body", "http-error-empty") if status == "200" else ("http-200-wrong-content-type",)
        for rule in wrong:
            guesses.pop(rule, None)
    for what in ("frame length", "frame type"):
        found = by_kind.get(what)
        if found is None:
            continue
        if "HTTP/1" in found.meaning:
            lead("h2-peer-speaks-http1", "certain", f"{what} {found.value} is {found.meaning}")
        elif "TLS" in found.meaning:
            lead("tls-plaintext-mismatch", "certain", f"{what} {found.value} is {found.meaning}")
        elif found.text:
            lead("h2-not-http2", "probable", f"{what} {found.value} is {found.meaning}")
    if "hexclient" in facts:
        meaning, _ = numbers.first_bytes(facts["hexclient"])
        if "TLS" in meaning:
            lead("tls-plaintext-mismatch", "certain", f"the first bytes are {meaning}")
        else:
            lead("h2-bad-preface", "certain", f"the first bytes are {meaning}")
    if "hexserver" in facts and facts["hexserver"].startswith("485454"):
        lead("h2-peer-speaks-http1", "certain", "the first bytes are 'HTT'")
    greeting = facts.get("greeting", "")
    if "\\x16\\x03" in greeting:
        lead("tls-plaintext-mismatch", "certain", "the greeting begins with a TLS handshake (16 03)")
