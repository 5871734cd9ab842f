"""Notes on GOAWAY, keepalive and the life of connections."""

from __future__ import annotations

from wirecase.explaining.notes.note import Note
from wirecase.rules import knobs

NOTES = {
    "goaway-race": Note(
        "GOAWAY whose last_stream_id is below the call's stream: the call was never processed.",
        ("server", "proxy"),
        "Read last_stream_id, code and debug data; how many requests, how old was the connection?",
        "Retry: it is safe. Let the server announce its end first (a GOAWAY with 2^31-1) and let clients rotate "
        "channels before the limit.",
    ),
    "goaway-max-requests": Note(
        "GOAWAY NO_ERROR after a round number of requests: last_stream_id 1999 is nginx's 1000, 19999 an ALB's 10,000.",
        ("proxy", "server"),
        "Count the requests on the connection.",
        "Raise the limit (nginx keepalive_requests; Envoy max_requests_per_connection; HAProxy "
        "tune.h2.fe.max-total-streams; an ALB's 10,000 is fixed), end client connections before it, or retry what was "
        "not processed.",
    ),
    "goaway-max-age": Note(
        "GOAWAY with debug data max_age, or at a round age of the connection.",
        ("server", "proxy"),
        "Compare the connection's age with MAX_CONNECTION_AGE or keepalive_time.",
        "Expected: let clients retry and reconnect; allow a grace period for open calls (grpc-go MaxConnectionAge and "
        "MaxConnectionAgeGrace; GRPC_ARG_MAX_CONNECTION_AGE_MS and GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS; Envoy "
        "max_connection_duration and drain_timeout; nginx keepalive_time).",
    ),
    "goaway-max-idle": Note(
        "GOAWAY with debug data max_idle.",
        ("server", "proxy"),
        "How long was the connection idle?",
        f"Expected. The limits: {knobs.IDLE}. Use keepalive if the connection must stay: {knobs.KEEPALIVE}.",
    ),
    "goaway-graceful-stop": Note(
        "GOAWAY NO_ERROR with graceful_stop, app_requested or session_timed_out.",
        ("server",),
        "Was the server being deployed or stopped?",
        f"Expected; retry what was not processed. A stop that loses no calls: {knobs.DRAIN}.",
    ),
    "goaway-single-shot": Note(
        "A GOAWAY without the announcing one before it, and streams lost.",
        ("proxy", "server"),
        "Which calls were sent while the GOAWAY was under way?",
        "Retry calls above last_stream_id; let the server send 2^31-1 first.",
    ),
    "goaway-too-many-pings": Note(
        "GOAWAY ENHANCE_YOUR_CALM (11) with debug data too_many_pings.",
        ("client",),
        "Measure the interval of the client's PINGs against the server's minimum (5 minutes by default).",
        f"No PINGs without calls. Lengthen the client's keepalive time ({knobs.KEEPALIVE}), or allow it at the server "
        f"({knobs.PING_LIMITS}).",
    ),
    "goaway-too-many-resets": Note(
        "GOAWAY with debug data too_many_resets, too_many_internal_resets or too_many_data_frames.",
        ("client", "server"),
        "Count resets on the connection; who sends them?",
        "Cancel fewer calls; raise the limit of the side that counts (h2: max_pending_accept_reset_streams).",
    ),
    "goaway-error": Note(
        "GOAWAY with an error code; its debug data often says why.",
        ("server", "client", "proxy"),
        "Read code and debug data, then the peer's last frames before it.",
        "Mend the breach that the code names.",
    ),
    "close-before-settings": Note(
        "The server accepts the TCP connection and closes it before its SETTINGS.",
        ("server", "proxy"),
        "Is it the right port, does it want TLS, is a backend behind the proxy up?",
        "Use the right port and TLS setting; mend the listener that closes.",
    ),
    "close-without-goaway": Note(
        "FIN or RST with streams open and no GOAWAY before it.",
        ("server", "proxy"),
        "Who closed, at what age, after how long a silence?",
        f"Shut down gracefully ({knobs.DRAIN}); look for crashes and for idle timeouts ({knobs.IDLE}).",
    ),
    "keepalive-unanswered": Note(
        "PING without its ACK, then the sender closes.",
        ("network", "server", "proxy"),
        "Capture at both ends: does the PING arrive?",
        "Look for a firewall or NAT that dropped the connection, or a server that hangs. The pings: "
        f"{knobs.KEEPALIVE}.",
    ),
    "idle-cut": Note(
        "Idle for a while, then RST or silence on the next use; 60 s is an ALB's, 350 s an NLB's, 75 s nginx's.",
        ("proxy", "network"),
        "Measure the idle time before the cut over several cases.",
        f"Send keepalive PINGs more often than that ({knobs.KEEPALIVE}), or raise the idle timeout: {knobs.IDLE}.",
    ),
    "h2-peer-speaks-http1": Note(
        "The answer to the HTTP/2 preface begins with HTTP/1. (or a proxy writes so between two frames later): its "
        "first three bytes as a frame length are 4740180, its fourth byte is frame type 80 ('P').",
        ("client", "proxy", "server"),
        "Read the status line that came back. At the beginning of the connection: is it the right port, and does that "
        "port speak h2c or only h2 with TLS? Later: which hop on the way wrote it?",
        "Point the client at the gRPC port; turn HTTP/2 on there (nginx: http2 on with grpc_pass; HAProxy: proto h2; "
        "Kestrel: Http2 protocols; Envoy: http2_protocol_options), also on each proxy in between.",
    ),
    "h2-bad-preface": Note(
        "The client's first 24 bytes are not the HTTP/2 preface.",
        ("client",),
        "Read its first bytes: HTTP/1, TLS, or something else?",
        "Use a gRPC client, and TLS where the port expects it.",
    ),
    "h2-not-http2": Note(
        "The server answers in another protocol: SSH, a database, mail.",
        ("client",),
        "Read the greeting.",
        "Use the right address and port.",
    ),
    "tls-plaintext-mismatch": Note(
        "One side sends TLS records (16 03, 15 03), the other plain bytes; a TLS record read as a frame has the "
        "length 1377027 (alert) or 1442561 (handshake).",
        ("client", "server"),
        "Read the first bytes of both directions.",
        "Use TLS on both ends or on none (https:// or http://, with_insecure or credentials).",
    ),
}
