"""What each client logs when it meets a fault: one function per kind of fault, its values filled in.

The words were read in the sources of hyperium/tonic (0.14.6), hyperium/h2, grpc/grpc-go (1.85-dev), grpc/grpc-java
(1.85-dev), grpc/grpc-node (grpc-js 1.13), grpc/grpc-dotnet (2.66-dev), connectrpc/connect-go (1.21-dev) and
vmagamedov/grpclib (0.4.9), or printed by grpcio 1.85.1 in captured sessions; rows that were not are marked unchecked.
A client that is left out of a list is one whose words are not known.
"""

from wirecase.rules.clients.messages import (
    bad_flag,
    bomb,
    decompress_failed,
    encoding_unsupported,
    flag_without_encoding,
    message_too_large,
    no_message,
    truncated,
)
from wirecase.rules.clients.status import (
    http_error,
    malformed_bin,
    malformed_status,
    malformed_timeout,
    missing_http_status,
    missing_status,
    status_in_open_headers,
    wrong_content_type,
)
from wirecase.rules.clients.streams import (
    body_cut,
    closed_before_settings,
    connect_timeout,
    deadline,
    first_frame_not_settings,
    goaway_error,
    goaway_race,
    h2_violation,
    header_list_too_large,
    keepalive,
    legal_frames_rejected,
    peer_speaks_http1,
    refused,
    rst_before_headers,
    rst_midbody,
    stalled,
    tls_to_plaintext,
    too_many_pings,
    trailers_not_final,
)
from wirecase.rules.clients.tls import alert_from_server, handshake_cut, no_alpn

__all__ = [
    "alert_from_server",
    "bad_flag",
    "body_cut",
    "bomb",
    "closed_before_settings",
    "connect_timeout",
    "deadline",
    "decompress_failed",
    "encoding_unsupported",
    "first_frame_not_settings",
    "flag_without_encoding",
    "goaway_error",
    "goaway_race",
    "h2_violation",
    "handshake_cut",
    "header_list_too_large",
    "http_error",
    "keepalive",
    "legal_frames_rejected",
    "malformed_bin",
    "malformed_status",
    "malformed_timeout",
    "message_too_large",
    "missing_http_status",
    "missing_status",
    "no_alpn",
    "no_message",
    "peer_speaks_http1",
    "refused",
    "rst_before_headers",
    "rst_midbody",
    "stalled",
    "status_in_open_headers",
    "tls_to_plaintext",
    "too_many_pings",
    "trailers_not_final",
    "truncated",
    "wrong_content_type",
]
