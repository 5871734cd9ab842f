"""What clients log when TLS fails."""

from __future__ import annotations

from wirecase.grpc import status as s
from wirecase.model import ClientSees
from wirecase.rules.clients.table import CORE, GO, JS, says

_GO = 'connection error: desc = "transport: authentication handshake failed: {}"'


def no_alpn() -> list[ClientSees]:
    """The server chose no protocol."""
    return [
        says(GO, s.UNAVAILABLE, _GO.format("credentials: cannot check peer: missing selected ALPN property")),
        says(CORE, s.UNAVAILABLE, "Cannot check peer: missing selected ALPN property."),
    ]


def alert_from_server(code: int, name: str, *, complete: bool) -> list[ClientSees]:
    """The server ended TLS with an alert; `complete` says that the client thought the handshake was done."""
    told = name.replace("_", " ")
    go = f'connection error: desc = "error reading server preface: remote error: tls: {told}"'
    return [
        says(JS, s.UNAVAILABLE, f"No connection established. Last error: … alert {told} … SSL alert number {code}"),
        says(
            CORE,
            s.UNAVAILABLE,
            "Unwrap failed (TSI_DATA_CORRUPTED)" if complete else "Handshake read failed (TSI_PROTOCOL_FAILURE)",
            checked=complete,
        ),
        says(GO, s.UNAVAILABLE, go if complete else _GO.format(f"remote error: tls: {told}"), checked=False),
    ]


def handshake_cut() -> list[ClientSees]:
    """The server closed in the middle of the handshake, without an alert."""
    return [
        says(CORE, s.UNAVAILABLE, "Handshake read failed (Socket closed)"),
        says(GO, s.UNAVAILABLE, _GO.format("EOF"), checked=False),
    ]
