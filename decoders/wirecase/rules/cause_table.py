"""What can follow from what: the table that `causes` links findings by."""

from __future__ import annotations

from typing import NamedTuple

MESSAGE = (
    "grpc-desync-midstream",
    "grpc-web-on-grpc",
    "grpc-http-content-encoding",
    "grpc-unframed-protobuf",
    "grpc-invalid-compression-flag",
    "grpc-length-is-text",
    "grpc-flag-without-encoding",
    "grpc-encoding-unsupported",
    "grpc-decompression-bomb",
    "grpc-decompress-failed",
    "grpc-message-too-large",
    "grpc-payload-undecodable",
)
HTTP = (
    "http-error-with-body",
    "http-error-empty",
    "http-200-wrong-content-type",
    "http-missing-status",
    "http-1xx-end-stream",
)
RESET = (
    "rst-midbody",
    "rst-before-headers",
    "rst-refused-stream",
    "rst-enhance-your-calm",
    "rst-flow-control",
    "rst-http11-required",
    "rst-protocol-error",
)
SILENT = ("stream-no-response", "stream-stalled")
STALL = ("fc-window-leak", "fc-connection-stalled", "fc-stream-stalled")
GOAWAY_REASON = (
    "goaway-error",
    "goaway-too-many-pings",
    "goaway-too-many-resets",
    "goaway-max-requests",
    "goaway-max-age",
    "goaway-max-idle",
    "goaway-single-shot",
    "goaway-graceful-stop",
)
GOAWAY_FATAL = GOAWAY_REASON[:3]
SPEAKS = ("tls-plaintext-mismatch", "h2-peer-speaks-http1", "h2-not-http2", "h2-bad-preface")
BREACH = (
    *SPEAKS,
    "h2-first-frame-not-settings",
    "h2-frame-size",
    "h2-continuation-flood",
    "h2-continuation-violation",
    "hpack-bomb",
    "h2-hpack-size-ignored",
    "h2-hpack-decode-error",
    "h2-header-list-too-large",
    "h2-malformed-headers",
    "h2-content-length-mismatch",
    "h2-stream-state-violation",
    "h2-flood",
    "h2-rapid-reset",
    "fc-violation",
    "fc-overflow",
    "fc-zero-increment",
    "grpc-trailers-not-final",
    "grpc-metadata-bad-bin",
    "h2-settings-not-acked",
)
STATUS = ("grpc-status-malformed", "grpc-status-in-open-headers", "grpc-trailers-not-final", "grpc-metadata-bad-bin")
NETWORK = ("tcp-peer-silent", "tcp-zero-window", "keepalive-unanswered", "idle-cut")
CUT = ("body-cut-connection", "close-without-goaway", "tcp-reset")
TLS = ("tls-no-alpn-h2", "tls-alert", "tls-handshake-failed")
REQUEST = ("grpc-timeout-malformed", "grpc-missing-te", "grpc-cardinality")
CONNECTION_BREACH = (
    *SPEAKS,
    "h2-first-frame-not-settings",
    "h2-frame-size",
    "h2-continuation-violation",
    "h2-hpack-decode-error",
    "h2-flood",
    "h2-rapid-reset",
    "h2-continuation-flood",
)
"""Breaches that end a connection, and so hit streams other than their own."""
NO_BACKEND = (
    "tcp-refused",
    *TLS,
    "close-before-settings",
    *SPEAKS,
    "body-cut-connection",
    "close-without-goaway",
    "tcp-reset",
    "idle-cut",
    "goaway-race",
    "goaway-error",
    "rst-refused-stream",
    "rst-before-headers",
    "keepalive-unanswered",
    "tcp-connect-timeout",
    "tcp-peer-silent",
    "stream-no-response",
    "stream-stalled",
    *STALL,
)
"""Faults of a backend leg for which a proxy answers in the backend's place, the likeliest first."""
BACKEND_BROKE_OFF = (
    "body-cut-connection",
    "rst-midbody",
    "close-without-goaway",
    "tcp-reset",
    "goaway-error",
    "keepalive-unanswered",
    "tcp-peer-silent",
    "stream-stalled",
    *STALL,
)
"""Faults of a backend leg in the middle of an answer that a proxy had begun to pass on."""
WAITS = frozenset(
    ("tcp-connect-timeout", "tcp-peer-silent", "keepalive-unanswered", "stream-no-response", "stream-stalled", *STALL)
)
"""Faults that consist of waiting: they lie a timeout before what they cause."""
LEGS = ("proxy-legs-disagree",)
RACE = ("proxy-upstream-race",)
"""What pairs of legs say, and so the best evidence of what lies behind an answer or a lost call."""
OWN_REASONS = frozenset(
    (
        "grpc-deadline",
        "grpc-message-too-large",
        "client-rejects-legal-frame",
        "idle-cut",
        "keepalive-unanswered",
        "h2-first-frame-not-settings",
        "close-before-settings",
        *SPEAKS,
        *GOAWAY_FATAL,
    )
)
"""Reasons of a side to end a call or a connection that are its own doing."""


