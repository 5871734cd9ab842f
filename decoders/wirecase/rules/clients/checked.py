"""Which clients were seen to say of which rule's faults what is written here.

The table is generated: ``tests/fidelity/run_sees.py --write`` lets the current version of each client meet the faults
live and writes it anew. It is not edited by hand.
"""

from __future__ import annotations

from dataclasses import replace

from wirecase.model import ClientSees
from wirecase.rules.clients.table import CURRENT

_CLIENTS = (
    "connect-go",
    "grpc-core (C++, Python)",
    "grpc-go",
    "grpc-java",
    "grpc-js",
    "grpclib",
    "tonic",
)
_SEEN = {
    "body-cut-connection": "xxxxxxx",
    "close-before-settings": "xxxxxxx",
    "fc-overflow": "xxxxxxx",
    "fc-stream-stalled": "xxxxxxx",
    "fc-zero-increment": "xxxxxxx",
    "goaway-error": "xxxxxxx",
    "goaway-race": ".xxxxxx",
    "goaway-too-many-pings": "xxxxxxx",
    "grpc-app-status": "xxxxxxx",
    "grpc-cardinality": "x.xxx.x",
    "grpc-deadline": "xxxxxxx",
    "grpc-decompress-failed": "xxxxxxx",
    "grpc-desync-midstream": "x.xxx.x",
    "grpc-encoding-unsupported": "xxxxxxx",
    "grpc-flag-without-encoding": "xxxxxxx",
    "grpc-http-content-encoding": "x.xxxxx",
    "grpc-invalid-compression-flag": "xxxxxxx",
    "grpc-length-is-text": "xxxxxxx",
    "grpc-local-reply": "xxxxxxx",
    "grpc-message-too-large": ".xxxx.x",
    "grpc-message-truncated": "xxxxxxx",
    "grpc-metadata-bad-bin": "xxxx..x",
    "grpc-status-in-open-headers": "xxxxxxx",
    "grpc-status-malformed": "xxxxxxx",
    "grpc-status-missing": "xxxxxxx",
    "grpc-trailers-not-final": "xxxxxxx",
    "h2-content-length-mismatch": "...xx.x",
    "h2-continuation-violation": "xxxx.xx",
    "h2-first-frame-not-settings": "xxxxx..",
    "h2-frame-size": "xxxxxxx",
    "h2-header-list-too-large": ".x.....",
    "h2-hpack-decode-error": "xxxx.xx",
    "h2-malformed-headers": "xxxxx.x",
    "h2-not-http2": "xxxxx.x",
    "h2-peer-speaks-http1": "xxxxxxx",
    "h2-stream-state-violation": "xxxxxxx",
    "http-1xx-end-stream": "xxxxxxx",
    "http-200-wrong-content-type": "xxxxxxx",
    "http-error-empty": "xxxxxxx",
    "http-error-with-body": "xxxxxxx",
    "max-concurrent-streams-wait": "xxxxxxx",
    "rst-before-headers": "xxxxxxx",
    "rst-enhance-your-calm": "xxxxxxx",
    "rst-flow-control": "xxxxxxx",
    "rst-http11-required": "xxxxxxx",
    "rst-midbody": "xxxxxxx",
    "rst-protocol-error": "xxxxxxx",
    "rst-refused-stream": "xxxxxxx",
    "stream-no-response": "xxxxxxx",
    "stream-stalled": "xxxxxxx",
    "tls-plaintext-mismatch": "xxxxx.x",
}
"""By rule: an x for each client, in that order, all of whose rows for the rule were right."""

CHECKED = {
    client: frozenset(rule for rule, seen in _SEEN.items() if seen[column] == "x")
    for column, client in enumerate(_CLIENTS)
}
"""Client -> rules all of whose rows for it were right, in code and words, in every session in which the rule fired."""


def marked(rule: str, rows: list[ClientSees]) -> list[ClientSees]:
    """Return a finding's rows, `checked` where this version of the client was seen to say so of the rule's faults."""
    return [replace(row, checked=row.checked and _is_checked(rule, row)) for row in rows]


def _is_checked(rule: str, row: ClientSees) -> bool:
    return row.version == CURRENT.get(row.client) and rule in CHECKED.get(row.client, ())
