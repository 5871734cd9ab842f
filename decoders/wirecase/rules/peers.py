"""Rules on who speaks what: HTTP/1, TLS or something else where HTTP/2 is due (RFC 9113 §3)."""

from __future__ import annotations

from collections.abc import Iterator

from wirecase.http2.facts import MAX_FRAME_SIZE
from wirecase.model import CLIENT, SERVER, Evidence, Excerpt
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, point, show
from wirecase.rules.limits import (
    DEFAULT_MAX_FRAME,
    HTTP1_METHODS,
    PREFACE,
    answered,
    begun,
    first_end,
    http1_between_frames,
    looks_like_frame,
    looks_like_http1_request,
    looks_like_tls,
    sure,
    whole,
)
from wirecase.session.session import Session

GREETINGS = (
    (b"SSH-", "an SSH server"),
    (b"220 ", "an SMTP or FTP server"),
    (b"220-", "an SMTP or FTP server"),
    (b"+OK", "a POP3 or Redis server"),
    (b"-ERR", "a Redis server"),
    (b"-DENIED", "a Redis server"),
    (b"* OK", "an IMAP server"),
    (b"RFB ", "a VNC server"),
    (b"AMQP", "an AMQP broker"),
    (b"INFO {", "a NATS server"),
    (b"EFATAL", "a PostgreSQL server"),
    (b"E\x00\x00\x00", "a PostgreSQL server"),
    (b"RTSP/", "an RTSP server"),
    (b"ERROR\r\n", "a memcached server"),
)
"""First bytes of servers that speak something else."""
PLAIN_ON_TLS = (
    b"plain HTTP request was sent to HTTPS",
    b"Client sent an HTTP request to an HTTPS server",
    b"speaking plain HTTP to an SSL-enabled server",
)
"""What nginx, Go and Apache answer to plaintext on a TLS port."""
_HTT = int.from_bytes(b"HTT", "big")
"""The length of a frame whose header is an HTTP/1 status line."""
RETRY_NO = "Nothing changes until the address, the port or the protocol does."


def _heads(session: Session) -> tuple[bytes, bytes, Excerpt | None, Excerpt | None]:
    """Return the first bytes of client and server, and where they stand."""
    client, server = session.first_bytes
    return client.data if client else b"", server.data if server else b"", client, server


def _from_start(session: Session, side: int) -> bool:
    """Tell whether the first bytes kept of a side are the first that it sent."""
    kept = session.first_bytes[side]
    return kept is not None and kept.mark.offset == 0 and whole(session, side)


def _evidence(first: Excerpt | None, note: str, context: Excerpt | None, context_note: str) -> list[Evidence]:
    found = [show(first, note)] if first else []
    return [*found, show(context, context_note, role="context")] if context else found


def _status(answer: bytes) -> int | None:
    """Return the status of an HTTP/1 answer."""
    words = answer[:64].split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() and len(words[1]) == 3 else None


def check_http1(session: Session) -> Iterator[Match]:
    """The server speaks HTTP/1: instead of HTTP/2 from the first byte on, or all of a sudden between two frames."""
    yield from _http1_from_the_start(session)
    yield from _http1_between_frames(session)


