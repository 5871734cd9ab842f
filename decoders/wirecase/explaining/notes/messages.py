"""Notes on length-prefixed messages and their compression."""

from __future__ import annotations

from wirecase.explaining.notes.note import Note
from wirecase.rules import knobs

NOTES = {
    "grpc-invalid-compression-flag": Note(
        "The first byte of a DATA payload (or of a later message prefix) is neither 0 nor 1; it is often text: 60 is "
        "'<' of an HTML page, 101 is 'e' of \"error code: 502\", 67 is 'C' of \"Connection …\".",
        ("proxy", "server"),
        "Capture in front of the client; the bytes behind the flag are the page, and the response headers "
        "(server, via, cf-ray) name who wrote it. Look into that hop's error log at the same time.",
        "Mend what the page complains about at the hop that wrote it; let the proxy answer gRPC requests with "
        "trailers (nginx: error_page with grpc-status; Envoy does so itself).",
    ),
    "grpc-desync-midstream": Note(
        "Valid messages first, then a prefix whose flag or length makes no sense, on the same stream.",
        ("server", "proxy"),
        "Compare both legs at the stream offset that the finding names: which hop inserted or lost bytes?",
        "Look for two writers on one stream, a filter that rewrites bodies, or a page appended to a response that had "
        "begun (Apache's mod_proxy).",
    ),
    "grpc-unframed-protobuf": Note(
        "DATA begins with a protobuf tag (0x08, 0x0a, 0x12 …) where the five bytes of the prefix are due.",
        ("server",),
        "See how the server writes its response; the body alone parses as protobuf.",
        "Put the prefix (one byte flag, four bytes length) before each message: let a gRPC library write the body.",
    ),
    "grpc-length-is-text": Note(
        "The four bytes that should be a message's length are printable text: 1869508197 is 'onne', 1752460652 is "
        "'html', 1920102258 is 'rror'.",
        ("proxy", "server"),
        "Capture in front of the client and read the body from its first byte: it is a page, a text or a proxy's "
        "message. Do not raise the size limit.",
        "Mend the hop that answers with text; the limit on message sizes is not the cause.",
    ),
    "grpc-web-on-grpc": Note(
        "A frame with flag 0x80 or 0x81, or content-type application/grpc-web*, on a call of native gRPC.",
        ("proxy", "client"),
        "Look at content-type in both directions, on both sides of the translating proxy.",
        "Send native gRPC to the native port, or put the gRPC-Web filter (Envoy: envoy.filters.http.grpc_web) on the "
        "route.",
    ),
    "grpc-http-content-encoding": Note(
        "content-encoding: gzip or br over the whole body, which begins with 1f 8b instead of a message prefix.",
        ("proxy",),
        "Compare the response headers before and behind the proxy.",
        "Turn HTTP compression off for application/grpc (nginx: gzip off or gzip_types; Envoy: compressor filter's "
        "content_type).",
    ),
    "grpc-flag-without-encoding": Note(
        "A message with flag 1 in a direction whose headers have no grpc-encoding, or identity.",
        ("server", "proxy"),
        "Look whether grpc-encoding is in the headers behind the server and gone behind the proxy.",
        "Let the sender announce grpc-encoding; let the proxy pass the header through.",
    ),
    "grpc-encoding-unsupported": Note(
        "grpc-encoding names an algorithm that the other side's grpc-accept-encoding does not list.",
        ("server", "client"),
        "Compare grpc-encoding with grpc-accept-encoding of the same call.",
        f"Install the codec on the receiver ({knobs.DECODERS}), or stop compressing.",
    ),
    "grpc-decompress-failed": Note(
        "A message with flag 1 whose payload does not inflate with the announced algorithm.",
        ("server", "proxy"),
        "Make sure that the capture has no gap there; compare both legs byte by byte.",
        "Check that the announced algorithm is the one used, and that nothing rewrites the body.",
    ),
    "grpc-decompression-bomb": Note(
        "A small compressed message that inflates past every limit.",
        ("server", "client"),
        "Look at the sizes on the wire and inflated; who may send such messages?",
        "Set limits on the inflated size at the receiver; treat the sender as hostile until explained.",
    ),
    "grpc-message-truncated": Note(
        "END_STREAM, a reset or a close comes inside a message prefix or inside a message.",
        ("server", "proxy", "network"),
        "See what ended the stream; with RST_STREAM or FIN look at the leg behind the proxy.",
        "Mend what ends the response early: a timeout of a proxy, a crash, a limit on body sizes.",
    ),
    "grpc-message-too-large": Note(
        "A declared message length over the receiver's limit (4 MiB unless configured), then the receiver's reset or "
        "status RESOURCE_EXHAUSTED (tonic: OUT_OF_RANGE).",
        ("client", "server"),
        "Read the declared length; if its four bytes are text, it is no length but a page.",
        "Send smaller messages or a stream of them, or raise the limit at the receiver (grpc-go: "
        "MaxCallRecvMsgSize; tonic: max_decoding_message_size; grpc.max_receive_message_length).",
    ),
    "grpc-cardinality": Note(
        "Status OK with no message, or more than one, on a call that must have exactly one.",
        ("server", "proxy"),
        "Give wirecase the schema (--proto, --protoset): then the method's kind is known.",
        "Let the handler send exactly one message; check that both sides use the same .proto.",
    ),
    "grpc-payload-undecodable": Note(
        "The framing is right, the payload does not parse as the type of the schema.",
        ("server", "client"),
        "Compare the schema on both sides; is it the right method and package version?",
        "Generate both sides from the same .proto; never reuse field numbers.",
    ),
    "client-accepts-broken-bytes": Note(
        "A broken message or a missing end with grpc-status 0; the client goes on as if all were well.",
        ("client",),
        "Compare what the application received with the bytes on the wire.",
        "Upgrade or patch the client; check message counts or sums in the application until then.",
    ),
    "client-rejects-legal-frame": Note(
        "Legal padding, an unknown frame type, a graceful GOAWAY or a 1xx response, and the client fails on it.",
        ("client",),
        "Replay the call to the client without the frame in question.",
        "Upgrade the client; until then let the proxy not send what it cannot take.",
    ),
}
