"""What RFC 9113 §8.2 and §8.3 demand of a header list, checked once per distinct block."""

from __future__ import annotations

import re

from wirecase.http2.facts import HeaderBlock, Http2Facts, Stream
from wirecase.model import CLIENT, SERVER, Excerpt

_CONNECTION_SPECIFIC = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"))
_REQUEST_PSEUDO = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
_TOKEN = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")
"""RFC 9110 §5.6.2, lower case (RFC 9113 §8.2)."""
CONTROL = bytes(b for b in range(256) if (b < 0x20 and b != 0x09) or b == 0x7F)
_GOOD_NAMES: set[bytes] = set()
"""Names that passed, so that the regular expression runs once for each."""
_GOOD_NAMES_LIMIT = 4096

Problem = tuple[str, bytes, bytes]


def _check_name(name: bytes, value: bytes) -> Problem | None:
    if _TOKEN.fullmatch(name):
        if name in _CONNECTION_SPECIFIC:
            return ("connection-specific", name, value)
        if len(_GOOD_NAMES) < _GOOD_NAMES_LIMIT:
            _GOOD_NAMES.add(name)
        return None
    if name.lower() != name and _TOKEN.fullmatch(name.lower()):
        return ("uppercase", name, value)
    return ("bad-name", name, value)


def _pseudo_problems(block: HeaderBlock, side: int, *, trailers: bool) -> list[Problem]:
    problems: list[Problem] = []
    seen: set[bytes] = set()
    ordinary = False
    allowed = frozenset() if trailers else _REQUEST_PSEUDO if side == CLIENT else frozenset((b":status",))
    for name, value in block.fields:
        if name is None:
            ordinary = True  # cannot tell: claim nothing about order behind it
            continue
        if not name.startswith(b":"):
            ordinary = True
            continue
        shown = value or b""
        if name not in allowed:
            problems.append(("pseudo-in-trailers" if trailers else "pseudo-unknown", name, shown))
        elif name in seen:
            problems.append(("pseudo-duplicate", name, shown))
        elif ordinary and not block.unknown:
            problems.append(("pseudo-order", name, shown))
        seen.add(name)
    if not trailers and not block.unknown and not block.truncated:
        if side == CLIENT:
            connect = block.method == b"CONNECT"
            wanted: tuple[bytes, ...] = (b":method",) if connect else (b":method", b":scheme", b":path")
        else:
            wanted = (b":status",)
        problems += [("pseudo-missing", name, b"") for name in wanted if name not in seen]
    return problems


_SOUND_SHAPES: set[tuple[tuple[bytes | None, ...], int, bool]] = set()
"""(names in order, sender, trailers) of lists whose names and order are sound: most lists repeat one of few."""
_SOUND_SHAPES_LIMIT = 4096


def find_problems(block: HeaderBlock, side: int, *, trailers: bool) -> tuple[Problem, ...]:
    """Return what breaks the rules in `block` as (problem, name, value); at most 16."""
    problems: list[Problem] = []
    values = [value for _, value in block.fields if value is not None]
    shape = (tuple([name for name, _ in block.fields]), side, trailers)
    if shape not in _SOUND_SHAPES:
        for name, value in block.fields:
            found = _check_name(name, value or b"") if name is not None and name not in _GOOD_NAMES else None
            if found:
                problems.append(found)
        problems += _pseudo_problems(block, side, trailers=trailers)
        if not problems and not block.unknown and len(_SOUND_SHAPES) < _SOUND_SHAPES_LIMIT:
            _SOUND_SHAPES.add(shape)
    te = block.names.get(b"te", b"trailers")
    if te is not None and te != b"trailers":
        problems.append(("bad-te", b"te", te))
    joined = b"".join(values)
    if len(joined.translate(None, CONTROL)) != len(joined):
        for name, value in block.fields:
            if value is None or (value[:1] == b"\0" and name is not None and name.endswith(b"-bin")):
                continue  # true binary metadata, which gRPC peers agree upon in their SETTINGS (gRFC G1)
            if len(value.translate(None, CONTROL)) != len(value):
                problems.append(("control-characters", name or b"", value))
                break
    return tuple(problems[:16])


def problems_in_place(block: HeaderBlock, side: int, *, trailers: bool) -> tuple[Problem, ...]:
    """Return what is wrong with a block in its place; worked out once for the place where such a block belongs."""
    if trailers != (side == SERVER and block.status is None):
        return find_problems(block, side, trailers=trailers)
    if block.view is None and not block.problems:
        block.problems = find_problems(block, side, trailers=trailers)
    return block.problems


def check_content_length(facts: Http2Facts, stream: Stream, side: int, excerpt: Excerpt | None) -> None:
    """RFC 9113 §8.1.1: the sum of DATA must be content-length, but for answers that have no content.

    `excerpt` is the frame that ended the side; with None it has not ended, and can only have sent too much.
    """
    if not stream.seen_start or facts.halves[side].gaps:
        return
    for frame in stream.headers:
        if frame.side != side:
            continue
        declared = frame.block.get(b"content-length")
        if declared is None or not declared.isdigit() or len(declared) > 18 or frame.block.status == b"304":
            continue
        if side == SERVER and any(f.side == CLIENT and f.block.method == b"HEAD" for f in stream.headers):
            continue
        got = stream.data_bytes[side]
        if int(declared) != got and (excerpt is not None or got > int(declared)):
            shown = frame.excerpt if excerpt is None else excerpt
            facts.violate("content-length", side, stream.id, shown, declared=int(declared), got=got)
        return
