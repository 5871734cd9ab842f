"""Answers that are HTTP and no gRPC (gRPC's http-grpc-status-mapping; RFC 9110 section 15)."""

from __future__ import annotations

from peer import DONE, OPEN

from livebench.faults.messages import HTML, ONE
from livebench.faults.status import only
from livebench.server import Answer, Fault, Fin, Line


def page(code: int, text: bytes, kind: str = "text/plain", *extra: tuple[str, str]) -> Answer:
    """A whole page of its own length."""

    def answer(p: Line, stream: int, number: int) -> None:
        length = ("content-length", str(len(text)))
        p.send(p.headers(stream, [(":status", str(code)), ("content-type", kind), length, *extra]))
        p.send(p.data(stream, text, end=True))

    return answer


def empty(code: int, *extra: tuple[str, str]) -> Answer:
    """Headers that end the stream."""
    return only([(":status", str(code)), ("content-length", "0"), *extra])


def headers(*fields: tuple[str, str]) -> Answer:
    """These headers, then a good message and good trailers."""

    def answer(p: Line, stream: int, number: int) -> None:
        p.send(p.headers(stream, fields), p.data(stream, ONE))
        p.pause()
        p.send(p.headers(stream, DONE, end=True))

    return answer


def hints(p: Line, stream: int, number: int) -> None:
    """A legal informational answer before the real one."""
    p.send(p.headers(stream, [(":status", "103"), ("link", "</a.css>; rel=preload")]))
    p.pause()
    p.healthy(stream, "one")


def http1(p: Line) -> None:
    """An HTTP/1.1 server's answer to the preface."""
    p.exactly(24)
    p.send(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request")
    raise Fin


def http1_502(p: Line) -> None:
    """An HTTP/1.1 proxy's 502 in place of SETTINGS."""
    p.exactly(24)
    p.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n502 Bad Gateway")
    raise Fin


def http1_late(p: Line, stream: int, number: int) -> None:
    """HTTP/1.1 on a connection that had begun as HTTP/2."""
    p.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    raise Fin


def http1_midway(p: Line, stream: int, number: int) -> None:
    """The same after response headers and a message."""
    p.begin(stream, "one")
    p.pause()
    http1_late(p, stream, number)


TEXT_HTML = "text/html; charset=utf-8"
FAULTS = (
    Fault("http-502-flag-67", "502, 'Connection reset by upstream'", page(502, b"Connection reset by upstream")),
    Fault("http-502-flag-101", "502, 'error code: 502'", page(502, b"error code: 502")),
    Fault("http-502-html", "502, an HTML page", page(502, HTML, TEXT_HTML, ("server", "nginx"))),
    Fault("http-502-html-stream", "the same to a stream", page(502, HTML, TEXT_HTML), kind="server-stream"),
    Fault("http-502-empty", "502, empty", empty(502)),
    Fault("http-503-json", "503, JSON", page(503, b'{"error":"overloaded"}', "application/json", ("retry-after", "1"))),
    Fault("http-504-empty", "504, empty", empty(504)),
    Fault("http-500-empty", "500, empty", empty(500)),
    Fault("http-400-empty", "400, empty", empty(400)),
    Fault("http-401-empty", "401, empty", empty(401, ("www-authenticate", "Bearer"))),
    Fault("http-403-html", "403, HTML", page(403, b"<h1>Forbidden</h1>", TEXT_HTML)),
    Fault("http-404-text", "404, text", page(404, b"404 page not found\n")),
    Fault("http-413-empty", "413, empty", empty(413)),
    Fault("http-429-text", "429, text", page(429, b"slow down", "text/plain", ("retry-after", "5"))),
    Fault("http-431-empty", "431, empty", empty(431)),
    Fault("http-301", "a redirect", empty(301, ("location", "https://localhost/elsewhere"))),
    Fault("http-200-html", "200, an HTML page", page(200, HTML, TEXT_HTML)),
    Fault("http-200-json", "200, JSON", page(200, b'{"ok":true}', "application/json")),
    Fault("http-200-no-content-type", "200 without content-type", headers((":status", "200"))),
    Fault(
        "http-200-wrong-type-good-body",
        "text/plain over a good answer",
        headers((":status", "200"), ("content-type", "text/plain")),
    ),
    Fault(
        "http-502-grpc-status",
        "502 with grpc-status 14",
        only([(":status", "502"), OPEN[1], ("grpc-status", "14"), ("grpc-message", "gone")]),
    ),
    Fault("http-500-grpc-body", "500 over a good answer", headers((":status", "500"), OPEN[1])),
    Fault("http-missing-status", "headers without :status", headers(OPEN[1])),
    Fault("http-103-then-ok", "early hints, then a good answer", hints, control=True),
    Fault("http-103-end", "early hints that end the stream", only([(":status", "103")])),
    Fault("http1-400", "an HTTP/1.1 server", opening=http1),
    Fault("http1-502", "an HTTP/1.1 proxy's 502", opening=http1_502),
    Fault("http1-late", "HTTP/1.1 in reply to a request over HTTP/2", http1_late),
    Fault("http1-midway", "HTTP/1.1 behind a first message", http1_midway, kind="server-stream"),
)
