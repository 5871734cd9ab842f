"""Rules on TLS itself: alerts, handshakes that fail, the choice of protocol, and how a connection ends (RFC 8446).

Without keys an onlooker still reads what is sent in the clear: hellos, the alerts before the keys, the sizes of records
and who closed. What lies under encryption is claimed only where it was opened; what a record's size suggests is
called probable.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Evidence, Mark
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, point, show
from wirecase.rules.limits import OTHER, PREFACE, first_end, looks_like_frame, seconds, span, sure
from wirecase.rules.tls_advice import advice
from wirecase.rules.violations import WHO
from wirecase.session.run import ALERT_RECORD
from wirecase.session.session import Session
from wirecase.tls.facts import Alert, TlsFacts
from wirecase.tls.names import (
    CLOSE_NOTIFY,
    NO_APPLICATION_PROTOCOL,
    NO_RENEGOTIATION,
    TLS13,
    USER_CANCELED,
    alert_name,
    version_name,
)
from wirecase.tls.suites import suite_name

_HARMLESS = (CLOSE_NOTIFY, USER_CANCELED, NO_RENEGOTIATION)
NOT_SENT = "The handshake failed, so no call was sent on this connection."


def details(session: Session, tls: TlsFacts) -> dict[str, Any]:
    """Return what is known of a TLS connection, for a finding's details."""
    hello, server = tls.client_hello, tls.server_hello
    return {
        "tls_version": version_name(tls.version if tls.version is not None else hello.version if hello else None),
        "cipher": suite_name(tls.cipher) if server is not None else None,
        "sni": hello.sni if hello else None,
        "alpn_offered": list(hello.alpn) if hello and hello.alpn is not None else None,
        "alpn": tls.alpn,
        "handshake_complete": tls.complete,
    }


def _hello(tls: TlsFacts, side: int) -> list[Evidence]:
    excerpt = tls.sides[side].hello
    return [show(excerpt, f"{'Client' if side == CLIENT else 'Server'}Hello", role="context")] if excerpt else []


def _alert_evidence(alert: Alert) -> Evidence:
    """The alert's two bytes; under encryption they stand at no offset of the stream."""
    name = alert_name(alert.code)
    return Evidence(
        role="primary", note=f"TLS alert {alert.code}: {name}" + (" (encrypted)" if alert.encrypted else ""),
        source=alert.mark.source, direction=SIDE_NAMES[alert.side], packet=alert.mark.packet,
        offset=None if alert.encrypted else alert.mark.offset, length=2, data=alert.data, time=alert.mark.time,
    )  # fmt: skip


def _fatal(tls: TlsFacts) -> Alert | None:
    """Return the first alert that ends a connection (RFC 8446 §6.2: in TLS 1.3 all but two, whatever their level)."""
    for alert in tls.alerts:
        if alert.code not in _HARMLESS and (alert.level == 2 or (tls.version or 0) >= TLS13):
            return alert
    return None


def _after_the_end(session: Session, alert: Alert) -> bool:
    """Tell whether the peer had closed TCP before: OpenSSL 3 answers an end without close_notify with decode_error."""
    fin = session.side(OTHER[alert.side]).fin
    return fin is not None and (fin.source, fin.packet) < (alert.mark.source, alert.mark.packet)


