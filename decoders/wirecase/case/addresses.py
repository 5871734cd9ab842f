"""Addresses of a case: masked, and with server ports behind which tshark and Wireshark look for HTTP/2."""

from __future__ import annotations

from wirecase.case.redaction import Masks
from wirecase.model import CLIENT, SERVER

PORTS = (8080, 80, 8088, 3128, 3132, 5985, 11371, 2710, 2869, 1900)
"""Ports on which their HTTP dissector listens by default. It knows HTTP/2 by its preface; on others nothing does."""


class AddressBook:
    """Maps ``addr:port`` of the recording to that of the case, always the same for the same."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._known: dict[str, str] = {}
        self._taken: set[str] = set()
        self.ports: dict[str, int] = {}
        """Server endpoint of the case -> its recorded port, where another one is shown."""

    def __call__(self, address: str, side: int, recognised: bool = True) -> str:
        """Return the case's address for a client's or a server's.

        Where HTTP/2 will not be `recognised`, a server's port stays: behind the others it would be taken for HTTP/1.
        """
        known = self._known.get(address)
        if known is None:
            known = self._known[address] = self._new(address, side if recognised else CLIENT)
            self._taken.add(known)
        return known

    def _new(self, address: str, side: int) -> str:
        masked = self._masks.address(address)
        if side != SERVER:
            return masked
        host, _, port = masked.rpartition(":")
        if int(port) in PORTS and masked not in self._taken:
            return masked
        for other in PORTS:
            shown = f"{host}:{other}"
            if shown not in self._taken:
                self.ports[shown] = int(port)
                return shown
        return masked
