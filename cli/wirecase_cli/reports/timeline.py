"""Timelines for people: a sequence diagram in plain characters, the client on the left, the server on the right."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.grpc.status import status_name
from wirecase.listing import Timeline
from wirecase.listing.events import NO_FRAME, Body, Event, Fold
from wirecase.model import CLIENT, SIDE_NAMES
from wirecase_cli.reports import call_table, escape, masking, payload_lines, times, words
from wirecase_cli.reports.drawing import DIM, STYLE, SYMBOL
from wirecase_cli.reports.lines import Part, draw, fit, safe, width_of, wrap
from wirecase_cli.reports.screen import Screen

_BLOCKS = ("HEADERS", "PUSH_PROMISE", "CONTINUATION")
_MAX_WINDOW = 1 << 31
_FOREIGN_SHOWN = 80
_FIELDS = 200
"""Fields of one header block that are shown."""
_LISTED = 3
"""Messages of one frame that are told one by one."""


def has_secrets(event: Event) -> bool:
    """Tell whether a payload holds what `masking` hides; a header block that was not decoded may."""
    if event.name not in _BLOCKS:
        return masking.text(event.payload) != event.payload
    if event.headers is None or len(event.headers) > _FIELDS:
        return True
    return any(value is not None and masking.value(name, value)[1] for name, value in event.headers)


class Diagram:
    """Draws one timeline."""

    def __init__(
        self, timeline: Timeline, screen: Screen, *, payloads: bool, secrets: bool, everything: bool = False
    ) -> None:
        self._timeline = timeline
        self._screen = screen
        self._payloads = payloads
        self._secrets = secrets
        self._most = payload_lines.ALL if everything else payload_lines.FEW
        """Lines of each message."""
        marks = [item.mark if isinstance(item, Event) else item.last for item in timeline.items]
        self._start = marks[0].time if marks else 0
        self._before = self._start
        self._clock = max([9, *(len(_seconds(mark.time - self._start)) for mark in marks)])
        self._packet = max([6, *(len(str(mark.packet)) for mark in marks)])
        self._left = 2 * self._clock + self._packet + 4
        self._lane = max(screen.width - self._left - 2, 24)
        """Columns between the two bars."""

    def lines(self) -> Iterator[str]:
        """Yield the diagram, line by line."""
        yield from self._head()
        if not self._timeline.items:
            yield self._draw(("nothing of it is in the capture", DIM))
            return
        client, server = "client", "server"
        titles = f"{fit('time', self._clock, right=True)} {fit('delta', self._clock + 1, right=True)} "
        titles += f"{fit('packet', self._packet, right=True)} "
        yield self._draw(("", ""))
        yield self._draw((titles + client + " " * (self._lane + 2 - len(client + server)) + server, DIM))
        for item in self._timeline.items:
            yield from self._fold(item) if isinstance(item, Fold) else self._event(item)

    # ---- the head ----------------------------------------------------------------------------------------------

    def _head(self) -> Iterator[str]:
        timeline, row = self._timeline, self._timeline.row
        ref = timeline.connection
        where = f"connection {ref.index}, {safe(ref.client)} to {safe(ref.server)}"
        if row is None:
            yield self._draw((f"connection {ref.index}", "bold"), (f"  {safe(ref.client)} to {safe(ref.server)}", ""))
        else:
            path = safe(row.path) if row.path is not None else "(path not known)"
            for number, line in enumerate(wrap(path, self._screen.width - 14)):
                head = f"call {row.call}  " if not number else " " * len(f"call {row.call}  ")
                yield self._draw((head, "bold"), (line, "bold"))
            status = "no status" if row.status is None else f"{safe(status_name(row.status))} ({row.status})"
            when = f"{times.day(row.started)} {times.clock(row.started)} UTC, {call_table.length(row)}, {status}"
            yield from self._indented(f"{when}; {call_table.ending(row)}")
            yield from self._indented(f"{where}, stream {row.stream}")
            sent = f"{words.plural(row.messages_sent, 'message')}, {words.size(row.bytes_sent)} sent"
            got = f"{words.plural(row.messages_received, 'message')}, {words.size(row.bytes_received)} received"
            yield from self._indented(f"{sent}; {got}")
        for one in timeline.findings:
            told = f"{SYMBOL[one.severity]} {one.id} {one.rule}: {safe(one.title)}"
            yield from self._indented(told, STYLE[one.severity])

    def _indented(self, text: str, style: str = "") -> Iterator[str]:
        for number, line in enumerate(wrap(text, self._screen.width - 4)):
            yield self._draw((("    " if number else "  ") + line, style))

    # ---- events ------------------------------------------------------------------------------------------------

    def _event(self, event: Event) -> Iterator[str]:
        time = event.mark.time
        delta = _seconds(time - self._before)
        left = f"{fit(_seconds(time - self._start), self._clock, right=True)} "
        left += fit(delta if delta.startswith("-") else f"+{delta}", self._clock + 1, right=True)
        left += f" {fit(str(event.mark.packet), self._packet, right=True)} "
        self._before = time
        loud = any(one.severity != "info" for one in event.mentions)
        style = "bold red" if loud or event.kind == "gap" else "yellow" if event.kind == "tcp" else ""
        yield self._draw((left, DIM), (self._arrow(event), style))
        for text, color in self._details(event):
            yield from self._inside(text, color)
        for message in event.views:
            for text in payload_lines.lines(message, secrets=self._secrets, most=self._most):
                yield from self._indented_inside(text)
        if self._payloads and event.kind == "frame" and event.length:
            yield from self._hex(event)
        for one in event.mentions:
            yield from self._inside(f"{SYMBOL[one.severity]} {one.finding} {safe(one.note)}", STYLE[one.severity])

    def _arrow(self, event: Event) -> str:
        if event.kind == "gap":
            label = f" {words.plural(event.length, 'byte')} of the {SIDE_NAMES[event.side]} are not in the capture "
            return f"│{fit(label.center(self._lane, '·'), self._lane)}│"
        label = self._label(event)
        label = fit(label, min(width_of(label), self._lane - 5))
        line = "─" * (self._lane - width_of(label) - 4)
        return f"├─ {label} {line}▶│" if event.side == CLIENT else f"│◀{line} {label} ─┤"

    def _label(self, event: Event) -> str:
        if event.kind == "tcp":
            return event.name if event.name == NO_FRAME else f"TCP {event.name}"
        label = " ".join([event.name, *event.flags])
        whole = self._timeline.row is None
        if event.stream == 0:
            label += "" if whole else " on the connection"
        elif whole:
            label += f" on {event.stream}"
        return f"{label}, {words.number(event.length)} B"

    def _details(self, event: Event) -> Iterator[Part]:
        fields = event.headers or ()
        for name, value in fields[:_FIELDS]:
            yield self._field(name, value), ""
        if len(fields) > _FIELDS:
            yield f"… {words.plural(len(fields) - _FIELDS, 'more field')}; --format json has all of them", DIM
        told = _facts(event)
        if said := event.facts.get("debug") or event.facts.get("text"):
            told.append(f'"{self._text(said)}"')
        if event.body is not None:
            told += _messages(event.body)
            if event.body.foreign and event.payload and not event.body.begun:
                told.append(f'not gRPC: "{escape.cut(self._text(event.payload), _FOREIGN_SHOWN)}"')
            elif event.body.foreign:
                told.append("not gRPC from some byte on")
            elif event.body.lost:
                told.append("a gap hides where messages begin")
        if window := _window(event):
            told.append(window)
        if told:
            yield "; ".join(told), DIM

    def _field(self, name: bytes | None, value: bytes | None) -> str:
        shown = "(name not known)" if name is None else safe(escape.from_bytes(name))
        if value is None:
            return f"{shown}: (not known: the table entry is older than the capture)"
        content = value if self._secrets else masking.value(name, value)[0]
        return f"{shown}: {safe(escape.from_bytes(content[:2_000]))}"

    def _text(self, content: bytes) -> str:
        return safe(escape.from_bytes(content if self._secrets else masking.text(content)))

    def _hex(self, event: Event) -> Iterator[str]:
        if has_secrets(event) and not self._secrets:
            yield from self._inside("its bytes may hold what is masked here: --secrets shows them", DIM)
            return
        digits = max(len(f"{len(event.payload):x}"), 3)
        per_row = 16 if self._lane >= digits + 2 + 16 * 4 + 3 else 8
        for at in range(0, len(event.payload), per_row):
            chunk = event.payload[at : at + per_row]
            text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in chunk)
            yield from self._inside(f"{at:0{digits}x} {chunk.hex(' ').ljust(per_row * 3 - 1)} {text}", "", whole=True)
        if len(event.payload) < event.length:
            yield from self._inside(f"… {words.plural(event.length - len(event.payload), 'more byte')}", DIM)

    def _fold(self, fold: Fold) -> Iterator[str]:
        self._before = fold.last.time
        parts = []
        for (side, name), (count, size) in fold.frames.items():
            parts.append(f"{words.number(count)} {name} of the {SIDE_NAMES[side]} ({words.size(size)})")
        text = f"… {', '.join(parts)}"
        begun = [(count, SIDE_NAMES[side]) for side, count in enumerate(fold.messages) if count]
        if begun:
            told = ", ".join(f"{words.number(count)} of the {name}" for count, name in begun)
            text += f"; messages that begin there: {told}"
        text += (
            f"; {times.duration(fold.last.time - fold.first.time)}, packets {fold.first.packet} to {fold.last.packet}"
        )
        yield from self._inside(f"{text}; --all shows them", "cyan")

    # ---- lines -------------------------------------------------------------------------------------------------

    def _inside(self, text: str, style: str, *, whole: bool = False) -> Iterator[str]:
        """Put text between the bars."""
        room = self._lane - 2
        for number, line in enumerate([text] if whole else wrap(text, room - 2)):
            indent = " " if whole or not number else "   "
            content = indent + fit(line, self._lane - len(indent))
            yield self._draw((" " * self._left + "│", DIM), (content, style), ("│", DIM))

    def _indented_inside(self, text: str) -> Iterator[str]:
        """Put a line between the bars that keeps its indentation, on further lines too."""
        indent = min(len(text) - len(text.lstrip(" ")), self._lane // 2)
        for number, line in enumerate(wrap(text.lstrip(" "), self._lane - indent - 4)):
            yield from self._inside(" " * indent + ("  " if number else "") + line, "", whole=True)

    def _draw(self, *parts: Part) -> str:
        return draw(parts, self._screen)


def _seconds(ns: int) -> str:
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    return f"{sign}{ns // 10**9}.{ns % 10**9 // 1000:06d}"


def _facts(event: Event) -> list[str]:
    facts = event.facts
    told = []
    if "last_stream" in facts:
        told.append(f"last stream {words.number(facts['last_stream'])}")
    if "error" in facts:
        told.append(f"{facts['error']} ({facts['error_code']})")
    if "increment" in facts:
        told.append(f"+{words.number(facts['increment'])}")
    for name, value in facts.get("settings", {}).items():
        told.append(f"{name} {words.number(value)}")
    if "depends_on" in facts:
        told.append(f"depends on {facts['depends_on']}, weight {facts['weight']}")
    if "opaque" in facts:
        told.append(facts["opaque"])
    return told


def _messages(body: Body) -> list[str]:
    told = []
    if body.continued is not None:
        number, before, length = body.continued
        told.append(f"message {number} goes on, {words.number(before)} of {words.number(length)} B before")
    if body.count > _LISTED:
        first = body.begun[0]
        told.append(
            f"messages {words.number(first.number)} to {words.number(first.number + body.count - 1)}, "
            f"the first of {words.number(first.length)} B"
        )
        return told
    for one in body.begun:
        told.append(f"message {one.number}: {words.number(one.length)} B" + (", compressed" if one.flag else ""))
    return told


def _window(event: Event) -> str:
    """Say what may still be sent, where the event changed it."""
    if event.windows is None or event.name not in ("DATA", "WINDOW_UPDATE"):
        return ""
    if event.name == "DATA" and not event.length:
        return ""
    side = event.side if event.name == "DATA" else 1 - event.side
    window = event.windows[side]
    told = []
    if window.stream is not None and abs(window.stream) <= _MAX_WINDOW:
        told.append(words.number(window.stream))
    if window.connection is not None:
        told.append(f"connection {words.number(window.connection)}")
    return f"{SIDE_NAMES[side]}'s window {', '.join(told)}"