def check_alert(session: Session) -> Iterator[Match]:
    """One side ended TLS with an alert."""
    tls = session.tls
    alert = _fatal(tls) if tls is not None else None
    if tls is None or alert is None or _after_the_end(session, alert):
        return
    told = advice(alert.code, alert.side)
    who, name = SIDE_NAMES[alert.side], alert_name(alert.code)
    complete = tls.complete and bool(session.calls_seen or tls.decrypted)
    when = "after the handshake" if tls.complete else "during the handshake"
    yield Match(
        severity="error",
        certainty="certain",
        who=told.who,
        title=f"The {who} ended TLS with alert {alert.code} ({name}) {when}",
        explanation=f"{told.text} The alert is certain; what lay behind it stands in the {who}'s log."
        + (
            " In TLS 1.3 the client takes the handshake for done before the server has checked its certificate, so "
            "this shows on the first read or write, not on connecting."
            if alert.side == SERVER and (tls.version or 0) >= TLS13 and tls.sides[CLIENT].finished is not None
            else ""
        ),
        evidence=[_alert_evidence(alert), *_hello(tls, CLIENT), *_hello(tls, SERVER)],
        details={
            "by": who,
            "alert": alert.code,
            "alert_name": name,
            "level": alert.level,
            **details(session, tls),
            "certificate_requested": tls.certificate_requested,
            "client_certificate": tls.client_certificate,
        },
        client_sees=clients.alert_from_server(alert.code, name, complete=tls.sides[CLIENT].finished is not None)
        if alert.side == SERVER
        else [],
        retry_safe="unknown" if complete else "yes",
        retry_why="Calls were under way on the connection." if session.calls_seen else NOT_SENT,
        fix=told.fix,
        key=(alert.side, alert.code),
        across=None if session.calls_seen else f"{session.server.address} {alert.side}",
    )


def _watched(session: Session, tls: TlsFacts) -> bool:
    """Tell whether the handshake was seen from its beginning, without holes, and is TLS on both sides."""
    tcp = session.tcp
    return (
        tcp.syn_seen
        and tls.client_hello is not None
        and not any(side.missing for side in tcp.sides)
        and all(side.packets for side in tcp.sides)
        and not any(side.problem == "not-tls" for side in tls.sides)
    )


def check_handshake(session: Session) -> Iterator[Match]:
    """A handshake came to nothing, and no alert says why."""
    tls = session.tls
    if tls is None or tls.complete or tls.decrypted or not _watched(session, tls) or _fatal(tls) is not None:
        return
    end = first_end(session)
    hello = tls.client_hello
    if end is None or hello is None:
        return
    side, how, mark = end
    who, tcp = SIDE_NAMES[side], "TCP FIN" if how == "fin" else "TCP RST"
    if tls.server_hello is None and not tls.sides[SERVER].bytes:
        yield _unanswered(session, tls, side, tcp, mark)
        return
    client, server = tls.sides
    if tls.hidden is not None:
        refused = client.records and client.problem and client.undecrypted == 5 + ALERT_RECORD
        if not refused or (tls.version or 0) < TLS13 or client.last is None:
            return
        yield _broken(
            session, tls, CLIENT, "probable", "The client answered the server's certificate with what looks like a TLS "
            "alert, and the handshake ended",
            "After the server's part of the handshake the client sent a single record, just as long as an encrypted "
            "alert, and nothing else. That is how a client refuses a certificate: an unknown CA, another name, an "
            "expired certificate. Its log, or the TLS keys, tell which.",
            point(client.last, "a record as long as an encrypted alert", side=CLIENT),
        )  # fmt: skip
        return
    if server.finished is not None and client.finished is None and side == CLIENT and tls.sides[SERVER].opened:
        text = (
            "The server's part of the handshake is complete; the client closed instead of its own part, without an "
            "alert. Clients that do not trust the certificate, or that gave up connecting, do this."
        )
    else:
        text = f"{tcp} came from the {who}'s side before the handshake was complete, and no alert tells why."
    yield _broken(
        session, tls, side, sure(session), f"The {who} broke off the TLS handshake ({tcp}) without an alert", text,
        point(mark, f"{tcp} from the {who}", side=side),
    )  # fmt: skip


def _unanswered(session: Session, tls: TlsFacts, side: int, tcp: str, mark: Mark) -> Match:
    """The server sent nothing in answer to the ClientHello."""
    asked = tls.sides[CLIENT].last
    waited = seconds(asked, mark)
    if side == SERVER:
        title = f"The server closed the connection ({tcp}) on the ClientHello, without an alert"
        text = (
            f"{tcp} came from the server's side {span(waited)} after the ClientHello, and not one byte of TLS. Servers "
            "that share no cipher suite or version with the client and send no alert do this, proxies without a "
            "backend or a certificate for the name asked for, and firewalls that look at SNI."
        )
    else:
        title = f"The server did not answer the ClientHello; the client gave up after {span(waited)}"
        text = (
            "The ClientHello was sent, the TCP connection stood, and no byte came back before the client closed. The "
            "server hangs, something on the path drops large packets, or a proxy waits for a protocol of its own."
        )
    return _broken(session, tls, side, sure(session), title, text, point(mark, tcp, side=side), server_silent=True)


