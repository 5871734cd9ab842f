"""A live session on a terminal: redrawn twice a second, as high as the window allows.

Connections and rates on top, errors by kind, what stands still, slow and open calls, windows, and the last findings
below. A key shows Wireshark's words about the packet of one of them. Every text of a capture goes through
`drawing.safe`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wirecase.live import Board, News, Watch
from wirecase_cli.keys import Keys
from wirecase_cli.reports import live_words, words
from wirecase_cli.reports.drawing import DIM, STYLE, SYMBOL, safe
from wirecase_cli.reports.live_dissection import Dissector, Page
from wirecase_cli.reports.times import clock, duration

_KEPT = 50
_KEYS = 9
"""Findings that a key can choose."""
_HEAD = 5
"""Rows of the top."""
_SECOND = 2
"""Rows that a table takes beside its lines."""


@dataclass(slots=True)
class _Row:
    style: str
    sign: str
    time: int | None
    text: str
    count: int
    packet: int | None = None
    """The packet of its evidence."""
    port: int | None = None
    """The server's, which speaks HTTP/2."""
    key: int = 0
    """The key that chooses it, which stays its own while it is among the newest; 0 for none."""


class Screen:
    """Shows a watch; a context manager."""

    def __init__(
        self, console: Console | None = None, *, keys: Keys | None = None, dissector: Dissector | None = None
    ) -> None:
        self._console = console or Console()
        self._keys = keys
        self._dissector = dissector
        self._key = 0
        """The last key that was given to a finding."""
        self._rows: deque[tuple[int, _Row]] = deque(maxlen=_KEPT)
        """(id of the finding or hint, what is shown of it), the newest last."""
        self._picture = Picture()
        self._live = Live(self._picture, console=self._console, auto_refresh=False, screen=True)

    def __enter__(self) -> Screen:
        """Begin to draw."""
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear what was drawn."""
        self._live.__exit__(kind, error, trace)

    def show(self, watch: Watch) -> None:
        """Draw this moment."""
        for key in self._keys.pressed() if self._keys is not None else "":
            self._press(key, watch)
        for one in watch.live.news():
            self._note(one, watch)
        self._picture.take(watch, [row for _, row in reversed(self._rows)])
        if self._keys is not None and self._keys.usable:
            self._picture.numbered = True
        self._picture.page = self._dissector.page if self._dissector is not None else None
        self._live.refresh()

    def _press(self, key: str, watch: Watch) -> None:
        """One key: a number dissects, q ends, the rest moves in a dissection or leaves it."""
        dissector = self._dissector
        if key == "q":
            watch.leave()
        elif dissector is None:
            return
        elif chosen := [row for _, row in self._rows if row.key and str(row.key) == key]:
            dissector.ask(chosen[0].packet, chosen[0].port)
        elif dissector.page is not None:
            steps = {"j": 1, "k": -1, " ": 10, "b": -10}.get(key)
            if steps is None:
                dissector.leave()
            else:
                dissector.page.move(steps)

    def _note(self, one: News, watch: Watch) -> None:
        if one.finding is not None:
            found = one.finding
            for i, (key, row) in enumerate(self._rows):
                if key == id(found):
                    row.count = one.count
                    del self._rows[i]
                    self._rows.append((key, row))
                    return
            where = live_words.place(found)
            text = f"{found.rule}: {found.title}" + (f" ({where})" if where else "")
            server = found.connection.server.rpartition(":")[2] if found.connection is not None else ""
            row = _Row(STYLE[found.severity], SYMBOL[found.severity], found.time, safe(text), one.count,
                       live_words.first_packet(found), int(server) if server.isdecimal() else None)  # fmt: skip
            self._key = row.key = self._key % _KEYS + 1
            for _, older in self._rows:
                if older.key == row.key:
                    older.key = 0
            self._rows.append((id(found), row))
        elif one.hint is not None:
            text = one.hint.text if one.what == "hint" else f"no longer, after {live_words.seconds(one.seconds)}: "
            if one.what == "over":
                text += one.hint.text
            row = _Row("magenta", "?" if one.what == "hint" else "-", watch.live.now,
                       safe(f"{text} ({live_words.hint_place(one.hint)})"), 1)  # fmt: skip
            self._rows.append((id(one.hint), row))


class Picture:
    """What is drawn of one moment; fits itself into the height that there is."""

    def __init__(self) -> None:
        self._board: Board | None = None
        self._head: list[Text] = [Text("waiting for packets")]
        self._rows: list[_Row] = []
        self.numbered = False
        """Keys are heard: the last findings can be chosen by their numbers."""
        self.page: Page | None = None
        """What is shown instead of the tables."""

    def take(self, watch: Watch, rows: list[_Row]) -> None:
        """Take the numbers of this moment."""
        self._board = board = watch.live.board()
        self._rows = rows
        self._head = _head(watch, board)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it for rich."""
        height = options.height or console.size.height
        yield from self.parts(options.max_width, height)

    def parts(self, width: int, height: int) -> list[RenderableType]:
        """Return what fits into so many columns and rows."""
        board = self._board
        if board is None:
            return list(self._head)
        room = max(height - _HEAD, 0)
        found: list[RenderableType] = [*self._head]
        if self.page is not None:
            return [*found, *_page(self.page, max(room - 1, 1))]
        tables = [
            ("stands still (hints, no verdict)", _hints(board), 4),
            ("findings by kind", _kinds(board), 6),
            ("slowest calls of the last minute", _slow(board), 5),
            ("open longest", _open(board), 4),
            ("smallest windows", _windows(board), 3),
        ]
        keep = min(len(self._rows), max(room // 3, 3)) + _SECOND if self._rows else 0
        for title, lines, most in tables:
            count = min(len(lines), most, room - keep - _SECOND)
            if count > 0:
                found.append(_table(title, lines[:count], width))
                room -= count + _SECOND
        last = [
            [*([Text(str(row.key or ""), DIM)] if self.numbered else []), *_last(row)]
            for row in self._rows[: max(room - _SECOND, 0)]
        ]
        if last:
            keys = " (1-9: what Wireshark says of its packet; q ends)" if self.numbered else ""
            found.append(_table(f"last findings{keys}", last, width))
        return [Group(*found)]


def _page(page: Page, height: int) -> list[RenderableType]:
    """Draw a page from where it was scrolled to."""
    count = len(page.lines)
    where = f" {page.top + 1}-{min(page.top + height, count)} of {count}" if count > height else ""
    texts = [
        Text(f"{page.title}{where} (j, k, space, b: scroll; another key: back)", "bold"),
        *(Text(line) for line in page.lines[page.top : page.top + height]),
    ]
    for text in texts:
        text.no_wrap, text.overflow = True, "ellipsis"
    return [*texts]


def _head(watch: Watch, board: Board) -> list[Text]:
    name = f"wirecase watch {safe(watch.name)}"
    kinds = ", ".join(f"{words.number(count)} {safe(kind)}" for kind, count in sorted(board.protocols.items()))
    calls = f"{words.number(board.calls)} calls: {words.number(board.ok)} ok, {words.number(board.failed)} failed"
    lost = live_words.lost(watch)
    lines = [
        Text.assemble((name, "bold"), (f"  {live_words.clock(watch.elapsed)}  ", ""),
                      (f"{words.plural(board.packets, 'packet')}, {words.size(board.bytes)}", DIM)),
        Text(f"{words.plural(board.connections, 'connection')} open{f' ({kinds})' if kinds else ''}, "
             f"{words.number(board.seen)} seen; {words.plural(board.streams, 'open stream')}"),
        Text.assemble((calls, ""), (f"; {board.rate:.1f} a second", "bold"),
                      (f", {board.failing:.1f} of them not fine", "red" if board.failing else DIM)),
        Text(lost or "nothing lost so far" + ("" if watch.dropped is not None else " as far as is known"),
             "bold yellow" if lost else DIM),
    ]  # fmt: skip
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _table(title: str, lines: Sequence[Sequence[Text]], width: int) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False,
        padding=(0, 2, 0, 0), width=width,
    )  # fmt: skip
    columns = len(lines[0])
    for i in range(columns):
        last = i == columns - 1
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if last else None)
    for line in lines:
        table.add_row(*line)
    return table


