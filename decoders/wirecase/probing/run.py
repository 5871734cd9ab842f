"""The steps of a probe, one after the other, and the diagnosis of what they left on the wire."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from wirecase.http2.facts import MAX_CONCURRENT_STREAMS
from wirecase.model import Finding
from wirecase.pipeline import Options, diagnose
from wirecase.probing import connect as connecting
from wirecase.probing import grpcio
from wirecase.probing import hold as holding
from wirecase.probing.connect import UnreachableError
from wirecase.probing.model import Answer, Probe, Request, State
from wirecase.probing.peer import Peer, setting_name
from wirecase.probing.services import (
    HEALTH,
    LIST_SERVICES,
    NO_ROUTE,
    OWN_PATHS,
    REFLECTION,
    in_words,
    listed,
    optional,
    serving,
    unknown_method,
)
from wirecase.replay.caller.tap import Recorder

Progress = Callable[[str], None]
"""Told what is done now."""


def probe(request: Request, progress: Progress | None = None) -> tuple[Probe, Recorder]:
    """Look at a server. The recorder holds the recording until it is discarded.

    Ctrl-C ends it early, with what is known. Whatever the server does, nothing is raised for it.
    """
    progress = progress or (lambda _: None)
    found = Probe(request, time.time_ns())
    sock = _first_that_answers(found, progress)
    recorder = Recorder(request.target.address)
    found.recording = recorder.path
    if sock is None:
        return found, recorder
    steps = _Steps(found, recorder, progress, sock)
    try:
        steps.run()
    except KeyboardInterrupt:
        found.interrupted = True
    except UnreachableError as error:
        found.unreachable = str(error)
    finally:
        steps.close()
    recorder.finish()
    if steps.connections:
        found.diagnosis = diagnose(Options([recorder.path], ports=[request.target.port]))
        found.counted = [one for one in found.diagnosis.findings if _counts(one, found)]
    return found, recorder


def _first_that_answers(found: Probe, progress: Progress) -> socket.socket | None:
    """Connect to the first address of the name that takes a connection, and stay with it from there on."""
    request = found.request
    progress("connecting")
    for target in (request.target, *request.others):
        try:
            sock, seconds = connecting.tcp(target, request.timeout)
        except UnreachableError as error:
            found.unreachable = str(error)
            if request.others:
                found.add("connect", "note", f"TCP to {target.address}: {error}")
        except KeyboardInterrupt:
            found.interrupted = True
            return None
        else:
            found.add("connect", "ok", f"TCP to {target.address}", seconds)
            found.unreachable, request.target = "", target
            return sock
    return None


class _Steps:
    def __init__(self, found: Probe, recorder: Recorder, progress: Progress, sock: socket.socket) -> None:
        self._found = found
        self._request = found.request
        self._recorder = recorder
        self._progress = progress
        self._peers: list[Peer] = []
        self._sockets = [sock]
        self.connections = 0
        target = found.request.target
        default = f"[{target.host}]" if ":" in target.host else target.host
        usual = 443 if found.request.tls is not None else 80
        self._authority = found.request.authority or (default if target.port == usual else f"{default}:{target.port}")

    def close(self) -> None:
        """Close what is open."""
        for peer in self._peers:
            peer.close()
        for sock in self._sockets:
            sock.close()

    def run(self) -> None:
        """Do it all."""
        request, found = self._request, self._found
        peer = self._open(self._sockets[0], first=True)
        if peer is not None and self._greeted(peer):
            self._questions(peer)
            peer.close()
        if self._usable() and request.grpcio:
            self._progress("asking grpcio")
            self._recorder.adopt(grpcio.look(found, self._authority))
        if (request.hold or request.idle) and peer is not None and peer.settings is not None:
            self._progress("holding connections")
            holding.hold(found, self._connect_again)

    def _usable(self) -> bool:
        """An untrusted certificate ends the look: nothing is sent to a stranger."""
        tls = self._found.tls
        return tls is None or tls.trusted or (self._request.tls is not None and self._request.tls.insecure)

    # ---- connections -------------------------------------------------------------------------------------------

    def _dial(self) -> socket.socket:
        sock, _ = connecting.tcp(self._request.target, self._request.timeout)
        self._sockets.append(sock)
        return sock

    def _open(self, sock: socket.socket, *, first: bool) -> Peer | None:
        """Put TLS on, where it is asked for, and the recorder."""
        request = self._request
        if request.tls is not None:
            waiting = [sock]
            begun = time.monotonic()
            secured, facts = connecting.handshake(
                request.target, request.tls, request.timeout, lambda: waiting.pop() if waiting else self._dial()
            )
            if first:
                self._found.tls = facts
                self._tell_tls(time.monotonic() - begun)
            if secured is None:
                return None
            sock = secured
            self._sockets.append(sock)
        self.connections += 1
        peer = Peer(sock, self._recorder.open(_address(sock.getsockname())))
        self._peers.append(peer)
        return peer

    def _connect_again(self) -> Peer | None:
        try:
            peer = self._open(self._dial(), first=False)
        except UnreachableError as error:
            self._found.add("connect-again", "bad", f"a further connection could not be made: {error}")
            return None
        if peer is not None and peer.greet(self._request.timeout):
            return peer
        self._found.add("connect-again", "bad", "a further connection was accepted, and got no SETTINGS")
        return None

    # ---- what was seen -----------------------------------------------------------------------------------------

    def _tell_tls(self, seconds: float) -> None:
        found, facts = self._found, self._found.tls
        assert facts is not None
        agreed = " ".join(part for part in (facts.version, facts.cipher) if part)
        if not facts.trusted and facts.problem != "not checked":
            found.add(
                "tls", "bad", f"the certificate is not trusted: {facts.problem} (--ca FILE, or --insecure)", seconds
            )
        else:
            checked = "" if facts.trusted else ", certificate not checked"
            found.add("tls", "ok", f"{agreed}{checked}", seconds, version=facts.version, cipher=facts.cipher)
        if facts.days_left is not None:
            names = ", ".join(facts.names[:5]) or facts.subject
            left = f"ends {facts.not_after}, in {facts.days_left} days"
            if facts.days_left < 0:
                left = f"ended {facts.not_after}"
            state: State = "bad" if facts.days_left < 0 else "note" if connecting.ends_soon(facts) else "ok"
            found.add("certificate", state, f"for {names}; {left}")
        if facts.alpn == "h2":
            found.add("alpn", "ok", "h2")
        elif facts.version:
            said = f"{facts.alpn} was agreed on" if facts.alpn else "nothing was agreed on"
            found.add("alpn", "bad", f"{said}, not h2: most gRPC clients refuse such a server")

    def _greeted(self, peer: Peer) -> bool:
        """Exchange SETTINGS; say what came instead."""
        self._progress("exchanging SETTINGS")
        found = self._found
        begun = time.monotonic()
        if peer.greet(self._request.timeout):
            settings = {setting_name(code): value for code, value in (peer.settings or {}).items()}
            found.settings = settings
            shown = ", ".join(f"{name} {value}" for name, value in settings.items()) or "all defaults"
            zero = (peer.settings or {}).get(MAX_CONCURRENT_STREAMS) == 0
            found.add("settings", "bad" if zero else "ok", shown, time.monotonic() - begun)
            return True
        found.add("settings", "bad", _instead(peer, self._request.timeout))
        return False

    # ---- questions ---------------------------------------------------------------------------------------------

    def _questions(self, peer: Peer) -> None:
        found, request = self._found, self._request
        self._progress("asking")
        took = peer.ping(request.timeout)
        if took is not None:
            found.add("ping", "ok", "answered", took)
        else:
            found.add("ping", "bad", "the server closed the connection" if peer.ended else "not answered")
        answers = [self._ask("health", peer, HEALTH, b"", serving)]
        answers.append(self._reflect(peer))
        path = unknown_method(request.method)
        answers.append(self._ask("unknown-method", peer, path, b"", _unknown))
        if request.method is not None:
            self._ask("call", peer, request.method, request.data, _called)
        elif not any(one.is_grpc for one in answers):
            said = sorted({in_words(one) for one in answers})
            found.add("grpc", "bad", f"nothing here answers gRPC: {'; '.join(said[:3])}")

    def _ask(
        self, check: str, peer: Peer, path: str, data: bytes | None, judge: Callable[[Answer], tuple[State, str]]
    ) -> Answer:
        answer = self._call(peer, path, data)
        state, text = judge(answer)
        self._found.add(check, state, text, answer.seconds, path=path, grpc_status=answer.grpc_status,
                        http_status=answer.http_status, messages=answer.count)  # fmt: skip
        return answer

    def _call(self, peer: Peer, path: str, data: bytes | None) -> Answer:
        """Call on the first connection, or on a new one where that is over."""
        if peer.ended or peer.goaways:
            replaced = next((one for one in self._peers[1:] if not one.ended and not one.goaways), None)
            again = replaced or self._connect_again()
            if again is None:
                return Answer(how="closed")
            peer = again
        scheme = "http" if self._request.tls is None else "https"
        return peer.call(path, data, self._authority, scheme, self._request.timeout, self._request.metadata)

    def _reflect(self, peer: Peer) -> Answer:
        found = self._found
        for path in REFLECTION:
            answer = self._call(peer, path, LIST_SERVICES)
            names = listed(answer)
            if names is not None:
                found.services = names
                shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
                version = path.split(".")[2]
                found.add("reflection", "ok", f"{version}: {shown or 'no service'}", answer.seconds, services=names)
                return answer
            if not answer.is_grpc:
                break
        state, text = optional(answer)
        found.add("reflection", state, text, answer.seconds)
        return answer


def _unknown(answer: Answer) -> tuple[State, str]:
    """Judge how a method is answered that cannot exist."""
    if answer.grpc_status == 12 and answer.is_grpc:
        return "ok", in_words(answer)
    if answer.is_grpc and answer.how == "trailers":
        return "note", f"{in_words(answer)} (UNIMPLEMENTED is what gRPC demands)"
    if answer.http_status in NO_ROUTE:
        return "note", f"{in_words(answer)}: a proxy or web server answers for unknown paths"
    return ("untold" if answer.how == "timeout" else "bad"), in_words(answer)


def _called(answer: Answer) -> tuple[State, str]:
    if answer.how == "timeout":
        return "untold", in_words(answer)
    return ("ok" if answer.grpc_status == 0 and answer.is_grpc else "bad"), in_words(answer)


def _instead(peer: Peer, timeout: float) -> str:
    """Say what a server did that sent no SETTINGS."""
    if peer.goaways:
        return f"no SETTINGS, but {holding.goaway_words(peer.goaways[0])}"
    if peer.first.startswith(b"\x15\x03"):
        return "a TLS alert came: the server wants TLS here (--tls)"
    if peer.first.startswith(b"HTTP/1"):
        return f"HTTP/1 came: {peer.first.splitlines()[0].decode('latin-1')[:100]}"
    if peer.first:
        return f"no HTTP/2 came, but {len(peer.first)} bytes of something else: {peer.first[:24]!r}"
    if peer.ended == "rst":
        return "the server reset the connection before SETTINGS: it may want TLS here (--tls)"
    if peer.ended:
        return "the server closed the connection before SETTINGS: it may want TLS here (--tls)"
    return f"the server accepted the connection and sent nothing within {timeout:g} s"


def _counts(finding: Finding, found: Probe) -> bool:
    """Tell whether a finding says something about the server, not only about what we asked on purpose."""
    if finding.rule.startswith("obs-") or finding.severity == "info":
        return False
    path = finding.path
    own = path is not None and (path in OWN_PATHS or path == unknown_method(found.request.method))
    status = finding.details.get("http_status")
    answered = isinstance(status, int) and status in NO_ROUTE
    return not (own and (answered or _follows_from_no_route(finding, found)))


def _follows_from_no_route(finding: Finding, found: Probe) -> bool:
    """Tell whether a finding is the consequence of a page that says: no gRPC here."""
    seen: set[str] = set()
    cause = finding.caused_by
    by_id = {one.id: one for one in (found.diagnosis.findings if found.diagnosis is not None else ())}
    while cause is not None and cause not in seen:
        seen.add(cause)
        one = by_id.get(cause)
        if one is None:
            return False
        if one.details.get("http_status") in NO_ROUTE:
            return True
        cause = one.caused_by
    return False


def _address(name: tuple[object, ...]) -> str:
    """Return ``addr:port`` of a socket's name."""
    host, port = str(name[0]).partition("%")[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
