"""Sentences that proxies write themselves, who writes them, and what each asks for.

Read in the sources: Envoy ``source/common/http/utility.cc`` (reset reasons), ``conn_manager_impl.cc``, the router and
the filters rbac and fault, the JWT library's ``status.cc``; Kong ``kong/error_handlers.lua`` and
``kong/runloop/balancer/init.lua``; Linkerd ``linkerd/app/outbound/src/http/logical.rs``; Traefik
``pkg/server/service/loadbalancer``; httpd ``modules/http/http_protocol.c``. The rest are well-known pages.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Words(NamedTuple):
    """A sentence of a proxy."""

    pattern: re.Pattern[str]
    writer: str
    meaning: str
    fix: str
    unsent: bool = False
    """The proxy says that no server got the request."""
    grpc: bool = True
    """The proxy also puts it into a grpc-message."""


def _row(pattern: str, writer: str, meaning: str, fix: str, *, unsent: bool = False, grpc: bool = True) -> Words:
    return Words(re.compile(pattern, re.I), writer, meaning, fix, unsent, grpc)


_RESET = (
    r"upstream connect error or disconnect/reset before headers\. "
    r"(?:retried and the latest )?reset reason: (?:{}(?:[,.]|\s*\Z))"
)
_UPSTREAM = "Look at the upstream at this time: its health checks, its restarts, the end of its connections. "

WORDS: tuple[Words, ...] = (
    _row(_RESET.format("(?:remote |local )?connection failure"), "Envoy",
         "Envoy could not connect to the upstream (response flag UF).",
         "Check that the endpoint listens on that port, and TLS on both ends (the cluster's transport_socket, Istio's "
         "DestinationRule tls mode).", unsent=True),
    _row(_RESET.format("connection timeout"), "Envoy",
         "Envoy's connect to the upstream timed out (response flag UF).",
         "Check routing and firewalls to the endpoint; the cluster's connect_timeout.", unsent=True),
    _row(_RESET.format("connection termination"), "Envoy",
         "The upstream closed the connection under the request (response flag UC).",
         "Let Envoy drop idle connections before the server does: idle_timeout in the cluster's "
         "common_http_protocol_options below the server's (MaxConnectionIdle, keepalive_timeout); bound them with "
         "max_requests_per_connection; retry_on: reset-before-request,refused-stream."),
    _row(_RESET.format("remote refused stream reset"), "Envoy",
         "The upstream refused the stream (REFUSED_STREAM): it was not processed.",
         "retry_on: refused-stream; raise the server's max_concurrent_streams.", unsent=True),
    _row(_RESET.format("local refused stream reset|overload manager reset"), "Envoy",
         "Envoy itself refused the stream to the upstream: no capacity, or the overload manager acts.",
         "Raise max_concurrent_streams of the cluster's http2_protocol_options, or give Envoy more memory.",
         unsent=True),
    _row(_RESET.format("remote reset"), "Envoy", "The upstream reset the stream (response flag UR).",
         "Look into the server's log for why it reset the stream; retry_on: reset for calls that may run twice."),
    _row(_RESET.format("overflow"), "Envoy", "A circuit breaker of the cluster was open (response flag UO).",
         "Raise circuit_breakers thresholds (max_requests, max_pending_requests, max_connections), or add endpoints.",
         unsent=True),
    _row(_RESET.format("protocol error"), "Envoy",
         "What the upstream sent is not the protocol that Envoy speaks to it (response flag UPE).",
         "Set explicit_http_config.http2_protocol_options in the cluster's HttpProtocolOptions for a gRPC server "
         "(Istio: name the port grpc-… or set appProtocol: grpc)."),
    _row(r"upstream connect error or disconnect/reset before headers", "Envoy",
         "Envoy lost the upstream before response headers came.",
         _UPSTREAM + "Envoy's access log names the reason (response flags UF, UC, UR, UO)."),
    _row(r"\Ano healthy upstream\b", "Envoy", "No endpoint of the cluster is healthy (response flag UH).",
         "Check health_checks, outlier_detection (max_ejection_percent) and the endpoints of the cluster (Kubernetes: "
         "ready pods).", unsent=True),
    _row(r"\Aupstream request timeout\b", "Envoy", "The upstream did not answer within the route's timeout "
         "(response flag UT).",
         "Raise the route's timeout (0s for streams; max_stream_duration.grpc_timeout_header_max lets the client's "
         "grpc-timeout decide), or mend what is slow."),
    _row(r"\Astream timeout\Z", "Envoy", "Nothing moved on the stream for stream_idle_timeout (5 min by default).",
         "Raise stream_idle_timeout (HttpConnectionManager) or the route's idle_timeout, or send messages more often."),
    _row(r"\A(?:upstream max stream duration reached|downstream duration timeout)\Z", "Envoy",
         "The stream lasted longer than max_stream_duration.",
         "Raise max_stream_duration (route, or common_http_protocol_options of the connection manager or cluster)."),
    _row(r"\Aenvoy overloaded\Z", "Envoy", "Envoy's overload manager turned the request away (response flag OM).",
         "Give Envoy more memory, or raise the thresholds of envoy.overload_actions.stop_accepting_requests.",
         unsent=True),
    _row(r"\ARBAC: access denied", "Envoy", "A rule of the RBAC filter denies the request (Istio: an "
         "AuthorizationPolicy).", "Check the RBAC policy (Istio: AuthorizationPolicy) for this caller and path.",
         unsent=True),
    _row(r"\A(?:Jwt (?:is missing|is expired|not yet valid|verification fails|issuer is not configured|header|payload|"
         r"signature|is not in the form)|Audiences in Jwt are not allowed|Jwks (?:remote fetch is failed|doesn't have "
         r"key to match kid))", "Envoy",
         "The jwt_authn filter turned the token away (Istio: RequestAuthentication).",
         "Send a valid token; check issuer, audiences and jwksUri of jwt_authn (Istio: RequestAuthentication).",
         unsent=True),
    _row(r"\Alocal_rate_limited", "Envoy", "The local_ratelimit filter turned the request away.",
         "Raise its token_bucket, or slow the clients down.", unsent=True),
    _row(r"\Afault filter abort\Z", "Envoy", "The fault filter aborts requests on purpose (response flag FI).",
         "Take the fault injection out (Istio: VirtualService fault.abort).", unsent=True),
    _row(r"failure to get a peer from (?:the ring-balancer|retry handler)", "Kong",
         "Kong had no healthy target.", "Check the targets and health checks of the Kong upstream.", unsent=True),
    _row(r"An invalid response was received from the upstream server", "Kong",
         "Kong could not get a valid answer from its upstream.",
         _UPSTREAM + "The Kong service must have protocol grpc or grpcs."),
    _row(r"The upstream server is (?:timing out|currently unavailable)", "Kong", "Kong's upstream did not answer.",
         "Check connect_timeout, read_timeout and write_timeout of the Kong service, and its upstream."),
    _row(r"no Route matched with those values", "Kong", "No Kong route fits.",
         "Add a route with protocols grpc or grpcs for this path and host.", unsent=True),
    _row(r"\Alogical service [^\n]{0,200}: ", "Linkerd", "Linkerd's outbound proxy could not reach the service.",
         "Check the service's endpoints and policies (linkerd diagnostics endpoints).", unsent=True),
    _row(r"\Ano available server\s*\Z", "Traefik", "Traefik had no server for the service.",
         "Check the servers and health checks of the Traefik service (scheme h2c for gRPC without TLS).", unsent=True),
    _row(r"unable to service your\s+request due to maintenance downtime or capacity", "Apache httpd",
         "mod_proxy had no usable backend.", "Check the balancer's members; retry= of ProxyPass.", grpc=False),
    _row(r"The proxy server received an invalid\s+response from an upstream server", "Apache httpd",
         "mod_proxy could not read its backend's answer.", _UPSTREAM + "gRPC needs ProxyPass h2:// or h2c://.",
         grpc=False),
    _row(r"The (?:gateway|proxy server) did not receive a timely response", "Apache httpd",
         "mod_proxy's backend did not answer in time.", "Raise ProxyTimeout, or timeout= of ProxyPass.", grpc=False),
)  # fmt: skip


def known_words(text: str) -> Words | None:
    """Return what is known of a proxy's sentence, or None where it is nobody's."""
    return next((words for words in WORDS if words.pattern.search(text)), None)
