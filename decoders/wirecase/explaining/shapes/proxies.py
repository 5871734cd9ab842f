"""Lines of proxies: Envoy's replies and access logs, nginx's error log, HAProxy's termination states.

Envoy's response flags: its access log documentation. nginx: ``ngx_http_grpc_module.c`` and ``ngx_http_upstream.c``.
HAProxy: its configuration manual, "Session state at disconnection".
"""

from __future__ import annotations

from wirecase.explaining.shape import Shape
from wirecase.explaining.shapes.line import line

ENVOY, NGINX, HAPROXY, ACCESS = "Envoy", "nginx", "HAProxy", "an access log"

FLAGS = {
    "UF": ("tcp-refused=probable tcp-connect-timeout tls-handshake-failed grpc-local-reply",
           "Envoy could not connect to the upstream."),
    "UC": ("body-cut-connection=probable close-without-goaway proxy-upstream-race grpc-local-reply",
           "The upstream ended the connection under the call."),
    "UH": ("grpc-local-reply=probable http-error-with-body", "No upstream host was healthy."),
    "UO": ("grpc-local-reply=probable http-error-with-body", "A circuit breaker was open: too much was pending."),
    "UR": ("rst-before-headers=probable rst-midbody grpc-local-reply", "The upstream reset the stream."),
    "LR": ("rst-midbody=probable grpc-local-reply", "Envoy itself reset the connection to the upstream."),
    "UT": ("stream-no-response=probable grpc-local-reply", "The upstream did not answer within the route's timeout."),
    "DC": ("rst-cancel-by-client=probable body-cut-connection", "The client went away."),
    "DR": ("rst-cancel-by-client=probable", "The client reset the stream."),
    "NR": ("grpc-local-reply=probable http-error-empty http-error-with-body", "No route fits the request."),
    "NC": ("grpc-local-reply=probable", "The route's cluster does not exist."),
    "URX": ("grpc-local-reply=probable", "All retries, or connection attempts, were used up."),
    "RL": ("grpc-local-reply=probable", "The rate limit turned the request away."),
    "UAEX": ("grpc-local-reply=probable", "External authorization turned the request away."),
    "DPE": ("h2-malformed-headers=probable h2-stream-state-violation", "The client broke the protocol."),
    "UPE": ("h2-peer-speaks-http1=probable h2-malformed-headers", "The upstream broke the protocol."),
    "SI": ("stream-stalled=probable", "The stream was idle for too long."),
    "UMSDR": ("stream-stalled=probable grpc-deadline", "The stream reached its maximum duration."),
    "DT": ("grpc-deadline=probable", "The connection or request lasted too long."),
    "OM": ("grpc-local-reply=probable", "Envoy's overload manager turned the request away."),
    "DF": ("grpc-local-reply=probable", "The upstream's name could not be resolved."),
    "IH": ("http-error-empty=probable", "A header that must be strict had a bad value."),
}  # fmt: skip
"""Response flags of Envoy's access log: rules, meaning."""


def _flags() -> list[Shape]:
    out: list[Shape] = []
    for flag, (rules, meaning) in FLAGS.items():
        low = flag.lower()
        note = f"Envoy's response flag {flag}: {meaning}"
        out += [
            line(f" {low}", ENVOY, rules, note=note, weight=90, text=f'"POST … HTTP/2" <status> {flag}',
                 pattern=rf'http/[\d.]+" \d{{1,3}} (?:[a-z]{{2,5}},)*{low}(?=[\s,])'),
            line(f'"{low}', ENVOY, rules, note=note, weight=90, text=f'"response_flags":"{flag}"',
                 pattern=rf'"resp(?:onse)?_flags"\s?:\s?"(?:[a-z]{{2,5}},)*{low}(?=[",])'),
            line(flag, ENVOY, rules, note=note, weight=30, cased=True,
                 pattern=rf"(?:^|[Rr]esponse[ _]flags?:? ?)(?:[A-Z]{{2,5}},)*{flag}(?:,[A-Z]{{2,5}})*(?=$|[\s,;.)])"),
        ]  # fmt: skip
    return out


_REASONS = {
    "connection failure": "tcp-refused=probable tcp-connect-timeout tls-handshake-failed",
    "remote connection failure": "tcp-refused=probable tls-handshake-failed",
    "local connection failure": "tcp-connect-timeout=probable",
    "connection termination": "body-cut-connection=probable close-without-goaway proxy-upstream-race",
    "connection timeout": "tcp-connect-timeout=probable",
    "remote reset": "rst-before-headers=probable rst-refused-stream",
    "remote refused stream reset": "rst-refused-stream=probable",
    "local reset": "rst-midbody=probable",
    "protocol error": "h2-peer-speaks-http1=probable h2-malformed-headers",
    "overflow": "max-concurrent-streams-wait",
}
"""Envoy's reset reasons: what happened behind it."""

