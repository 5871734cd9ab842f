"""Every family of cipher suites, read whole, byte by byte, and in columns: the plaintext is what the peers said."""

from __future__ import annotations

import pytest
from tls_peers import CLIENT, NO_ENCRYPT_THEN_MAC, SERVER, Conversation, Peers
from tls_reading import read, segments

SCRIPT = [
    (CLIENT, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (SERVER, b"settings"),
    (CLIENT, bytes(range(256)) * 200),
    (SERVER, b"x" * 40_000),
    (CLIENT, b"a"),
    (SERVER, b"b" * 16_384),
    *[(number % 2, b"%d small" % number) for number in range(40)],
]
SUITES = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES256-CCM",
    "ECDHE-ECDSA-AES128-CCM8",
    "ECDHE-ECDSA-AES256-CCM8",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-CCM",
    "AES256-CCM8",
    "AES128-SHA",
    "AES256-SHA256",
]


def check(conversation: Conversation, *, every_size: bool = True) -> None:
    assert not conversation.failure
    for size in (1448, 100_000, 7, 1) if every_size else (1448,):
        facts, heard = read(conversation.flights, conversation.keys, size=size)
        assert (bytes(heard.plain[0]), bytes(heard.plain[1])) == conversation.said
        assert facts.hidden is None
        assert facts.complete
        assert facts.alpn == "h2"
        assert not heard.gaps
        assert all(side.close_notify is not None for side in facts.sides)
    count = len(segments(conversation.flights, 1448))
    for columns in (20, 30, count - 9):
        _, heard = read(conversation.flights, conversation.keys, columns=columns)
        assert (bytes(heard.plain[0]), bytes(heard.plain[1])) == conversation.said
        _, flipped = read(conversation.flights, conversation.keys, columns=columns, flipped=True)
        assert (bytes(flipped.plain[1]), bytes(flipped.plain[0])) == conversation.said


@pytest.mark.parametrize("suite", SUITES)
def test_tls12(suite: str) -> None:
    peers = Peers(version="1.2", ciphers=suite, kind="ec" if "ECDSA" in suite else "rsa")
    conversation = peers.talk(SCRIPT)
    assert conversation.cipher == suite
    check(conversation, every_size=suite in (SUITES[0], SUITES[2], SUITES[7]))


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES256-SHA256"])
def test_tls12_without_encrypt_then_mac(suite: str) -> None:
    peers = Peers(version="1.2", ciphers=suite, kind="ec" if "ECDSA" in suite else "rsa")
    peers.client.options |= NO_ENCRYPT_THEN_MAC
    conversation = peers.talk(SCRIPT)
    check(conversation)
    facts, _ = read(conversation.flights, conversation.keys)
    assert facts.server_hello is not None and not facts.server_hello.encrypt_then_mac


def test_tls13() -> None:
    conversation = Peers().talk(SCRIPT)
    check(conversation)
    facts, _ = read(conversation.flights, conversation.keys)
    assert facts.client_hello is not None
    assert (facts.client_hello.sni, facts.client_hello.alpn) == ("localhost", ("h2",))
    assert (facts.version, facts.resumed, facts.retried) == (0x0304, False, False)
