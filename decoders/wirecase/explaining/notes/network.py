"""Notes on TCP, TLS and what only shows over many calls."""

from __future__ import annotations

from wirecase.explaining.notes.note import Note

_TREND = "Capture longer, with several of the events."

NOTES = {
    "tcp-refused": Note(
        "RST in answer to a SYN.",
        ("server", "client"),
        "Is the server listening on that address and port (ss -ltn)? Is the name resolved to the right address?",
        "Start the server, or mend address and port; take dead servers out of the proxy's upstreams.",
    ),
    "tcp-connect-timeout": Note(
        "SYN after SYN without any answer.",
        ("network", "server"),
        "Capture at the server: do the SYNs arrive?",
        "Open the firewall or security group; mend routing or the address.",
    ),
    "tcp-peer-silent": Note(
        "Data is sent again and again and nothing comes back.",
        ("network", "server"),
        "Capture at both ends; try smaller packets (MTU).",
        "Mend the path: a firewall that forgot the connection, an MTU black hole, a dead host.",
    ),
    "tcp-reset": Note(
        "RST of TCP without a FIN before it.",
        ("server", "proxy", "network"),
        "Who sent the RST (TTL, timing)? A middlebox has another TTL than the peer.",
        "Look at crashes, timeouts and limits of the side that sent it.",
    ),
    "tcp-retransmission-storm": Note(
        "A large share of the packets was sent again.",
        ("network",),
        "Capture at both ends and compare.",
        "Mend the lossy link.",
    ),
    "tcp-zero-window": Note(
        "The TCP receive window stays at 0.",
        ("client", "server"),
        "Is the receiving process busy or stopped?",
        "Let it read.",
    ),
    "tls-alert": Note(
        "A fatal TLS alert: 15 03 03 00 02 02 and its code.",
        ("client", "server"),
        "The alert's number says why: 42 to 48 certificates, 70 versions, 112 server name, 120 ALPN.",
        "Mend certificate, trust store, name, version or ALPN as the alert says.",
    ),
    "tls-handshake-failed": Note(
        "The connection ends before the TLS handshake is complete, without an alert.",
        ("server", "proxy", "client"),
        "Is it a TLS port? Does a proxy close connections whose server name it does not know?",
        "Use TLS on both ends; check SNI and the proxy's log.",
    ),
    "tls-no-alpn-h2": Note(
        "The server chose no protocol by ALPN, or not h2.",
        ("server", "proxy"),
        "openssl s_client -alpn h2 -connect HOST:PORT says what is chosen.",
        "Offer h2 by ALPN at the server or proxy (nginx: http2 on; Go: NextProtos; AWS NLB: ALPN policy HTTP2Only).",
    ),
    "tls-truncated": Note(
        "TCP ends without close_notify while a call is open.",
        ("server", "proxy", "network"),
        "Who closed, and after how long?",
        "Look at timeouts and crashes of the side that closed.",
    ),
    "periodic-failures": Note("Failures come at a regular interval.", ("proxy", "server"), _TREND,
                              "Find the timer with that period: an age limit, a deployment, a job."),
    "failures-by-request-count": Note("Connections fail after the same number of requests.", ("proxy", "server"),
                                      _TREND, "Raise the limit (nginx: keepalive_requests), or retry."),
    "failures-by-connection-age": Note("Connections fail at the same age.", ("proxy", "server"), _TREND,
                                       "Align the limits on connection ages; reconnect before them."),
    "latency-drift": Note("Calls take longer and longer.", ("server",), _TREND, "Look at the server's load."),
    "reset-rate-growth": Note("Resets become more frequent.", ("server", "client"), _TREND,
                              "Look at what changes with them."),
    "connection-churn": Note("Many connections with few calls each.", ("client",), _TREND,
                             "Share one channel instead of opening one per call."),
    "retry-storm": Note("The same calls again and again, more after each failure.", ("client",), _TREND,
                        "Limit retries with a budget and back off."),
    "bad-backend": Note("Failures come from one server among several.", ("server",), _TREND,
                        "Take that server out and look at it."),
    "pool-never-reused": Note("Connections are opened and not used again.", ("client",), _TREND,
                              "Reuse the channel or the pool."),
    "pool-never-recycled": Note("Connections are kept although they fail.", ("client", "proxy"), _TREND,
                                "Replace connections after errors and at an age."),
}  # fmt: skip
