"""Where connections are forwarded to: the addresses of a name, looked up again now and then, never in the way."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from wirecase.errors import InputError

_AGAIN = 30.0
"""Seconds between two look-ups of a name."""
Address = tuple[int, tuple[str, int]]
"""Family and socket address."""


class Targets:
    """The addresses of one server."""

    def __init__(self, host: str, port: int) -> None:
        """Look the name up. Raises InputError if it has no address."""
        self._host, self._port = host, port
        try:
            self._addresses = self._look_up()
        except OSError as error:
            raise InputError(f"{host} cannot be resolved: {error.strerror or error}") from error
        self._looked = time.monotonic()
        self._busy = False
        self._literal = len(self._addresses) == 1 and self._addresses[0][1][0] == host

    def __len__(self) -> int:
        """Return how many addresses there are."""
        return len(self._addresses)

    def address(self, number: int) -> Address:
        """Return one of them, the preferred one first."""
        if not self._literal and not self._busy and time.monotonic() - self._looked > _AGAIN:
            self._busy = True
            threading.Thread(target=self._refresh, daemon=True).start()
        addresses = self._addresses
        return addresses[number % len(addresses)]

    def reached(self, tries: int) -> None:
        """The address that was tried last has answered: it is the first one from now on."""
        if tries > 1:
            at = (tries - 1) % len(self._addresses)
            self._addresses = self._addresses[at:] + self._addresses[:at]

    def failed(self) -> None:
        """An address could not be reached: look the name up soon."""
        self._looked = min(self._looked, time.monotonic() - _AGAIN + 1)

    def _refresh(self) -> None:
        with contextlib.suppress(OSError):  # the old ones may still be right
            self._addresses = self._look_up()
        self._looked = time.monotonic()
        self._busy = False

    def _look_up(self) -> list[Address]:
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        if not found:
            raise OSError("no address")
        return [(family, (str(address[0]), int(address[1]))) for family, _, _, _, address in found]
