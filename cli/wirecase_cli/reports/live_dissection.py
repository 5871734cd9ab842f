"""Wireshark's own words about the packet of a finding, beside a live screen that goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wirecase.errors import WirecaseError
from wirecase_cli.reports.drawing import safe

_FIRST = ("http2", "grpc", "http", "tls", "tcp")
"""The layers that are shown first, by Wireshark's names."""
_LEFT = 5.0
"""Seconds that tshark has to end when the screen is left."""


@dataclass(slots=True)
class Page:
    """What is shown instead of the tables."""

    title: str
    lines: list[str] = field(default_factory=list)
    top: int = 0
    """The first line that is shown."""

    def move(self, lines: int) -> None:
        """Scroll."""
        self.top = max(min(self.top + lines, len(self.lines) - 1), 0)


class Dissector:
    """Asks tshark about one packet at a time, in a thread of its own, since everything before it is read, too."""

    def __init__(self, kept: Path | None, keylogs: Sequence[str], ports: Sequence[int]) -> None:
        self._kept = kept
        self._keylogs = keylogs
        self._ports = ports
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.page: Page | None = None
        """What is to be shown; None for the tables."""

    def ask(self, packet: int | None, port: int | None) -> None:
        """Dissect a packet of the kept capture; `port` carries HTTP/2."""
        if self._kept is None:
            self.page = Page("no capture is kept", ["Wireshark reads a file: begin with -o FILE to keep the capture."])
        elif packet is None:
            self.page = Page("no packet", ["This is not about a packet: nothing of the kind came."])
        elif self._thread is None or not self._thread.is_alive():
            self.page = Page(f"packet {packet}: tshark reads {safe(str(self._kept))} …")
            ports = {*self._ports, *((port,) if port is not None else ())}
            self._thread = threading.Thread(
                target=self._work, args=(self._kept, packet, ports), name="wirecase-dissect", daemon=True
            )
            self._thread.start()

    def leave(self) -> None:
        """Show the tables again."""
        self.page = None

    def close(self) -> None:
        """End it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_LEFT)

    def _work(self, kept: Path, packet: int, ports: set[int]) -> None:
        from wirecase.crosscheck import one_keylog
        from wirecase.sources.tshark import tshark
        from wirecase.sources.tshark.dissect import dissect
        from wirecase_cli.reports.dissection import text_lines

        asked = self.page
        try:
            program = tshark()
            with one_keylog(self._keylogs) as keylog:
                keys = [f"tls.keylog_file:{keylog}"] if keylog is not None else []
                layers = dissect(program, str(kept), packet, ports=ports, preferences=keys, stop=self._stop.is_set)
            # What the call is about comes first: the frame and its addresses are on the screen already.
            layers.sort(key=lambda layer: _FIRST.index(layer.name) if layer.name in _FIRST else len(_FIRST))
            lines = "".join(text_lines(layers, program.name, packet, secrets=False)).splitlines()
            page = Page(lines[0], lines[2:]) if layers else Page(f"packet {packet} is not in the capture yet")
        except WirecaseError as error:
            page = Page("it cannot be dissected", [safe(str(error), 400)])
        if self.page is asked:  # nobody left meanwhile
            self.page = page
