"""The fields of `envoy.data.tap.v3.TraceWrapper` (envoy/data/tap/v3/*.proto, Envoy 1.40) that are read."""

from __future__ import annotations

from wirecase.sources.forms.schema import Kind, Schema

TIMESTAMP: Schema = {1: Kind("seconds", "signed"), 2: Kind("nanos", "signed")}
_HEADER = {1: Kind("key", "bytes"), 2: Kind("value", "bytes"), 3: Kind("raw_value", "bytes")}
_HEADER_MAP = {1: Kind("headers", of=_HEADER, repeated=True)}
_BODY = {1: Kind("as_bytes", "bytes"), 2: Kind("as_string", "bytes"), 3: Kind("truncated", "bool")}
_SOCKET_ADDRESS = {2: Kind("address", "string"), 3: Kind("port_value", "int")}
_ADDRESS = {1: Kind("socket_address", of=_SOCKET_ADDRESS)}
_CONNECTION = {1: Kind("local_address", of=_ADDRESS), 2: Kind("remote_address", of=_ADDRESS)}
_HTTP_MESSAGE = {
    1: Kind("headers", of=_HEADER, repeated=True),
    2: Kind("body", of=_BODY),
    3: Kind("trailers", of=_HEADER, repeated=True),
    4: Kind("headers_received_time", of=TIMESTAMP),
}
_HTTP_BUFFERED = {
    1: Kind("request", of=_HTTP_MESSAGE),
    2: Kind("response", of=_HTTP_MESSAGE),
    3: Kind("downstream_connection", of=_CONNECTION),
    4: Kind("upstream_connection", of=_CONNECTION),
}
_HTTP_SEGMENT = {
    1: Kind("trace_id", "int"),
    2: Kind("request_headers", of=_HEADER_MAP),
    3: Kind("request_body_chunk", of=_BODY),
    4: Kind("request_trailers", of=_HEADER_MAP),
    5: Kind("response_headers", of=_HEADER_MAP),
    6: Kind("response_body_chunk", of=_BODY),
    7: Kind("response_trailers", of=_HEADER_MAP),
}
_EVENT = {
    1: Kind("timestamp", of=TIMESTAMP),
    2: Kind("read", of={1: Kind("data", of=_BODY)}),
    3: Kind("write", of={1: Kind("data", of=_BODY), 2: Kind("end_stream", "bool")}),
    4: Kind("closed", of={}),
    5: Kind("connection", of=_CONNECTION),
}
_SOCKET_BUFFERED = {
    1: Kind("trace_id", "int"),
    2: Kind("connection", of=_CONNECTION),
    3: Kind("events", of=_EVENT, repeated=True),
    4: Kind("read_truncated", "bool"),
    5: Kind("write_truncated", "bool"),
}
_SOCKET_SEGMENT = {
    1: Kind("trace_id", "int"),
    2: Kind("connection", of=_CONNECTION),
    3: Kind("event", of=_EVENT),
    4: Kind("events", of={1: Kind("events", of=_EVENT, repeated=True)}),
}
TRACE_WRAPPER: Schema = {
    1: Kind("http_buffered_trace", of=_HTTP_BUFFERED),
    2: Kind("http_streamed_trace_segment", of=_HTTP_SEGMENT),
    3: Kind("socket_buffered_trace", of=_SOCKET_BUFFERED),
    4: Kind("socket_streamed_trace_segment", of=_SOCKET_SEGMENT),
}
