"""Notes on the life of streams and on flow control."""

from __future__ import annotations

from wirecase.explaining.notes.note import Note
from wirecase.rules import knobs

_LEG = "Capture behind the proxy, or look into the server's log at this moment: who reset, and why?"

NOTES = {
    "rst-midbody": Note(
        "RST_STREAM from the server's side after response headers and before a status; its code is the hint: 2 is "
        "nginx's after a lost upstream, 0 is Envoy's default, 8 a timeout.",
        ("server", "proxy"),
        _LEG,
        f"Mend what broke the response off: an upstream that died, a crash of the handler, a timeout: {knobs.WAITS}.",
    ),
    "rst-before-headers": Note(
        "RST_STREAM from the server's side before any response headers.",
        ("server", "proxy"),
        _LEG,
        "As for a reset in the middle; retry only what may run twice.",
    ),
    "rst-refused-stream": Note(
        "RST_STREAM with REFUSED_STREAM (7): the request was not processed.",
        ("server", "proxy"),
        "Look at SETTINGS_MAX_CONCURRENT_STREAMS and the number of open streams, and whether the server is stopping.",
        f"Retry; use more connections, or raise the limit of concurrent streams: {knobs.CONCURRENCY}.",
    ),
    "rst-enhance-your-calm": Note(
        "RST_STREAM with ENHANCE_YOUR_CALM (11): the peer calls the load excessive.",
        ("client", "server"),
        "Count resets, PINGs and small frames on the connection before it.",
        "Reduce cancellations and PINGs, or raise the peer's limits.",
    ),
    "rst-flow-control": Note(
        "RST_STREAM with FLOW_CONTROL_ERROR (3).",
        ("server", "client"),
        "See the windows over time: who sent more than it was allowed?",
        "Upgrade the side that miscounts.",
    ),
    "rst-http11-required": Note(
        "RST_STREAM with HTTP_1_1_REQUIRED (13): the endpoint wants HTTP/1.1.",
        ("server", "proxy"),
        "Which hop sent it: often one that does NTLM or client certificates.",
        "Route gRPC past that hop, or let it speak HTTP/2.",
    ),
    "rst-protocol-error": Note(
        "RST_STREAM with PROTOCOL_ERROR (1): the sender says that the peer broke HTTP/2.",
        ("client", "server", "proxy"),
        "Look at the last frames before it: headers that are not allowed, content-length, a frame after the end.",
        "Mend the frame or header that is named; without one, upgrade the side that resets.",
    ),
    "rst-cancel-by-client": Note(
        "RST_STREAM with CANCEL (8) from the client.",
        ("client",),
        "Compare the call's age with its deadline; a proxy in between cancels for its own client.",
        "Often wished for; otherwise raise the deadline or mend what is slow.",
    ),
    "body-cut-connection": Note(
        "FIN or RST of TCP while the call's stream is open: no status, no RST_STREAM.",
        ("server", "proxy", "network"),
        "Who sent FIN or RST, and how old or idle was the connection? Capture behind the proxy, read its log.",
        "Look for restarts, timeouts and limits at the side that closed; retry calls that may run twice. Let it send "
        f"GOAWAY first: {knobs.DRAIN}.",
    ),
    "stream-no-response": Note(
        "The request is complete, nothing comes back, then a reset, a close or a deadline.",
        ("server", "proxy"),
        "Does the request arrive behind the proxy? Is the server busy?",
        f"Mend the server, or raise the timeout that ends the wait: {knobs.WAITS}.",
    ),
    "stream-stalled": Note(
        "Nothing comes any more with the stream open and room in the windows.",
        ("server", "proxy"),
        "Look at the other leg at the time of the last byte.",
        f"Mend what the server waits for; send keepalives on long streams. What ends them: {knobs.WAITS}.",
    ),
    "fc-stream-stalled": Note(
        "The stream's window is 0, more is owed, and no WINDOW_UPDATE comes.",
        ("client", "server"),
        "See the windows over time (wirecase show --call N): who stopped reading?",
        f"Read the messages faster, or give a larger window: {knobs.WINDOWS}.",
    ),
    "fc-connection-stalled": Note(
        "The connection's window is 0 and no WINDOW_UPDATE for stream 0 comes.",
        ("client", "proxy"),
        "See which stream's bytes nobody reads.",
        f"Read all streams, cancel those that nobody wants; give a larger connection window: {knobs.WINDOWS}.",
    ),
    "fc-violation": Note(
        "More DATA than the window allows.",
        ("server", "client"),
        "See the windows over time.",
        "Upgrade the sender: it miscounts.",
    ),
    "fc-overflow": Note(
        "WINDOW_UPDATE or SETTINGS takes a window over 2^31-1.",
        ("server", "client"),
        "Look at the increments before it.",
        "Mend the receiver's accounting.",
    ),
    "fc-zero-increment": Note(
        "WINDOW_UPDATE with an increment of 0.",
        ("server", "client"),
        "Which side sends it?",
        "Upgrade the side that sends it.",
    ),
    "fc-window-leak": Note(
        "The connection window does not come back to its size over completed streams.",
        ("client", "proxy"),
        "See the lowest window over time, and how many streams were reset.",
        "Upgrade the receiver: bytes of reset streams must be given back.",
    ),
    "max-concurrent-streams-wait": Note(
        "As many streams are open as SETTINGS_MAX_CONCURRENT_STREAMS allows; new calls wait.",
        ("server", "client"),
        "Compare the number of open streams with the setting (0 blocks everything).",
        f"Use more connections, end streams that nobody needs, or raise the limit: {knobs.CONCURRENCY}.",
    ),
    "stream-ids-exhausted": Note(
        "Stream ids come near 2^31.",
        ("client",),
        "How old is the connection?",
        "Open a new connection in time.",
    ),
    "open-stream-leak": Note(
        "The number of open streams grows with the connection's age.",
        ("client", "server"),
        "Which calls never end?",
        "Cancel or finish streams that are no longer read.",
    ),
    "call-end-unseen": Note(
        "The evidence shows a call's beginning and not its end.",
        ("unknown",),
        "Capture packets, or record until the call is over.",
        "Nothing to mend: it is a limit of the evidence.",
    ),
}
