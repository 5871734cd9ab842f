"""What single HTTP statuses tell an engineer whose gRPC call got them."""

from __future__ import annotations

from typing import NamedTuple

from wirecase.model import RetrySafe, Who


class Hint(NamedTuple):
    """What a status means for a gRPC call."""

    text: str
    fix: str
    who: tuple[Who, ...] = ()
    """Empty where the status does not tell."""
    retry: RetrySafe | None = None
    retry_why: str = ""


_AGAIN = "The same request would get the same answer."
_HINTS = {
    301: Hint("gRPC clients follow no redirects.", "Use the scheme, host and port that location names (often https).",
              ("client", "proxy"), "no", _AGAIN),
    400: Hint("The hop refused the request itself: headers that it does not take, or plain HTTP on a TLS port.",
              "Compare the request's headers and scheme with what that hop expects.", (), "no", _AGAIN),
    401: Hint("The credentials are missing, expired or not understood by the hop that answered.",
              "Send the credentials that www-authenticate asks for; renew tokens before they expire.",
              ("client",), "no", _AGAIN),
    403: Hint("The hop forbids the request: credentials, a firewall rule, or gRPC not being allowed there.",
              "Check the hop's access rules for this path and host.", ("proxy", "client"), "no", _AGAIN),
    404: Hint("No route of that hop fits the path or host.",
              "Check :path and :authority against the routes (a gateway may strip or need a prefix).",
              ("proxy", "client"), "no", _AGAIN),
    405: Hint("The hop does not take POST on this path: it is no gRPC route.",
              "Check the route; gRPC always uses POST.", ("proxy", "client"), "no", _AGAIN),
    408: Hint("The hop waited for the request's body and gave up.",
              "Raise its client timeout for streaming requests (nginx: client_body_timeout).", (), "unknown",
              "Part of the request may have been processed."),
    411: Hint("The hop wants a content-length, which streaming gRPC cannot give.",
              "Turn request buffering off for gRPC routes.", ("proxy",), "no", _AGAIN),
    413: Hint("The request is larger than the hop allows.",
              "Raise its limit (nginx: client_max_body_size 0 for gRPC; Envoy: buffer filter; ALB has none for gRPC).",
              ("proxy", "client"), "no", _AGAIN),
    415: Hint("The endpoint is no gRPC endpoint: it refuses content-type application/grpc.",
              "Check host, port and path: this server does not speak gRPC here.", ("client", "server"), "no", _AGAIN),
    426: Hint("The hop wants another protocol.", "Let it speak HTTP/2 to clients.", ("proxy",), "no", _AGAIN),
    429: Hint("The hop limits the rate of requests: it did not pass this one on.",
              "Back off (retry-after), spread the load, or raise the limit (Envoy: local_ratelimit; nginx: limit_req).",
              ("client", "proxy"), "yes", "The request was turned away before it was processed; wait before a retry."),
    431: Hint("The request's headers are larger than the hop allows.",
              "Shrink the metadata, or raise the limit (nginx: large_client_header_buffers; Envoy: "
              "max_request_headers_kb).",
              ("client", "proxy"), "no", _AGAIN),
    460: Hint("AWS ALB logs 460 where the client closed the connection before the idle timeout.",
              "Raise the client's deadline, or mend what is slow.", ("client",)),
    463: Hint("AWS ALB answers 463 to an x-forwarded-for with more than 30 addresses: a loop of proxies.",
              "Find the loop, or let a hop drop the header.", ("proxy",), "no", _AGAIN),
    464: Hint("AWS ALB answers 464 when the request's protocol does not fit the target group's protocol version.",
              "Set the target group's protocol version to GRPC (ProtocolVersion), and the listener to HTTPS.",
              ("proxy",), "no", _AGAIN),
    494: Hint("The request's headers are larger than nginx allows.",
              "Shrink the metadata, or raise large_client_header_buffers.", ("client", "proxy"), "no", _AGAIN),
    499: Hint("The client had gone away before the hop could answer.", "Raise the client's deadline.", ("client",)),
    502: Hint("The hop could not get a valid answer from its upstream: the connection was refused, reset, closed "
              "early, or not HTTP/2.",
              "Look into the hop's error log at this time. Typical: an idle upstream connection closed by the server "
              "(shorten the hop's idle timeout below the server's), a server that restarts, an upstream that speaks "
              "HTTP/1 (nginx: grpc_pass; HAProxy: proto h2; Envoy: http2_protocol_options; ALB: protocol version "
              "gRPC)."),
    503: Hint("The hop had no server to use, or is shedding load.",
              "Check the health checks and the number of ready servers behind the hop (nginx: max_fails, fail_timeout; "
              "HAProxy: check, maxconn, timeout queue; Envoy: outlier_detection, circuit_breakers; ALB: health "
              "checks of the target group)."),
    561: Hint("AWS ALB could not authenticate the user: the identity provider answered with an error.",
              "Look at the authenticate-oidc action of the listener's rule; gRPC clients cannot follow a login.",
              ("proxy",), "no", _AGAIN),
    504: Hint("The upstream did not answer the hop in time.",
              "Compare the hop's timeout with the call's (nginx: grpc_read_timeout; HAProxy: timeout server; Envoy: "
              "route "
              "timeout and max_stream_duration; ALB: idle_timeout.timeout_seconds)."),
}  # fmt: skip
_REDIRECTS = (301, 302, 303, 307, 308)
_CLOUDFLARE = {
    520: "Cloudflare got an empty or unknown answer from the origin.",
    521: "Cloudflare's connection to the origin was refused.",
    522: "Cloudflare's connection to the origin timed out.",
    523: "Cloudflare could not reach the origin.",
    524: "The origin did not answer Cloudflare within 100 s.",
    525: "The TLS handshake between Cloudflare and the origin failed.",
    526: "The origin's certificate is not valid for Cloudflare.",
    530: "Cloudflare could not resolve or serve the origin; the page names a 1xxx error.",
}
_ORIGIN_FIX = "Mend the origin behind Cloudflare; see its error log and the cf-ray id."


def hint_for(http_status: int, writer: str = "", text: str = "") -> Hint | None:
    """Return what a status means for a gRPC call, or None where nothing special is known."""
    if http_status in _CLOUDFLARE:
        return Hint(_CLOUDFLARE[http_status], _ORIGIN_FIX, ("server", "proxy"))
    if http_status == 403 and writer == "Cloudflare":
        return _HINTS[403]._replace(text="Cloudflare answers 403 when gRPC is not turned on for the zone.",
                                    fix="Turn gRPC on in the zone's network settings.")  # fmt: skip
    if http_status == 400 and "HTTP request to an HTTPS server" in text:
        return _HINTS[400]._replace(text="The port expects TLS and got plain HTTP.", fix="Use https for this port.",
                                    who=("client", "proxy"))  # fmt: skip
    return _HINTS.get(301 if http_status in _REDIRECTS else http_status)
