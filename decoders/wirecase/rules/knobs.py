"""Names of settings that several rules point at, as proxies, balancers and gRPC libraries call them.

nginx and HAProxy: their configuration manuals. Envoy: its API v3. ALB and NLB: load balancer and listener attributes of
the Elastic Load Balancing API. gRPC: ``grpc_types.h`` of C-core, the packages ``keepalive`` and ``grpc`` of grpc-go,
``NettyServerBuilder`` of grpc-java, ``Server`` of tonic.
"""

from __future__ import annotations

IDLE = (
    "nginx keepalive_timeout; HAProxy timeout client, timeout http-keep-alive; Envoy common_http_protocol_options."
    "idle_timeout; ALB idle_timeout.timeout_seconds; NLB tcp.idle_timeout.seconds; grpc-go MaxConnectionIdle, "
    "GRPC_ARG_MAX_CONNECTION_IDLE_MS"
)
"""What ends a connection without calls."""
KEEPALIVE = (
    "GRPC_ARG_KEEPALIVE_TIME_MS; grpc-go keepalive.ClientParameters.Time; grpc-java keepAliveTime; tonic "
    "http2_keep_alive_interval; grpc-js grpc.keepalive_time_ms"
)
"""How often a client pings."""
PING_LIMITS = (
    "grpc-go keepalive.EnforcementPolicy MinTime and PermitWithoutStream; GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_"
    "WITHOUT_DATA_MS; grpc-java permitKeepAliveTime, permitKeepAliveWithoutCalls"
)
"""How often a server lets it."""
CONCURRENCY = (
    "nginx http2_max_concurrent_streams; HAProxy tune.h2.max-concurrent-streams; Envoy http2_protocol_options."
    "max_concurrent_streams; grpc-go MaxConcurrentStreams; GRPC_ARG_MAX_CONCURRENT_STREAMS; grpc-java "
    "maxConcurrentCallsPerConnection; tonic max_concurrent_streams"
)
"""How many streams a server takes at once."""
WAITS = (
    "nginx grpc_read_timeout, grpc_send_timeout; HAProxy timeout server; Envoy route.timeout, stream_idle_timeout, "
    "max_stream_duration; ALB idle_timeout.timeout_seconds"
)
"""How long a proxy waits for its server."""
WINDOWS = (
    "grpc-go InitialWindowSize, InitialConnWindowSize; grpc-java flowControlWindow; tonic initial_stream_window_size, "
    "initial_connection_window_size; Envoy initial_stream_window_size, initial_connection_window_size; HAProxy "
    "tune.h2.initial-window-size"
)
"""How much may be under way."""
DRAIN = (
    "grpc-go GracefulStop; grpc-java Server.shutdown and awaitTermination; grpcio server.stop(grace); tonic "
    "serve_with_shutdown; nginx -s quit with worker_shutdown_timeout; HAProxy hard-stop-after; Envoy --drain-time-s; "
    "Kubernetes preStop and terminationGracePeriodSeconds"
)
"""How a server or proxy ends without losing calls."""
DECODERS = (
    "grpc-go: import google.golang.org/grpc/encoding/gzip; tonic: accept_compressed; grpc-java: DecompressorRegistry"
)
"""How a library learns a compression."""
METADATA = (
    "grpc.max_metadata_size in C-core; MaxHeaderListSize in grpc-go; maxInboundMetadataSize in grpc-java; "
    "http2_max_header_list_size in tonic; large_client_header_buffers in nginx; max_request_headers_kb in Envoy; "
    "tune.bufsize in HAProxy"
)
"""How large a header list may be."""