def _http1_between_frames(session: Session) -> Iterator[Match]:
    found = http1_between_frames(session)
    if found is None:
        return
    line = found.data.split(b"\r\n", 1)[0][:60].decode("latin-1")
    status = _status(found.data)
    limit = session.h2.halves[CLIENT].settings.get(MAX_FRAME_SIZE, DEFAULT_MAX_FRAME)
    first = answered(session)
    streams = session.h2.open_at_stray
    yield Match(
        severity="error",
        certainty="certain",
        who=["server", "proxy"],
        title=f"The server's side falls back to HTTP/1 in the middle of the connection: {line!r}",
        explanation="Where the next HTTP/2 frame is due, the server's side wrote an HTTP/1 answer. The client reads "
        "its first nine bytes as the header of a frame of 4,740,180 bytes ('HTT') "
        + (
            "and gives the connection up, with every call on it."
            if limit < _HTT
            else f"and waits for the rest of it, since it allows frames of up to {limit:,} bytes."
        )
        + " Something between the two ends speaks HTTP/1 by itself when it is in trouble or its patience is "
        "over: a proxy or load balancer that passes HTTP/2 on as bytes, a firewall that puts its own page in, or a "
        "server whose error path forgets which protocol it speaks.",
        evidence=[show(found, "HTTP/1 status line where a frame header is due")],
        details={
            "http_status": status,
            "status_line": line,
            "text": found.data.decode("latin-1"),
            "open_streams": len(streams),
            "by": "server",
        },
        client_sees=clients.http1_between_frames(limit=limit, head=None if first is None else not first)
        if limit < _HTT
        else [],
        retry_safe="unknown",
        retry_why="The HTTP/1 answer belongs to no stream: which of the open calls were processed is not on the wire.",
        fix="Find the hop that writes this status line (its log, or a capture on its other side), and have it speak "
        "HTTP/2 to its clients or pass the connection on untouched; look there for the timeout or the limit that made "
        "it answer by itself.",
        stream=streams[0][0] if streams else None,
        streams=streams[1:],
    )


def _http1_from_the_start(session: Session) -> Iterator[Match]:
    client, server, sent, got = _heads(session)
    if not server.startswith(b"HTTP/1.") or not client.startswith(PREFACE) or session.h2.upgraded:
        return
    head, _, body = server.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = _status(server)
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    name = fields.get("server")
    if any(text in server for text in PLAIN_ON_TLS):
        return  # tls-plaintext-mismatch says it better
    yield Match(
        severity="error",
        certainty=sure(session),
        who=["server", "client"],
        title=f"The server answers the HTTP/2 preface in HTTP/1: {lines[0][:60]!r}",
        explanation="The client spoke HTTP/2 with prior knowledge, as gRPC does without TLS, and the other end "
        "answered in HTTP/1"
        + (f" (it calls itself {name!r})" if name else "")
        + ". No call can work on this connection. Either the address leads to the wrong port, or HTTP/2 is not "
        "switched on there, or the port expects TLS (nginx answers HTTP/2 without TLS on a TLS port like this).",
        evidence=_evidence(got, "status line where a SETTINGS frame is due", sent, "the client's HTTP/2 preface"),
        across=session.server.address,
        details={
            "http_status": status,
            "status_line": lines[0][:200],
            "server": name,
            "text": body[:200].decode("latin-1"),
            "by": "server",
        },
        client_sees=clients.peer_speaks_http1(status),
        retry_safe="yes",
        retry_why="No call was processed, but " + RETRY_NO[0].lower() + RETRY_NO[1:],
        fix="Switch HTTP/2 without TLS on at that port ('listen … http2' or 'http2 on' in nginx, 'proto h2' on the "
        "bind line of haproxy, 'http2_protocol_options' or codec_type AUTO in Envoy, 'Protocols h2c' in Apache), or "
        "use the gRPC port.",
    )