_ENVOY = (
    line("upstream connect error or disconnect/reset before headers", ENVOY, "grpc-local-reply=certain", weight=110,
         note="Envoy answered for the server: the sentence is its own."),
    line("no healthy upstream", ENVOY, "grpc-local-reply=certain", weight=100,
         note="Envoy answered for the server: none of its upstream hosts is healthy."),
    line("upstream request timeout", ENVOY, "grpc-local-reply=certain stream-no-response", weight=60),
    line("upstream_reset_before_response_started", ENVOY, "body-cut-connection rst-before-headers tcp-refused",
         weight=50, pattern=r"upstream_reset_before_response_started"),
    line("delayed connect error: 111", ENVOY, "tcp-refused=certain", weight=70),
    *(line(f"reset reason: {reason}", ENVOY, rules, weight=40 + len(reason)) for reason, rules in _REASONS.items()),
    *(line("upstream_reset_before_response_started{" + reason.replace(" ", sign) + "}", ENVOY, rules, weight=75,
           pattern=r"upstream_reset_before_response_started\{" + reason.replace(" ", sign))
      for reason, rules in _REASONS.items() for sign in "_ "),
    line("upstream_reset_after_response_started", ENVOY, "rst-midbody=probable body-cut-connection", weight=110,
         pattern="upstream_reset_after_response_started"),
)  # fmt: skip
_NGINX = (
    line("connect() failed (111", NGINX, "tcp-refused=certain http-error-with-body", weight=110,
         pattern=r"connect\(\) failed \(111: connection refused\) while connecting to upstream"),
    line("connect() failed (104", NGINX, "tcp-reset=probable http-error-with-body", weight=110),
    line("connect() failed (110", NGINX, "tcp-connect-timeout=certain", weight=110),
    line("connect() failed (113", NGINX, "tcp-connect-timeout=probable", weight=110),
    line("upstream prematurely closed connection while", NGINX,
         "body-cut-connection=certain close-without-goaway http-error-with-body", weight=110,
         note="The upstream ended the connection before its answer was complete."),
    line("upstream timed out", NGINX, "tcp-connect-timeout=certain", weight=110,
         pattern=r"upstream timed out \(110: [a-z ]+\) while connecting to upstream"),
    line("upstream timed out", NGINX, "stream-no-response=certain http-error-with-body", weight=110,
         pattern=r"upstream timed out \(110: [a-z ]+\) while reading response header from upstream"),
    line("upstream timed out", NGINX, "stream-stalled=certain rst-midbody", weight=110,
         pattern=r"upstream timed out \(110: [a-z ]+\) while (?:reading|sending) (?:request to )?upstream"),
    line("upstream rejected request with error", NGINX, "rst-before-headers=certain http-error-with-body", weight=110,
         pattern=r"upstream rejected request with error (?P<rst>\d{1,10})", note="RST_STREAM came from the upstream."),
    line("upstream sent goaway with error", NGINX, "goaway-error=certain", weight=110,
         pattern=r"upstream sent goaway with error (?P<rst>\d{1,10})"),
    line("upstream sent too large http2 frame", NGINX, "h2-frame-size=probable h2-peer-speaks-http1 h2-not-http2",
         weight=110, pattern=r"upstream sent too large http2 frame: (?P<framelength>\d{1,10})"),
    line("upstream sent frame for unknown stream", NGINX, "h2-stream-state-violation=probable", weight=110),
    line("upstream sent invalid header", NGINX, "h2-malformed-headers=probable", weight=80),
    line("upstream sent too big header", NGINX, "h2-header-list-too-large=probable http-error-with-body", weight=90),
    line("upstream violated connection flow control", NGINX, "fc-violation=certain", weight=110,
         pattern=r"upstream violated (?:connection|stream) flow control"),
    line("client intended to send too large body", NGINX, "http-error-with-body=probable", weight=90),
    line("no live upstreams while connecting to upstream", NGINX, "http-error-with-body=probable tcp-refused",
         weight=110),
    line("recv() failed (104", NGINX, "body-cut-connection=probable tcp-reset http-error-with-body", weight=100),
    line("peer closed connection in ssl handshake", NGINX, "tls-handshake-failed=probable", weight=90),
    line("ssl_do_handshake() failed", NGINX, "tls-plaintext-mismatch tls-alert tls-handshake-failed", weight=60),
)  # fmt: skip
_STATES = {
    "SC": "tcp-refused=probable tcp-connect-timeout", "SH": "body-cut-connection=probable http-error-with-body",
    "SD": "body-cut-connection=probable rst-midbody", "sC": "tcp-connect-timeout=probable",
    "sH": "stream-no-response=probable http-error-with-body", "sD": "stream-stalled=probable",
    "CD": "rst-cancel-by-client=probable body-cut-connection", "CH": "rst-cancel-by-client=probable",
    "cD": "stream-stalled=probable rst-cancel-by-client", "PR": "http-error-with-body=probable",
    "PH": "http-error-with-body=probable h2-malformed-headers",
}  # fmt: skip
"""The first two characters of HAProxy's termination state; a small letter is a timeout, a capital an abort."""
_HAPROXY = tuple(
    line(state, HAPROXY, rules, weight=70, text=f'<status> … {state}-- … "POST … HTTP/2.0"', cased=True,
         note=f"HAProxy's termination state {state}.",
         pattern=rf"(?:\s\d{{3}} \d+ \S+ \S+ |\[){state}(?:[A-Za-z-]{{2}})?(?:\]|\s\d+/\d+/)")
    for state, rules in _STATES.items()
)  # fmt: skip
_ACCESS = (
    line('http/2', ACCESS, "http-error-with-body=probable http-error-empty", weight=30,
         pattern=r'"post /[^"\s]{1,300} http/2(?:\.0)?" (?P<status>[45]\d\d) \d+'),
)  # fmt: skip

SHAPES: tuple[Shape, ...] = (*_flags(), *_ENVOY, *_NGINX, *_HAPROXY, *_ACCESS)
