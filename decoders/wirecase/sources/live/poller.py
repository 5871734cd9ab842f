"""What is ready: epoll where the system has it, poll elsewhere. Errors are told even of what nothing is asked of."""

from __future__ import annotations

import select

IN, OUT, ERR, HUP = 1, 4, 8, 16
"""The same numbers in epoll and in poll."""


class Poller:
    """Level-triggered readiness."""

    def __init__(self, *, epoll: bool | None = None) -> None:
        self._epoll = hasattr(select, "epoll") if epoll is None else epoll
        self._poll = select.epoll() if self._epoll else select.poll()
        self.register = self._poll.register
        self.modify = self._poll.modify
        self.unregister = self._poll.unregister

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Return (descriptor, events) of what is ready, after at most so many seconds."""
        return self._poll.poll(seconds if self._epoll else seconds * 1000)

    def close(self) -> None:
        """Let the descriptor go."""
        if isinstance(self._poll, select.epoll):
            self._poll.close()