def check_bad_preface(session: Session) -> Iterator[Match]:
    """The client of an HTTP/2 server does not begin with the preface."""
    client, server, sent, got = _heads(session)
    first = sent is not None and sent.mark.offset == 0 and begun(session, CLIENT)
    if not first or client[: len(PREFACE)] == PREFACE[: len(client)] or looks_like_tls(client):
        return
    http1 = looks_like_http1_request(client)
    if session.h2.upgraded or (http1 and session.client.missing):  # the hole may hold an upgrade
        return
    near = client.startswith(b"PRI * HTTP/2")
    if not near and not (got is not None and looks_like_frame(server) and server[3:4] in (b"\x04", b"\x07")):
        return
    line = client.split(b"\r\n", 1)[0][:60].decode("latin-1")
    asks = http1 and b"\r\nupgrade: h2c" in client.lower()
    shown = client[: len(PREFACE)].decode("latin-1")
    yield Match(
        severity="info" if asks else "error",
        certainty=sure(session),
        who=["client"],
        title=f"The client sends an HTTP/1 request ({line!r}) to an HTTP/2 server"
        if http1
        else f"The client's first bytes are {shown!r}, not the HTTP/2 preface",
        explanation="An HTTP/2 connection without TLS begins with the 24 bytes 'PRI * "
        "HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' (RFC 9113 §3.4). The server speaks HTTP/2 and must close the connection. "
        + (
            "The client asked for an upgrade to h2c in HTTP/1.1, which is legal but obsolete; this server begins with "
            "HTTP/2 at once."
            if asks
            else "A health check, a browser or a probe that speaks HTTP/1 often does this."
            if http1
            else "Either the client is broken or something changed its bytes."
        ),
        evidence=_evidence(sent, "where the preface is due", got, "the server speaks HTTP/2"),
        across=session.server.address,
        details={"by": "client", "text": line, "http1": http1},
        retry_safe="no",
        retry_why=RETRY_NO,
        fix="Make the client speak HTTP/2 with prior knowledge, or point it (and health checks) at an HTTP/1 port."
        if http1
        else "Fix or replace the HTTP/2 implementation of the client.",
    )


def check_not_http2(session: Session) -> Iterator[Match]:
    """The server answers the preface with something that is no HTTP at all."""
    client, server, sent, got = _heads(session)
    if not client.startswith(PREFACE) or not _from_start(session, SERVER) or session.h2.upgraded or len(server) < 3:
        return
    if server.startswith(b"HTTP/") or looks_like_tls(server) or looks_like_frame(server):
        return
    name = next((who for head, who in GREETINGS if server.startswith(head)), None)
    if name is None and server[3:5] == b"\x00\x0a":
        name = "a MySQL or MariaDB server"
    shown = server[:40].decode("latin-1")
    yield Match(
        severity="error",
        certainty=sure(session),
        who=["client", "server"],
        title=f"The server's first bytes are {shown!r}, not HTTP/2" + (f": {name}" if name else ""),
        explanation="The client sent the HTTP/2 preface; what came back is no HTTP/2 frame"
        + (f" but the greeting of {name}" if name else "")
        + ". Most likely the address or the port is wrong.",
        evidence=_evidence(got, "first bytes where a SETTINGS frame is due", sent, "the client's HTTP/2 preface"),
        across=session.server.address,
        details={"by": "server", "text": server[:64].decode("latin-1"), "protocol": name},
        client_sees=clients.no_frames(server),
        retry_safe="yes",
        retry_why="No call was processed, but " + RETRY_NO[0].lower() + RETRY_NO[1:],
        fix="Check the target's address and port.",
    )


def check_tls_mismatch(session: Session) -> Iterator[Match]:
    """TLS meets a plaintext port, or the reverse."""
    client, server, sent, got = _heads(session)
    if not _from_start(session, CLIENT) or sent is None or got is None:
        return
    plain_client = client.startswith((b"PRI * HTTP/2", *HTTP1_METHODS))
    if looks_like_tls(client) and not looks_like_tls(server):
        spoken = "HTTP/2" if looks_like_frame(server) else "HTTP/1" if server.startswith(b"HTTP/") else "plaintext"
        yield Match(
            severity="error",
            certainty=sure(session),
            who=["client", "server"],
            title=f"The client speaks TLS to a server that speaks {spoken} in plaintext",
            explanation=f"The client's first bytes are a TLS handshake record; the server's are {spoken} without TLS. "
            "The client will report a handshake failure ('wrong version number', 'first record does not look like a "
            "TLS handshake').",
            evidence=_evidence(sent, "TLS handshake record", got, f"{spoken} in plaintext"),
            across=session.server.address,
            details={"tls": "client", "plaintext": "server", "protocol": spoken},
            client_sees=clients.tls_to_plaintext(),
            retry_safe="yes",
            retry_why="No call was sent, but " + RETRY_NO[0].lower() + RETRY_NO[1:],
            fix="Use plaintext credentials (http://, insecure channel) for this port, or switch TLS on there.",
        )
    elif plain_client and (looks_like_tls(server) or any(text in server for text in PLAIN_ON_TLS)):
        alert = looks_like_tls(server)
        yield Match(
            severity="error",
            certainty=sure(session),
            who=["client", "server"],
            title="The client speaks plaintext to a TLS port" + (" and gets a TLS alert" if alert else ""),
            explanation="The client's first bytes are HTTP without TLS; the server answers with "
            + ("a TLS alert record" if alert else "the words of a TLS port")
            + ". No call can work on this connection.",
            evidence=_evidence(got, "TLS alert" if alert else "the server says that it expects TLS", sent, "plaintext"),
            across=session.server.address,
            details={"tls": "server", "plaintext": "client", "text": "" if alert else server[:200].decode("latin-1")},
            client_sees=clients.no_frames(server) if alert else clients.peer_speaks_http1(_status(server)),
            retry_safe="yes",
            retry_why="No call was processed, but " + RETRY_NO[0].lower() + RETRY_NO[1:],
            fix="Use TLS credentials (https://, secure channel) for this port, or the plaintext port.",
        )


