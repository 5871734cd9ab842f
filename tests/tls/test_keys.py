"""Keys that are missing, partial, wrong, late or garbage: told apart, connection by connection."""

from __future__ import annotations

import pytest
from tls_peers import CLIENT, SERVER, Conversation, Peers
from tls_reading import Heard, read, segments, store_of

from wirecase.model import Marks
from wirecase.tls.connection import TlsConnection
from wirecase.tls.facts import TlsFacts
from wirecase.tls.keylog import KeyLogReader, KeyStore

SCRIPT = [
    (CLIENT, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (SERVER, b"settings" * 9),
    (CLIENT, b"z" * 40_000),
    (SERVER, b"y"),
]


@pytest.fixture(scope="module")
def made() -> Conversation:
    return Peers().talk(SCRIPT)


@pytest.fixture(scope="module")
def made12() -> Conversation:
    return Peers(version="1.2").talk(SCRIPT)


def only(keys: bytes, *labels: bytes) -> bytes:
    return b"".join(line + b"\n" for line in keys.splitlines() if line.split(b" ")[0] in labels)


def test_no_keys(made: Conversation, made12: Conversation) -> None:
    for conversation in (made, made12):
        for size in (1, 1448):
            facts, heard = read(conversation.flights, b"", size=size)
            assert [side.problem for side in facts.sides] == ["no-keys", "no-keys"]
            assert heard.plain == [b"", b""]
            assert facts.client_hello is not None and facts.client_hello.alpn == ("h2",)
        facts, _ = read(conversation.flights, b"", columns=12)
        assert sum(side.undecrypted for side in facts.sides) > 40_000


def test_keys_of_others(made: Conversation, made12: Conversation) -> None:
    facts, _ = read(made.flights, made12.keys)
    assert [side.problem for side in facts.sides] == ["no-match", "no-match"]


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_keys_of_one_side(made: Conversation, side: int) -> None:
    name = (b"CLIENT", b"SERVER")[side]
    facts, heard = read(made.flights, only(made.keys, name + b"_HANDSHAKE_TRAFFIC_SECRET", name + b"_TRAFFIC_SECRET_0"))
    assert facts.sides[side].problem is None
    assert facts.sides[1 - side].problem == "partial"
    assert facts.one_sided
    assert bytes(heard.plain[side]) == made.said[side]
    assert heard.plain[1 - side] == b""


def test_without_handshake_secrets_the_traffic_is_read_all_the_same(made: Conversation) -> None:
    facts, heard = read(made.flights, only(made.keys, b"CLIENT_TRAFFIC_SECRET_0", b"SERVER_TRAFFIC_SECRET_0"))
    assert tuple(map(bytes, heard.plain)) == made.said
    assert facts.hidden is None
    assert facts.complete


def test_handshake_secrets_alone_are_not_enough(made: Conversation) -> None:
    keys = only(made.keys, b"CLIENT_HANDSHAKE_TRAFFIC_SECRET", b"SERVER_HANDSHAKE_TRAFFIC_SECRET")
    facts, _ = read(made.flights, keys)
    assert [side.problem for side in facts.sides] == ["partial", "partial"]
    assert facts.alpn == "h2"


def damaged(keys: bytes) -> bytes:
    lines = []
    for line in keys.splitlines():
        if not line.startswith(b"#"):
            label, random, secret = line.split()
            line = b" ".join((label, random, secret[2:] + b"00"))
        lines.append(line)
    return b"\n".join(lines) + b"\n"


def test_keys_that_do_not_decrypt(made: Conversation, made12: Conversation) -> None:
    for conversation in (made, made12):
        facts, heard = read(conversation.flights, damaged(conversation.keys))
        assert {side.problem for side in facts.sides} == {"wrong-keys"}
        assert heard.plain == [b"", b""]


def test_the_right_keys_among_wrong_ones(made: Conversation, made12: Conversation) -> None:
    for conversation in (made, made12):
        for keys in (damaged(conversation.keys) + conversation.keys, conversation.keys + damaged(conversation.keys)):
            _, heard = read(conversation.flights, keys)
            assert tuple(map(bytes, heard.plain)) == conversation.said


def test_only_the_handshake_secrets_are_wrong(made: Conversation) -> None:
    good = only(made.keys, b"CLIENT_TRAFFIC_SECRET_0", b"SERVER_TRAFFIC_SECRET_0")
    bad = damaged(only(made.keys, b"CLIENT_HANDSHAKE_TRAFFIC_SECRET", b"SERVER_HANDSHAKE_TRAFFIC_SECRET"))
    _, heard = read(made.flights, good + bad)
    assert tuple(map(bytes, heard.plain)) == made.said


@pytest.mark.parametrize("late", [3, 5, 1000])
def test_keys_that_come_after_the_packets(made: Conversation, made12: Conversation, late: int) -> None:
    for conversation in (made, made12):
        store = KeyStore()
        store.growing = True
        reader = KeyLogReader(store)
        facts, heard = TlsFacts(), Heard()
        tls = TlsConnection(facts, store, heard, flipped=False)
        offsets = [0, 0]
        for number, (side, data) in enumerate(segments(conversation.flights, 1448)):
            if number == late:
                reader.feed(conversation.keys)
            tls.run(side, data, Marks(0, [offsets[side]], [number], [number]))
            offsets[side] += len(data)
        if late == 1000:
            reader.feed(conversation.keys)
        tls.finish()
        assert tuple(map(bytes, heard.plain)) == conversation.said
        assert store.held == 0


def test_what_waits_for_keys_is_bounded() -> None:
    conversation = Peers().talk([(CLIENT, b"x" * 16_000)] * 100)
    store = KeyStore()
    store.growing = True
    facts, _ = read(conversation.flights, store)
    assert facts.sides[CLIENT].problem == "overflow"
    assert facts.sides[CLIENT].undecrypted > 1_600_000


def test_garbage_lines(made: Conversation) -> None:
    lines = made.keys.splitlines()
    log = b"\r\n".join(
        [b"# comment", b"", b"\xff\xfe\x00binary", *lines, lines[1], b"CLIENT_RANDOM 00 11", b"CLIENT_RANDOM"]
    )
    store = store_of(log + b"\nSERVER_TRAFFIC_SECRET_0 zz zz\n" + b"x" * 100_000 + b"\n" + b"QUIC_X 1\n")
    _, heard = read(made.flights, store)
    assert tuple(map(bytes, heard.plain)) == made.said
    assert store.garbage == 6
    assert store.keys == 5 - 1 + 1


def test_a_key_log_in_pieces(made: Conversation) -> None:
    for size in (1, 7, 100):
        store = KeyStore()
        reader = KeyLogReader(store)
        for i in range(0, len(made.keys) - 1, size):
            reader.feed(made.keys[i : min(i + size, len(made.keys) - 1)])
        reader.finish()
        _, heard = read(made.flights, store)
        assert tuple(map(bytes, heard.plain)) == made.said
        assert store.garbage == 0


def test_a_store_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirecase.tls.keylog.MAX_CONNECTIONS", 10)
    store = store_of(b"".join(b"CLIENT_RANDOM %064x %096x\n" % (i, i) for i in range(30)))
    assert (len(store), store.forgotten) == (10, 20)
    again = store_of(b"".join(b"CLIENT_RANDOM %064x %096x\n" % (1, i) for i in range(1000)))
    assert len(again.secrets((1).to_bytes(32, "big"), 5)) < 40
