"""What a case can and cannot show of each fault."""

from __future__ import annotations

HPACK_RULES = frozenset({"h2-hpack-decode-error", "h2-hpack-size-ignored"})
"""Faults of header blocks: those of the connection are written without a dynamic table."""

WHOLE_CONNECTION = frozenset({
    "fc-connection-stalled", "fc-overflow", "fc-violation", "fc-window-leak", "fc-zero-increment",
    "goaway-max-requests", "h2-continuation-flood", "h2-flood", "h2-rapid-reset", "h2-stream-state-violation",
    "hpack-bomb", "max-concurrent-streams-wait",
})  # fmt: skip
"""Faults that only all streams of their connection show."""

_NO_TLS = "a case holds no TLS: what was inside of it is shown in the clear"
_ONE_LEG = "a case hides the addresses that tell the legs of a call apart"
NOT_CARRIED = {
    "tls-alert": _NO_TLS,
    "tls-handshake-failed": _NO_TLS,
    "tls-no-alpn-h2": _NO_TLS,
    "tls-truncated": _NO_TLS,
    "proxy-legs-disagree": _ONE_LEG,
    "proxy-upstream-race": _ONE_LEG,
    "tcp-peer-silent": "a case shows retransmissions only of the last segment",
    "tcp-retransmission-storm": "a case holds every segment once",
    "tcp-zero-window": "a case shows a closed window only at the very end",
}
"""Rule -> why a case may not show it."""
_LIMIT = "it is a limit of that capture, not a fault of a peer"


def why_not(rule: str) -> str | None:
    """Return why a case may not show what `rule` finds, None if it must."""
    if rule.startswith("obs-"):
        return _LIMIT
    return NOT_CARRIED.get(rule)