def check_close_before_settings(session: Session) -> Iterator[Match]:
    """The server accepts the connection and closes it without a byte."""
    client, server, sent, _ = _heads(session)
    end = first_end(session)
    facts = session.server
    if sent is None or server or facts.delivered or facts.missing or session.one_direction or not session.tcp.syn_seen:
        return
    if end is None or end[0] != SERVER or facts.syn is None or not client.startswith(PREFACE):
        return
    how = "TCP FIN" if end[1] == "fin" else "TCP RST"
    yield Match(
        severity="error",
        certainty="certain",
        who=["server", "proxy"],
        title=f"The server accepted the connection and closed it ({how}) before it sent SETTINGS",
        explanation="The server took the TCP connection and the client's HTTP/2 preface, and closed without sending a "
        "single byte. Overloaded or shutting-down servers do this, a proxy without a backend, and servers that expect "
        "TLS or HTTP/1 here.",
        evidence=[
            *point(end[2], f"{how} from the server", side=SERVER),
            show(sent, "the client's HTTP/2 preface", role="context"),
        ],
        across=session.server.address,
        details={"by": "server", "how": end[1], "open_streams": session.h2.open_at_end_count},
        client_sees=clients.closed_before_settings(end[1]),
        retry_safe="unknown",
        retry_why="The server sent nothing, not even SETTINGS; it may have read the request, but "
        "it never answered on HTTP/2.",
        fix="Look at the server's log at this time; check its connection limits, and that TLS and HTTP/2 are "
        "configured alike on both ends.",
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="h2-peer-speaks-http1",
        title="The server speaks HTTP/1 to an HTTP/2 client",
        summary="The HTTP/2 preface is answered with an HTTP/1 status line, or one stands between two frames later.",
        references=("RFC 9113 §3.3", "RFC 9113 §3.4"),
        scope="session",
        check=check_http1,
    ),
    Rule(
        id="h2-bad-preface",
        title="The client does not begin with the HTTP/2 preface",
        summary="The first bytes to an HTTP/2 server are not the connection preface, e.g. an HTTP/1 request.",
        references=("RFC 9113 §3.4",),
        scope="session",
        check=check_bad_preface,
    ),
    Rule(
        id="h2-not-http2",
        title="The server speaks something else",
        summary="The HTTP/2 preface is answered by another protocol: SSH, a database, mail.",
        references=("RFC 9113 §3.4",),
        scope="session",
        check=check_not_http2,
    ),
    Rule(
        id="tls-plaintext-mismatch",
        title="TLS on one end, plaintext on the other",
        summary="One side speaks TLS and the other does not.",
        references=("RFC 8446 §5.1", "RFC 9113 §3.3"),
        scope="session",
        check=check_tls_mismatch,
    ),
    Rule(
        id="close-before-settings",
        title="Closed before SETTINGS",
        summary="The server accepts the connection and closes it without having sent anything.",
        references=("RFC 9113 §3.4",),
        scope="session",
        check=check_close_before_settings,
    ),
)
