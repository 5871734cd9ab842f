"""Which keys open a side's next record: chosen by the client random, the epoch and the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecase.model import CLIENT, SERVER
from wirecase.tls import keylog
from wirecase.tls.facts import Problem
from wirecase.tls.kdf import expand_label, hash_size
from wirecase.tls.names import DRAFTS, TLS12, TLS13
from wirecase.tls.stream import Option, Stream

if TYPE_CHECKING:
    from wirecase.tls.facts import ClientHello, ServerHello
    from wirecase.tls.keylog import KeyStore
    from wirecase.tls.messages import Messages
    from wirecase.tls.suites import Suite

BLOCKED = frozenset(("hello", "early", "keys"))
"""What a side may have to wait for: the ServerHello, whether early data is taken, secrets."""
_KINDS = {
    CLIENT: {"early": keylog.EARLY, "handshake": keylog.CLIENT_HANDSHAKE, "traffic": keylog.CLIENT_TRAFFIC},
    SERVER: {"handshake": keylog.SERVER_HANDSHAKE, "traffic": keylog.SERVER_TRAFFIC},
}


def arm(
    stream: Stream, messages: Messages, store: KeyStore, streams: tuple[Stream, ...], *, final: bool
) -> str:  # fmt: skip
    """Give a side the keys of its epoch; return what it has to wait for, or nothing.

    Where no keys can be had, `TlsSide.problem` says why.
    """
    facts = messages.facts
    hello, server = facts.client_hello, facts.server_hello
    peer = streams[1 - stream.number].facts
    if server is None and stream.number == CLIENT and not final and peer.problem is None:
        return "hello"
    if hello is None or server is None:
        return _fail(stream, "no-client-hello" if hello is None else "no-server-hello")
    if server.version not in (TLS12, TLS13) and server.version not in DRAFTS:
        return _fail(stream, "version")
    if messages.suite is None:
        return _fail(stream, "cipher")
    if messages.tls13:
        if stream.epoch == "plain":
            waits = _first_epoch(stream, messages, peer.problem is None and peer.finished is None and not final)
            if waits:
                return waits
        options = _options13(stream, hello, messages.suite, store, server.version)
    else:
        options = _options12(stream, hello, server, messages.suite, store)
    if not options:
        if store.growing and not final:
            return "keys"
        return _fail(stream, "partial" if store.knows(hello.random) else "no-keys" if store.empty else "no-match")
    stream.seq = 0
    stream.lacks = options[0].epoch != stream.epoch
    stream.seeking = stream.seeking or stream.lacks
    if stream.seeking:
        stream.protection, stream.options = None, options
        return ""
    _, stream.secret, stream.protection = options[0]
    stream.options = options[1:]
    return ""


def _fail(stream: Stream, why: Problem) -> str:
    stream.facts.problem = why
    return ""


def _first_epoch(stream: Stream, messages: Messages, undecided: bool) -> str:
    """Settle what a side's first encrypted record of TLS 1.3 is (RFC 8446 §2.3, §4.2.10)."""
    facts = messages.facts
    stream.epoch = "handshake"
    if stream.number == CLIENT and facts.early_data != "none":
        if facts.early_data == "offered" and undecided:
            stream.epoch = "plain"
            return "early"
        if facts.early_data == "rejected":
            stream.seeking = True  # what the server passes over is passed over here
        else:
            stream.epoch = "early"
    return ""


def _options13(stream: Stream, hello: ClientHello, suite: Suite, store: KeyStore, version: int) -> list[Option]:
    """Return the keys of the epoch and of those after it, by which records are found where its own are missing."""
    kinds = _KINDS[stream.number]
    epochs = list(kinds)
    found: list[Option] = []
    size = hash_size(suite.hash)
    for epoch in epochs[epochs.index(stream.epoch) :]:
        for secret in store.secrets(hello.random, kinds[epoch]):
            if len(secret) == size:
                found.append(_option13(epoch, secret, suite, version))
    return found


def _option13(epoch: str, secret: bytes, suite: Suite, version: int) -> Option:
    from wirecase.tls.protection import Aead13

    return Option(epoch, secret, Aead13(suite, secret, version))  # type: ignore[arg-type]


def _options12(
    stream: Stream, hello: ClientHello, server: ServerHello, suite: Suite, store: KeyStore
) -> list[Option]:  # fmt: skip
    masters = store.secrets(hello.random, keylog.MASTER)
    if not masters:
        held = [store.master(server.session_id), store.master(hello.ticket)]
        masters = [master for master in held if master is not None]
    if not masters:
        return []
    from wirecase.tls.protection import of_master

    randoms = (hello.random, server.random)
    return [
        Option(
            "traffic",
            master,
            of_master(suite, master, randoms, stream.number, encrypt_then_mac=server.encrypt_then_mac),
        )
        for master in masters
    ]


def next_generation(stream: Stream, messages: Messages) -> Option:
    """Return the keys after a KeyUpdate (RFC 8446 §7.2)."""
    suite = messages.suite
    assert suite is not None
    secret = expand_label(stream.secret, "traffic upd", hash_size(suite.hash), suite.hash)
    return _option13("traffic", secret, suite, messages.version or TLS13)
