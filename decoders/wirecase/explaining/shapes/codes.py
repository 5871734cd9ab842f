"""Lines that name an HTTP/2 error code, in the words and debug forms of each client.

Read in the sources of hyperium/h2 (``src/error.rs``, ``src/frame/reason.rs``), golang.org/x/net/http2, grpc/grpc,
netty and dotnet/runtime.
"""

from __future__ import annotations

from wirecase.explaining.shape import Shape
from wirecase.explaining.shapes.line import line
from wirecase.http2.facts import ERROR_NAMES

H2, GO, CORE, JAVA, JS, DOTNET, GRPCLIB = (
    "tonic", "grpc-go", "grpc-core (C++, Python)", "grpc-java", "grpc-js", "grpc-dotnet", "grpclib",
)  # fmt: skip

_REASONS = (
    "not a result of an error", "unspecific protocol error detected", "unexpected internal error encountered",
    "flow-control protocol violated", "settings ack not received in timely manner",
    "received frame when stream half-closed", "frame with invalid size",
    "refused stream before processing any application logic", "stream no longer needed",
    "unable to maintain the header compression context",
    "connection established in response to a connect request was reset or abnormally closed",
    "detected excessive load generating behavior", "security properties do not meet minimum requirements",
    "endpoint requires http/1.1",
)  # fmt: skip
"""What h2 prints for each error code."""

_RST = {
    1: "rst-protocol-error=probable h2-malformed-headers goaway-error",
    3: "rst-flow-control=probable fc-violation",
    7: "rst-refused-stream=probable goaway-race",
    8: "rst-midbody=probable rst-before-headers rst-cancel-by-client",
    11: "rst-enhance-your-calm=probable goaway-too-many-pings goaway-too-many-resets",
    13: "rst-http11-required=probable",
}


def by_code(code: int, *, before: bool = False) -> str:
    """Return the rules that a reset with `code` may stand for."""
    usual = "rst-before-headers=probable rst-midbody" if before else "rst-midbody=probable rst-before-headers"
    return _RST.get(code, usual)


def _local(code: int) -> str:
    if code == 6:
        return "h2-peer-speaks-http1=probable tls-plaintext-mismatch h2-not-http2 h2-frame-size"
    if code == 9:
        return "h2-hpack-decode-error=probable h2-hpack-size-ignored"
    if code == 3:
        return "fc-violation=probable fc-overflow"
    return "h2-malformed-headers h2-stream-state-violation h2-continuation-violation h2-content-length-mismatch"


def _h2() -> list[Shape]:
    out: list[Shape] = []
    for code, (name, words) in enumerate(zip(ERROR_NAMES, _REASONS, strict=True)):
        low = name.lower()
        goaway = (
            "goaway-race=probable goaway-graceful-stop body-cut-connection" if code == 0 else "goaway-error=probable"
        )
        said = f"The h2 crate's words for error code {code} ({name})."
        out += [
            line(words, H2, _local(6) if code == 6 else by_code(code), note=said, weight=60),
            line(words, H2, by_code(code), pattern=f"stream error received: {words}", weight=85, note=said),
            line(words, H2, goaway, pattern=f"connection error received: {words}", weight=85, note=said),
            line(
                words, H2, _local(code), pattern=f"(?:stream|connection) error detected: {words}", weight=85, note=said
            ),
            line(
                low,
                H2,
                by_code(code),
                weight=80,
                note=f"RST_STREAM {name} came from the peer.",
                pattern=rf"reset\(streamid\(\d+\), {low}, remote\)",
            ),
            line(
                low,
                H2,
                _local(code),
                weight=80,
                note=f"The client itself reset the stream with {name}.",
                pattern=rf"reset\(streamid\(\d+\), {low}, library\)",
            ),
            line(
                low,
                H2,
                goaway,
                weight=80,
                note=f"GOAWAY {name} came from the peer.",
                pattern=rf'goaway\(b"[^"]{{0,200}}", {low}, remote\)',
            ),
            line(
                low,
                H2,
                _local(code),
                weight=80,
                note=f"The client itself ended the connection with {name}.",
                pattern=rf'goaway\(b"[^"]{{0,200}}", {low}, library\)',
            ),
            line(
                low,
                GO,
                by_code(code),
                weight=60,
                pattern=rf"stream error: stream id \d+; {low}(?:; received from peer)?",
            ),
            line(
                low,
                DOTNET,
                by_code(code),
                weight=80,
                pattern=rf"http/2 server (?:closed the connection or )?reset the stream\. http/2 error code '{low}'",
            ),
            line(
                low,
                DOTNET,
                "goaway-race=probable goaway-error" if not code else "goaway-error=probable",
                weight=80,
                pattern=rf"http/2 server closed the connection\. http/2 error code '{low}'",
            ),
            line(
                low,
                DOTNET,
                _local(code),
                weight=82,
                pattern=rf"http/2 server sent invalid data on the connection\. http/2 error code '{low}'",
            ),
            line(low, JAVA, by_code(code), weight=70, pattern=rf"http/2 error code: {low} received rst stream"),
            line(
                low,
                JAVA,
                "goaway-race=probable" if not code else "goaway-error=probable",
                weight=70,
                pattern=rf"http/2 error code: {low} received goaway",
            ),
            line(
                low,
                JAVA,
                "goaway-race=probable" if not code else "goaway-error=probable",
                weight=70,
                pattern=rf"connection closed after goaway\. http/2 error code: {low}",
            ),
            line(
                f"nghttp2_{low}", JS, by_code(code), weight=62, pattern=rf"stream closed with error code nghttp2_{low}"
            ),
            line(
                low,
                GO,
                "goaway-race=probable goaway-max-requests goaway-graceful-stop"
                if not code
                else "goaway-error=probable",
                weight=90,
                pattern=rf"server sent goaway and closed the connection; laststreamid=\d+, errcode={low}",
            ),
            line(
                f'"http2_error":{code}',
                CORE,
                by_code(code),
                weight=66,
                pattern=rf'"description":"rst_stream".{{0,200}}?"http2_error":{code}(?!\d)',
            ),
            line(f"rst_stream with error code {code}", CORE, by_code(code), weight=46),
            line(
                f"rst_stream with code {code}",
                JS,
                by_code(code) if code else "grpc-status-missing=probable rst-midbody",
                weight=44,
            ),
        ]
        if "_" in name:
            out.append(
                line(low, "HTTP/2", "goaway-race rst-midbody" if not code else by_code(code), weight=14, note=said)
            )
    return out


SHAPES: tuple[Shape, ...] = tuple(_h2())
