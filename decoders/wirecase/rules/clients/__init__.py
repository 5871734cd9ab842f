"""What each client logs when it meets a fault: one function per kind of fault, its values filled in.

The words are those of tonic 0.14.9, grpc-go 1.85.0, grpcio 1.85.1, grpc-java 1.85.1, grpc-js 1.14.7, connect-go 1.21.1
and grpclib 0.4.9, which met the faults live (`checked` lists which), or were read in their sources and in that of
grpc-dotnet 2.66. A client that is left out of a list is one whose words are not known, or depend on what is not on the
wire. Where a call is made again by the client itself, a row tells what the lost attempt would have been.
"""

from wirecase.rules.clients.breaches import breach, first_frame_not_settings, interim_end, no_frames
from wirecase.rules.clients.messages import (
    bad_flag,
    bomb,
    broken_off,
    decompress_failed,
    encoding_unsupported,
    flag_without_encoding,
    message_too_large,
    no_message,
    truncated,
)
from wirecase.rules.clients.status import (
    answered,
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
    "answered",
    "bad_flag",
    "body_cut",
    "bomb",
    "breach",
    "broken_off",
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
    "interim_end",
    "keepalive",
    "legal_frames_rejected",
    "malformed_bin",
    "malformed_status",
    "malformed_timeout",
    "message_too_large",
    "missing_http_status",
    "missing_status",
    "no_alpn",
    "no_frames",
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
