"""Notes on status, trailers, metadata and HTTP responses."""

from __future__ import annotations

from wirecase.explaining.notes.note import Note
from wirecase.rules import knobs

NOTES = {
    "grpc-status-missing": Note(
        "HTTP 200 with application/grpc, then END_STREAM on DATA, or trailers without grpc-status.",
        ("proxy", "server"),
        "Capture on both sides of each proxy: on which leg are the trailers still there?",
        "Let every hop speak HTTP/2 to its upstream and pass trailers (nginx: grpc_pass instead of proxy_pass; ALB: "
        "protocol version gRPC; Envoy: http2_protocol_options on the cluster).",
    ),
    "grpc-status-malformed": Note(
        "grpc-status is not a decimal number of a known code, or stands more than once in one block.",
        ("server", "proxy"),
        "Read the trailers as they stand.",
        "Send 1 to 2 decimal digits, 0 to 16.",
    ),
    "grpc-status-in-open-headers": Note(
        "grpc-status stands in response HEADERS without END_STREAM.",
        ("server",),
        "Look at what follows on the stream: messages, or a second HEADERS frame?",
        "Send the status in trailers, or in a single HEADERS frame with END_STREAM.",
    ),
    "grpc-trailers-not-final": Note(
        "A second HEADERS frame of the response without END_STREAM.",
        ("server", "proxy"),
        "Look at the frames behind it on the stream.",
        "Set END_STREAM on the trailers.",
    ),
    "grpc-local-reply": Note(
        "HTTP 200 with grpc-status (mostly 14) and a proxy's sentence in grpc-message, in one HEADERS frame: "
        '"upstream connect error or disconnect/reset before headers", "no healthy upstream".',
        ("proxy", "server"),
        "Capture behind the proxy, or read its access log: Envoy's response flags (UF, UC, UH, URX) name the cause.",
        "Mend the upstream: endpoints that are up, the protocol (Envoy: http2_protocol_options on the cluster), idle "
        "timeouts of the proxy below those of the server.",
    ),
    "grpc-app-status": Note(
        "A well-formed non-zero grpc-status from the server: no fault of the wire.",
        ("server",),
        "Read grpc-message and the server's log.",
        "The application decides; the wire is fine.",
    ),
    "grpc-metadata-bad-bin": Note(
        "A field whose name ends in -bin holds something else than base64.",
        ("server", "client"),
        "Read the value in the header block.",
        "Let the library encode binary metadata; send no raw bytes or text in *-bin fields.",
    ),
    "grpc-timeout-malformed": Note(
        "grpc-timeout is not 1 to 8 digits and one of H M S m u n.",
        ("client", "proxy"),
        "Read the request headers; does a proxy rewrite them?",
        "Let the client's library write the deadline.",
    ),
    "grpc-missing-te": Note(
        "A gRPC request without te: trailers.",
        ("client", "proxy"),
        "Does a proxy drop the field?",
        "Send te: trailers: some servers refuse the request without it.",
    ),
    "grpc-deadline": Note(
        "The client resets the stream with CANCEL at about its grpc-timeout, or the status is DEADLINE_EXCEEDED.",
        ("client", "server"),
        "See where the time went: no response headers, a stalled stream, a window of 0?",
        "Mend what is slow, raise the deadline, and pass deadlines on. A proxy may end the wait earlier: "
        f"{knobs.WAITS}.",
    ),
    "http-error-with-body": Note(
        "A :status other than 200 with a body that is not gRPC: a page or a text of a proxy.",
        ("proxy", "server"),
        "Read the page and the headers server, via, cf-ray, x-envoy-*; capture behind that proxy, read its error log.",
        "Mend why the proxy could not pass the call on: the upstream refused, closed or timed out (502, 503, 504), "
        "credentials (401, 403), the route (404), sizes (413).",
    ),
    "http-error-empty": Note(
        "A :status other than 200 without any body.",
        ("proxy", "server"),
        "Read the response headers (server, via …) and that hop's log.",
        "As for an error with a body: mend why that hop could not pass the call on.",
    ),
    "http-200-wrong-content-type": Note(
        "HTTP 200 with a content-type that is not application/grpc: a web page, JSON, gRPC-Web.",
        ("proxy", "client", "server"),
        "Read content-type and the body; is this the right host, port and path?",
        "Point the client at the gRPC endpoint; route application/grpc to the gRPC server.",
    ),
    "http-missing-status": Note(
        "Response HEADERS without :status.",
        ("server", "proxy"),
        "Read the header block; is the capture complete from its start?",
        "Mend the server or proxy that wrote the block.",
    ),
    "http-1xx-end-stream": Note(
        "An interim response (1xx) that ends the stream.",
        ("server", "proxy"),
        "Which hop sends interim responses?",
        "Send a final response; END_STREAM is not allowed on 1xx.",
    ),
    "proxy-fingerprint": Note(
        "Headers or the text of a page that tell who answered: server, via, cf-ray, x-envoy-*, x-amzn-*.",
        ("proxy",),
        "Look into that hop's log, by the request id.",
        "Nothing to mend by itself: it tells where to look.",
    ),
    "proxy-legs-disagree": Note(
        "The same call on both sides of a proxy with a different status, other trailers or other bytes.",
        ("proxy",),
        "wirecase compare FRONT BACK shows the call on both legs.",
        "Let the proxy speak HTTP/2 to the server and pass trailers and statuses on: nginx grpc_pass without "
        "grpc_hide_header, grpc_intercept_errors and error_page; HAProxy proto h2 on the server line; Envoy "
        "http2_protocol_options on the cluster, no local_reply_config mapper; ALB protocol version GRPC.",
    ),
    "proxy-upstream-race": Note(
        "A 502 or 503 within milliseconds of the end of the proxy's connection to its upstream.",
        ("proxy", "server"),
        "Capture behind the proxy: FIN or GOAWAY just before the error.",
        "Keep idle connections shorter at the proxy than at the server (nginx keepalive_timeout of the upstream block; "
        "Envoy idle_timeout of the cluster; HAProxy pool-purge-delay), and let the proxy retry (nginx "
        "grpc_next_upstream error non_idempotent; Envoy retry_on; HAProxy retry-on) what may run twice.",
    ),
}
