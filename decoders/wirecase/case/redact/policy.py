"""What is kept and what is not: the policy, and the tables of field names behind its default.

Names are decided in this order: what the user named (`Policy.keep`), fields with a treatment of their own (hosts,
addresses, cookies, status), names that say that they hold a secret, the allow-list; everything else is metadata that
nobody vouched for, and its value is replaced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

Payloads = Literal["keep", "redact", "hash"]

PROTOCOL = frozenset((
    ":method", ":scheme", ":status", ":protocol", "content-type", "content-length", "content-encoding", "te",
    "trailer", "user-agent", "x-user-agent", "server", "via", "date", "age", "accept", "accept-encoding",
    "accept-language", "allow", "alt-svc", "cache-control", "vary", "expires", "last-modified", "pragma", "range",
    "expect", "upgrade", "connection", "proxy-connection", "keep-alive", "transfer-encoding", "http2-settings",
    "retry-after", "warning", "proxy-status", "priority", "x-powered-by", "x-content-type-options", "x-grpc-web",
    "strict-transport-security",
    "grpc-status", "grpc-encoding", "grpc-accept-encoding", "grpc-timeout", "grpc-message-type",
    "grpc-previous-rpc-attempts", "grpc-retry-pushback-ms", "grpc-internal-encoding-request",
    "connect-protocol-version", "connect-timeout-ms", "connect-content-encoding", "connect-accept-encoding",
))  # fmt: skip
"""Fields that protocols define and that say how a call was made and answered."""

CORRELATION = frozenset((
    "traceparent", "grpc-trace-bin", "x-request-id", "request-id", "x-correlation-id", "correlation-id", "b3",
    "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "uber-trace-id", "cf-ray",
    "x-amzn-trace-id", "x-amzn-requestid", "apigw-requestid", "x-amz-cf-id", "x-amz-request-id", "x-amz-id-2",
    "x-cloud-trace-context", "x-azure-ref", "x-ms-request-id", "x-kong-request-id", "x-varnish", "x-trace-id",
    "x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority",
))  # fmt: skip
"""Ids that find a call again in logs. They grant nothing, so they stay; the manifest names those that did."""

PROXIES = frozenset((
    "x-envoy-upstream-service-time", "x-envoy-overloaded", "x-envoy-ratelimited", "x-envoy-decorator-operation",
    "x-envoy-attempt-count", "x-envoy-expected-rq-timeout-ms", "x-envoy-immediate-health-check-fail",
    "x-kong-response-latency", "x-kong-proxy-latency", "x-kong-upstream-latency", "l5d-proxy-error",
    "l5d-proxy-connection", "x-squid-error", "x-traefik-error", "x-cache", "x-cache-hits", "x-cache-lookup",
    "cf-cache-status", "x-amz-cf-pop", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-scheme", "x-debug",
))  # fmt: skip
"""Fields that tell which proxy answered, and why."""

ALLOWED = PROTOCOL | CORRELATION | PROXIES

HOSTS = frozenset((":authority", "host", "x-forwarded-host", "x-forwarded-server", "x-original-host"))
"""Fields whose value is a host, with a port or without."""
URLS = frozenset(("location", "content-location", "referer", "origin"))
"""Fields whose value is a URL."""
ADDRESSES = frozenset((
    "x-forwarded-for", "x-original-forwarded-for", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "client-ip",
    "true-client-ip", "cf-connecting-ip", "fastly-client-ip", "x-envoy-external-address", "x-azure-clientip",
    "x-azure-socketip", "forwarded",
))  # fmt: skip
"""Fields whose values are addresses, separated by commas."""
COOKIES = frozenset(("cookie", "set-cookie"))

_SECRET = re.compile(
    r"(?:authorization|proxy-authorization|authentication-info|x-amz-security-token|x-goog-iam-authority-selector"
    r"|x-goog-iam-authorization-token|x-goog-authenticated-user.*|x-amz-content-sha256|x-forwarded-client-cert"
    r"|x-client-cert.*|x-ssl-client.*|x-endpoint-api-userinfo|x-jwt.*|sec-websocket-key"
    r"|(?:.*[-_.])?(?:auth|authorization|apikey|api[-_.]?key|token|secret|key|password|passwd|pwd|passphrase"
    r"|credentials?|session|sessionid|session[-_.]id|signature|sig|jwt|assertion|cookie|csrf|xsrf|otp|pin)"
    r"(?:[-_.](?:id|value|v?\d+))?)(?:-bin)?"
)


def is_secret_name(name: str) -> bool:
    """Tell whether a field's lower-case name says that its value is a secret, e.g. ``x-session-token``."""
    return _SECRET.fullmatch(name) is not None


@dataclass(slots=True, frozen=True)
class Policy:
    """What a case may tell."""

    payloads: Payloads = "redact"
    """``redact`` keeps lengths and structure of messages, ``hash`` also which values are equal, ``keep`` everything
    but what has the shape of a secret."""
    keep_metadata: frozenset[str] = ALLOWED
    """Lower-case names of fields whose values stay, apart from secrets, hosts and addresses in them."""
    keep_addresses: bool = False
    keep_hosts: bool = False
    keep: frozenset[str] = field(default_factory=frozenset)
    """What the user asked to keep by name: names of fields, or kinds of shapes such as ``jwt``."""