class Row(NamedTuple):
    """What can explain a finding, by scope."""

    stream: tuple[str, ...] = ()
    """On the same stream."""
    connection: tuple[str, ...] = ()
    """On the same connection."""
    backend: tuple[str, ...] = ()
    """On the leg behind: a connection to another server at about the same time. The same rule there comes first."""
    server: tuple[str, ...] = ()
    """At the same server's address shortly before."""
    reaction: bool = False
    """One side's answer to the other's doing: the cause came before, and `details["by"]` differs where both say it."""


_BROKEN_ANSWER = (*MESSAGE, *HTTP, *STATUS)
_ENDS = (*RESET, "goaway-race", *GOAWAY_FATAL, *CUT, *SILENT, *STALL)
_PROVOKED = ("client-rejects-legal-frame", "grpc-message-truncated")
_RESET = (*BREACH, *_BROKEN_ANSWER, *_PROVOKED, *REQUEST)
_STRAY = ("h2-peer-speaks-http1", "h2-frame-size")
_RESET_CONNECTION = (*_STRAY, "h2-flood", "h2-rapid-reset", "fc-violation", "fc-overflow", "fc-zero-increment")

TABLE: dict[str, Row] = {
    # messages
    "grpc-invalid-compression-flag": Row((*HTTP, *MESSAGE[:4], *LEGS), backend=BACKEND_BROKE_OFF),
    "grpc-length-is-text": Row((*HTTP, *MESSAGE[:5], *LEGS), backend=BACKEND_BROKE_OFF),
    "grpc-desync-midstream": Row((*HTTP, *LEGS), backend=BACKEND_BROKE_OFF),
    "grpc-unframed-protobuf": Row((*HTTP, *LEGS)),
    "grpc-web-on-grpc": Row((*HTTP[:2], *LEGS)),
    "grpc-http-content-encoding": Row((*HTTP, *LEGS)),
    "grpc-message-truncated": Row(
        ("grpc-message-too-large", *_ENDS, *MESSAGE[:5], "rst-cancel-by-client", *BREACH, *LEGS),
        (*CUT, *GOAWAY_FATAL, *NETWORK, *CONNECTION_BREACH),
        BACKEND_BROKE_OFF,
    ),
    "grpc-cardinality": Row((*_BROKEN_ANSWER, *_ENDS, "grpc-message-truncated", "rst-cancel-by-client")),
    "grpc-decompress-failed": Row(("grpc-flag-without-encoding",)),
    "grpc-message-too-large": Row(("grpc-length-is-text",)),
    # status
    "grpc-status-missing": Row(
        (*HTTP, *MESSAGE, *_ENDS, *STATUS, *_PROVOKED, "rst-cancel-by-client", *BREACH, *LEGS),
        (*GOAWAY_FATAL, *CUT, *NETWORK, *CONNECTION_BREACH),
        BACKEND_BROKE_OFF,
    ),
    "grpc-app-status": Row((*MESSAGE, *REQUEST, *BREACH, "grpc-message-truncated", *CUT), GOAWAY_FATAL, reaction=True),
    "grpc-local-reply": Row((*LEGS, *REQUEST, *BREACH), backend=(*RACE, *NO_BACKEND)),
    "grpc-deadline": Row(
        (*SILENT, *STALL), (*_STRAY, *NETWORK[:2], *STALL, "max-concurrent-streams-wait"), ("tcp-connect-timeout",)
    ),
    # the HTTP response
    "http-error-with-body": Row((*LEGS, *REQUEST, *BREACH), backend=(*RACE, *NO_BACKEND)),
    "http-error-empty": Row((*LEGS, *REQUEST, *BREACH), backend=(*RACE, *NO_BACKEND)),
    "http-200-wrong-content-type": Row((*LEGS, *REQUEST, *BREACH)),
    "http-missing-status": Row(BREACH),
    # resets and ends
    **{rule: Row(_RESET, _RESET_CONNECTION, reaction=True) for rule in RESET},
    "rst-midbody": Row((*LEGS, *_RESET), _RESET_CONNECTION, BACKEND_BROKE_OFF, reaction=True),
    "rst-before-headers": Row((*LEGS, *_RESET), _RESET_CONNECTION, (*RACE, *NO_BACKEND), reaction=True),
    "rst-cancel-by-client": Row(
        ("grpc-deadline", *SILENT, *STALL, *_BROKEN_ANSWER, *_PROVOKED, *BREACH),
        _RESET_CONNECTION,
        reaction=True,
    ),
    "body-cut-connection": Row(
        (*RACE, *LEGS, *STALL, "grpc-decompression-bomb", "grpc-deadline", *BREACH),
        (
            *GOAWAY_FATAL,
            "close-before-settings",
            "idle-cut",
            "keepalive-unanswered",
            "client-rejects-legal-frame",
            *TLS,
            *BREACH,
            *_BROKEN_ANSWER,
        ),
        reaction=True,
    ),
    "close-without-goaway": Row(
        RACE, (*GOAWAY_FATAL, "idle-cut", "keepalive-unanswered", *TLS, *BREACH), reaction=True
    ),
    "tcp-reset": Row(
        RACE,
        (*GOAWAY_FATAL, "idle-cut", "keepalive-unanswered", "client-rejects-legal-frame", *TLS, *BREACH),
        reaction=True,
    ),
    "close-before-settings": Row((), SPEAKS, ("tcp-refused", "tcp-connect-timeout")),
    "stream-no-response": Row((*RACE, *STALL, *REQUEST, *BREACH), (*NETWORK[:3], *STALL, *CONNECTION_BREACH)),
    "stream-stalled": Row((*STALL, *BREACH), (*CONNECTION_BREACH, *NETWORK[:3], *STALL)),
    # TLS
    "tls-alert": Row((), ("tls-no-alpn-h2",)),
    "tls-handshake-failed": Row((), ("tls-no-alpn-h2",)),
    "tls-truncated": Row((), CUT),
    "h2-peer-speaks-http1": Row((), ("tls-no-alpn-h2",)),
    # the connection
    "tcp-refused": Row(server=("body-cut-connection", "close-without-goaway", "goaway-error")),
    "goaway-race": Row((), GOAWAY_REASON),
    "proxy-upstream-race": Row(("goaway-race",), (*GOAWAY_REASON, "idle-cut")),
    "goaway-error": Row(
        (),
        (*BREACH, *_BROKEN_ANSWER, "client-rejects-legal-frame", "keepalive-unanswered", *SILENT, *STALL, *CUT),
        reaction=True,
    ),
    "goaway-too-many-pings": Row((), ("h2-flood",), reaction=True),
    "goaway-too-many-resets": Row((), ("h2-rapid-reset", "h2-flood"), reaction=True),
    "keepalive-unanswered": Row((), ("tcp-peer-silent",)),
    "fc-stream-stalled": Row(
        ("fc-connection-stalled",), (*_STRAY, "fc-violation", "fc-window-leak", "tcp-zero-window")
    ),
    "fc-connection-stalled": Row((), ("fc-window-leak", "tcp-zero-window")),
    "h2-header-list-too-large": Row(("hpack-bomb",)),
    "h2-stream-state-violation": Row((), SPEAKS),
    "h2-continuation-violation": Row((), ("h2-continuation-flood",)),
    "h2-malformed-headers": Row(("h2-continuation-violation",)),
    # careless attackers keep no HPACK state
    "h2-hpack-decode-error": Row(("hpack-bomb",), ("h2-rapid-reset", "h2-flood", "h2-continuation-flood")),
    # clients
    "client-accepts-broken-bytes": Row((*MESSAGE, "grpc-message-truncated")),
}
"""Rule id -> what can explain it. A rule without a row is always a root."""