def _last(row: _Row) -> list[Text]:
    times = f"×{words.number(row.count)} " if row.count > 1 else ""
    at = clock(row.time)[:8] if row.time else "        "
    return [
        Text(row.sign, row.style),
        Text(at, DIM),
        Text.assemble((times, "bold"), row.text),
    ]


def _kinds(board: Board) -> list[list[Text]]:
    return [
        [Text(SYMBOL[severity], STYLE[severity]), Text(words.number(count), "bold"), Text(safe(rule))]
        for rule, severity, count in board.errors
        if severity != "info" or len(board.errors) < 4
    ]


def _hints(board: Board) -> list[list[Text]]:
    return [
        [Text("?", "magenta"), Text(live_words.seconds(max(board.now - one.since, 0) / 1e9), "bold"),
         Text(safe(f"{one.text} ({live_words.hint_place(one)})"))]
        for one in sorted(board.hints, key=lambda one: one.since)
    ]  # fmt: skip


def _slow(board: Board) -> list[list[Text]]:
    return [
        [Text(duration(one.ns), "bold"), Text(safe(one.status), "" if one.status == "OK" else "red"),
         Text(safe(f"{one.path} ({one.connection.client}, stream {one.stream})"))]
        for one in board.slow
    ]  # fmt: skip


def _open(board: Board) -> list[list[Text]]:
    return [
        [Text(duration(max(board.now - one.since, 0)), "bold"), Text(f"silent {duration(one.idle)}", DIM),
         Text(safe(f"{one.path} ({one.connection.client}, stream {one.stream})"))]
        for one in board.open
    ]  # fmt: skip


def _windows(board: Board) -> list[list[Text]]:
    rows = []
    for one in board.windows:
        smallest = "" if one.smallest is None else f"; smallest of its streams {words.number(one.smallest)}"
        style = "bold red" if one.left <= 0 or (one.smallest is not None and one.smallest <= 0) else "bold"
        peer = f"{one.connection.client} to {one.connection.server}"
        rows.append([Text(words.number(one.left), style), Text(f"bytes for the {one.sender}{smallest} ({safe(peer)})")])
    return rows