def _broken(
    session: Session, tls: TlsFacts, side: int, certainty: Any, title: str, text: str, evidence: list[Evidence],
    *, server_silent: bool = False,
) -> Match:  # fmt: skip
    hello = tls.client_hello
    shown = [suite_name(one) for one in (hello.ciphers if hello else ())][:20]
    return Match(
        severity="error",
        certainty=certainty,
        who=["server", "proxy", "network"] if server_silent else [WHO[side], WHO[OTHER[side]]],
        title=title,
        explanation=text,
        evidence=[*evidence, *_hello(tls, CLIENT), *_hello(tls, SERVER)],
        details={"by": SIDE_NAMES[side], **details(session, tls), "ciphers_offered": shown},
        client_sees=clients.handshake_cut() if side == SERVER else [],
        retry_safe="yes",
        retry_why=NOT_SENT,
        fix="Compare what the client offers (versions, cipher suites, SNI) with what the server accepts: "
        "openssl s_client -connect HOST:PORT -servername NAME -alpn h2. Look at the server's log at this time.",
        key=(side, server_silent),
        across=f"{session.server.address} {side}",
    )


def check_alpn(session: Session) -> Iterator[Match]:
    """HTTP/2 was not agreed on by ALPN (RFC 9113 §3.2)."""
    tls = session.tls
    if tls is None or tls.client_hello is None:
        return
    offered = tls.client_hello.alpn
    refused = next((a for a in tls.alerts if a.code == NO_APPLICATION_PROTOCOL and a.side == SERVER), None)
    server = session.first_bytes[SERVER]
    if refused is not None:
        names = ", ".join(offered or ()) or "none"
        yield _alpn(
            session, tls, "error", f"Client and server have no protocol in common (ALPN): the client offers {names}",
            f"The server answered the offer of {names} with the alert no_application_protocol (RFC 7301 §3.2).",
            [_alert_evidence(refused), *_hello(tls, CLIENT)], ["server", "client"],
        )  # fmt: skip
    elif offered is not None and "h2" in offered and tls.alpn_known and tls.alpn != "h2":
        chosen = tls.alpn or "none"
        if tls.alpn is not None and "h2" not in offered[:1] and session.protocol == "http1":
            return  # a client of HTTP/1.1 that would have taken HTTP/2
        works = session.protocol == "h2" and session.calls_ok > 0
        if session.protocol == "http1" and any(name.startswith("http/1") for name in offered):
            return
        yield _alpn(
            session, tls, "info" if works else "error",
            f"The server did not agree to HTTP/2: ALPN chosen is {chosen}, offered were {', '.join(offered)}",
            "gRPC over TLS needs the server to choose h2 by ALPN. "
            + ("HTTP/2 was spoken all the same; " if session.protocol == "h2" else "")
            + "grpc-go from 1.67 on and gRPC's C core refuse such a connection, other clients may fall back to "
            "HTTP/1.1.",
            [*_hello(tls, SERVER), *_hello(tls, CLIENT)], ["server", "proxy"],
        )  # fmt: skip
    elif (offered is None or "h2" not in offered) and server is not None and not looks_like_frame(server.data):
        client = session.first_bytes[CLIENT]
        if tls.decrypted and client is not None and client.data.startswith(PREFACE):
            yield _alpn(
                session, tls, "error", "The client speaks HTTP/2 and did not offer it by ALPN",
                f"The client offered {', '.join(offered or ()) or 'no protocol'} and then sent the HTTP/2 preface; the "
                "server answered with something else. Servers that speak both choose by ALPN (RFC 9113 §3.2).",
                [*_hello(tls, CLIENT), show(server, "the server's answer", role="context")], ["client"],
            )  # fmt: skip


