"""Evidence as a small annotated hex view: 16 bytes a row, their text beside them, the decisive ones marked below."""

from __future__ import annotations

from dataclasses import dataclass

from wirecase.model import Evidence, Finding

_FRAME_HEADER = 9
_RST_STREAM, _GOAWAY = 3, 7


@dataclass(slots=True, frozen=True)
class Span:
    """Bytes of the evidence that decide."""

    start: int
    """Index of the first byte in the evidence's data."""
    stop: int
    sign: str
    """The character that stands below them."""
    label: str
    """What they are."""


@dataclass(slots=True, frozen=True)
class Row:
    """One row: its offset in the stream, its bytes in hex and as text, and the marks below both (empty if none)."""

    offset: str
    hex: str
    text: str
    hex_marks: str
    text_marks: str


def rows(evidence: Evidence, spans: list[Span], *, per_row: int = 16, most: int = 6) -> list[Row]:
    """Return the rows of `evidence`, at most `most` of them; the caller tells what was left out."""
    start = evidence.offset or 0
    width = len(str(start + max(len(evidence.data) - 1, 0)))
    out = []
    for at in range(0, min(len(evidence.data), per_row * most), per_row):
        chunk = evidence.data[at : at + per_row]
        signs = [_sign(at + i, spans) for i in range(len(chunk))]
        marked = any(sign != " " for sign in signs)
        out.append(
            Row(
                offset=str(start + at).rjust(width),
                hex=_columns([f"{byte:02x}" for byte in chunk], per_row),
                text="".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in chunk),
                hex_marks=_columns([sign * 2 for sign in signs], per_row).rstrip() if marked else "",
                text_marks="".join(signs).rstrip() if marked else "",
            )
        )
    return out


def row_width(evidence: Evidence, per_row: int) -> int:
    """Return how many columns a row takes, from its offset to its text."""
    digits = len(str((evidence.offset or 0) + max(len(evidence.data) - 1, 0)))
    return digits + 2 + per_row * 3 - 1 + (per_row > 8) + 2 + per_row


def shown(evidence: Evidence, *, per_row: int = 16, most: int = 6) -> int:
    """Return how many bytes `rows` shows."""
    return min(len(evidence.data), per_row * most)


def spans(finding: Finding, evidence: Evidence) -> list[Span]:
    """Return the bytes of `evidence` that decide, as far as the finding's facts or the frame itself tell them."""
    data = evidence.data
    if not data or evidence.offset is None:
        return []
    frame = _frame(data, evidence.length)
    if frame is not None:
        return frame if evidence.role == "primary" else []
    flag = finding.details.get("flag")
    return _prefix(data) if isinstance(flag, int) and data[0] == flag else []


def drawn(finding: Finding, evidence: Evidence) -> bool:
    """Tell whether the bytes are worth showing: those that prove, and those in which something can be pointed at."""
    return bool(evidence.data) and (evidence.role == "primary" or bool(spans(finding, evidence)))


def decisive(finding: Finding) -> Evidence | None:
    """Return the one piece of evidence that shows most: the first with marks, else the first."""
    marked = [one for one in finding.evidence if spans(finding, one)]
    return next(iter(marked or finding.evidence), None)


def _prefix(data: bytes) -> list[Span]:
    """The five bytes before a gRPC message (PROTOCOL-HTTP2, Length-Prefixed-Message)."""
    found = [Span(0, 1, "^", f"compressed flag {data[0]}{_as_text(data[:1])}")]
    length = data[1:5]
    if len(length) == 4:
        found.append(Span(1, 5, "~", f"length {int.from_bytes(length):,}{_as_text(length)}"))
    return found


def _frame(data: bytes, length: int) -> list[Span] | None:
    """The deciding fields of a RST_STREAM (RFC 9113 §6.4) or GOAWAY (§6.8); None if this is not exactly one frame."""
    if len(data) < _FRAME_HEADER or int.from_bytes(data[:3]) + _FRAME_HEADER != length:
        return None
    if data[3] == _RST_STREAM and len(data) == 13:
        return [Span(9, 13, "^", f"error code {int.from_bytes(data[9:13])}")]
    if data[3] == _GOAWAY and len(data) >= 17:
        last = int.from_bytes(data[9:13]) & 0x7FFF_FFFF
        return [
            Span(9, 13, "~", f"last stream {last:,}"),
            Span(13, 17, "^", f"error code {int.from_bytes(data[13:17])}"),
        ]
    return []


def _as_text(data: bytes) -> str:
    return f" = {data.decode('ascii')!r}" if all(0x20 <= byte < 0x7F for byte in data) else ""


def _sign(index: int, found: list[Span]) -> str:
    return next((span.sign for span in found if span.start <= index < span.stop), " ")


def _columns(cells: list[str], per_row: int) -> str:
    if per_row <= 8:
        return " ".join(cells).ljust(per_row * 3 - 1)
    return (" ".join(cells[:8]) + "  " + " ".join(cells[8:])).ljust(per_row * 3)