def _alpn(
    session: Session, tls: TlsFacts, severity: Any, title: str, text: str, evidence: list[Evidence], who: list[Any]
) -> Match:  # fmt: skip
    for one in evidence[:1]:
        one.role = "primary"
    return Match(
        severity=severity,
        certainty="certain",
        who=who,
        title=title,
        explanation=text,
        evidence=evidence,
        details={"by": "client" if who == ["client"] else "server", **details(session, tls)},
        client_sees=clients.no_alpn() if tls.alpn_known and tls.alpn is None else [],
        retry_safe="yes",
        retry_why="No call was processed on the connection."
        if not session.calls_seen
        else "Whatever was sent before was answered.",
        fix="Let the server offer h2: 'http2 on' beside 'listen … ssl' in nginx, 'alpn h2' on the bind line of "
        "haproxy, alpn_protocols: [h2] in Envoy, NextProtos in Go, an HTTP/2 listener or target group on a load "
        "balancer.",
        across=f"{session.server.address} {severity}",
    )


def check_truncated(session: Session) -> Iterator[Match]:
    """FIN without close_notify beside a body that was cut off (RFC 8446 §6.1)."""
    tls = session.tls
    if tls is None or not session.rules_fired.get("body-cut-connection"):
        return
    for side in (SERVER, CLIENT):
        facts, sent = session.side(side), tls.sides[side]
        if facts.fin is None or sent.close_notify is not None or sent.problem is not None or not sent.opened:
            continue
        if facts.missing or sent.failed or _fatal(tls) is not None:
            continue
        who = SIDE_NAMES[side]
        cut = sent.unfinished
        yield Match(
            severity="warning",
            certainty="certain",
            who=["server", "proxy", "network"] if side == SERVER else ["client", "network"],
            title=f"The {who} ended TCP without TLS's close_notify",
            explanation=f"A {who} that closes in order says so with the alert close_notify before its FIN. Here FIN "
            "came without it, beside a call that was cut off: the process died, or something between cut the "
            "connection; it was no orderly end."
            + (f" The last record broke off after {cut[0]:,} of {cut[1]:,} bytes." if cut else ""),
            evidence=[
                *point(facts.fin, f"TCP FIN from the {who}", side=side),
                *point(sent.last, f"the {who}'s last TLS record", side=side, role="context"),
            ],
            details={"by": who, "how": "fin", "record_bytes": cut[0] if cut else None,
                     "record_length": cut[1] if cut else None, **details(session, tls)},
            retry_safe="unknown",
            retry_why="What the peer had processed is not known.",
            fix="Look for a crash or kill of the process at this time, and for what lies between.",
            key=side,
        )  # fmt: skip


RULES: tuple[Rule, ...] = (
    Rule(
        id="tls-alert",
        title="TLS ended with an alert",
        summary="One side ended the handshake or the connection with a fatal alert.",
        references=("RFC 8446 §6.2", "RFC 5246 §7.2"),
        scope="session",
        check=check_alert,
    ),
    Rule(
        id="tls-handshake-failed",
        title="The TLS handshake failed",
        summary="The connection ended before the TLS handshake was complete, and no alert says why.",
        references=("RFC 8446 §2", "RFC 5246 §7.3"),
        scope="session",
        check=check_handshake,
    ),
    Rule(
        id="tls-no-alpn-h2",
        title="HTTP/2 was not agreed on (ALPN)",
        summary="Client and server did not choose h2 by ALPN, which gRPC over TLS needs.",
        references=("RFC 9113 §3.2", "RFC 7301 §3.2"),
        scope="session",
        check=check_alpn,
    ),
    Rule(
        id="tls-truncated",
        title="TLS was cut off",
        summary="TCP ended without close_notify while a call was open.",
        references=("RFC 8446 §6.1",),
        scope="session",
        check=check_truncated,
    ),
)
