"""Holes in the capture, packets out of order and damaged bytes: what can be read is read, at its right place."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tls_peers import CLIENT, SERVER, Conversation, Peers
from tls_reading import Heard, read, segments, store_of

from wirecase.model import Marks
from wirecase.tls.connection import TlsConnection
from wirecase.tls.facts import TlsFacts

SCRIPT = [
    (CLIENT, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    *[(number % 2, bytes([number]) * (number * 397 % 17_000 + 1)) for number in range(60)],
]
SUITES = ["", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA"]


@pytest.fixture(scope="module", params=SUITES)
def made(request: pytest.FixtureRequest) -> Conversation:
    return Peers(version="1.2" if request.param else "1.3", ciphers=request.param).talk(SCRIPT)


@pytest.mark.parametrize("size", [1448, 16_000, 300])
def test_a_hole_costs_only_the_records_that_it_touches(made: Conversation, size: int) -> None:
    sent = segments(made.flights, size)
    chance = random.Random(size)
    exact = made.cipher.find("SHA") < 0 or "GCM" in made.cipher or "CHACHA" in made.cipher
    for _ in range(6):
        start = chance.randrange(len(sent) // 4, len(sent) - 6)
        lost = frozenset(range(start, start + chance.choice((1, 1, 2, 5))))
        facts, heard = read(made.flights, made.keys, size=size, lost=lost)
        assert facts.hidden is None
        for side in (CLIENT, SERVER):
            check_places(made.said[side], heard, side, exact=exact)


def check_places(said: bytes, heard: Heard, side: int, *, exact: bool) -> None:
    """What was heard is what was said, with the holes where (and as long as) they were."""
    holes = [(end - length, end) for gap_side, length, end in heard.gaps if gap_side == side]
    if not holes:
        assert bytes(heard.plain[side]) == said
        return
    at, out = 0, bytearray()
    plain = bytes(heard.plain[side])
    for start, end in holes:
        taken = start - len(out)
        out += plain[at : at + taken]
        at += taken
        out += said[start:end]
    out += plain[at:]
    if exact:
        assert bytes(out) == said
    else:
        assert plain[:10] == said[:10]


def test_the_client_is_seen_before_the_server(made: Conversation) -> None:
    """All of the client's packets come first in the capture."""
    facts, heard = TlsFacts(), Heard()
    tls = TlsConnection(facts, store_of(made.keys), heard, flipped=False)
    for side in (CLIENT, SERVER):
        data = b"".join(part for sender, part in made.flights if sender == side)
        tls.run(side, data, Marks(0, [0], [side], [side]))
    tls.finish()
    assert tuple(map(bytes, heard.plain)) == made.said


def test_without_the_beginning(made: Conversation) -> None:
    facts, heard = read(made.flights[1:], made.keys)
    assert facts.hidden == "no-client-hello"
    assert heard.plain == [b"", b""]


def test_a_record_that_is_cut_at_the_end(made: Conversation) -> None:
    flights = [*made.flights[:-4], (SERVER, made.flights[-3][1][:3])]
    facts, _ = read(flights, made.keys)
    assert facts.sides[SERVER].unfinished is not None


def test_a_damaged_record(made: Conversation) -> None:
    sent = segments(made.flights, 1448)
    spot = len(sent) // 2
    side, data = sent[spot]
    sent[spot] = (side, data[:700] + bytes([data[700] ^ 1]) + data[701:])
    facts, heard = read(sent, made.keys, size=100_000)
    assert facts.sides[side].failed == 1
    assert len(heard.gaps) == 1
    assert facts.sides[side].problem is None
    _, columns = read(sent, made.keys, size=100_000, columns=20)
    assert (columns.plain, columns.gaps) == (heard.plain, heard.gaps)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anything_may_come(made: Conversation, data: st.DataObject) -> None:
    """Mutated, dropped, doubled and cut: no exception, the books balance, nothing wrong is heard."""
    sent = segments(made.flights, 1448)
    for _ in range(data.draw(st.integers(1, 6))):
        spot = data.draw(st.integers(0, len(sent) - 1))
        side, payload = sent[spot]
        what = data.draw(st.sampled_from(("flip", "drop", "cut", "random", "swap", "double")))
        if what == "flip":
            at = data.draw(st.integers(0, len(payload) - 1))
            payload = payload[:at] + bytes([payload[at] ^ data.draw(st.integers(1, 255))]) + payload[at + 1 :]
        elif what == "cut":
            payload = payload[: data.draw(st.integers(1, len(payload)))]
        elif what == "random":
            payload = data.draw(st.binary(min_size=1, max_size=300))
        elif what == "swap":
            side = 1 - side
        elif what == "double":
            payload += payload
        sent[spot] = (side, payload)
        if what == "drop" and len(sent) > 2:
            del sent[spot]
    lost = frozenset(data.draw(st.lists(st.integers(0, len(sent) - 1), max_size=3)))
    size = data.draw(st.sampled_from((1448, 100_000, 333)))
    columns = data.draw(st.sampled_from((0, 0, 12, 40)))
    read(sent, made.keys, size=size, lost=lost, columns=columns)
    read(sent, b"", size=size, lost=lost)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.binary(min_size=1, max_size=200)), max_size=20), st.booleans())
def test_random_bytes(flights: list[tuple[int, bytes]], flipped: bool) -> None:
    read(flights, b"", flipped=flipped)


def test_many_holes_cost_no_more_than_a_bounded_search(made: Conversation) -> None:
    store = store_of(made.keys)
    store.tries = 50
    sent = segments(made.flights, 300)
    lost = frozenset(range(60, len(sent), 3))
    facts, _ = read(made.flights, store, size=300, lost=lost)
    assert store.tries >= 0
    assert facts.sides[CLIENT].bytes


def test_a_mark_points_at_the_packet_that_carried_the_byte(made: Conversation) -> None:
    """Each mark's packet holds the ciphertext of its byte: those of a record follow its header and the nonce."""
    _, heard = read(made.flights, made.keys, size=1448)
    sent = segments(made.flights, 1448)
    _, columns = read(made.flights, made.keys, size=1448, columns=25)
    assert heard.places == columns.places
    for side in (CLIENT, SERVER):
        packets = [packet for _, packet in heard.places[side]]
        assert packets == sorted(packets)
        assert all(sent[packet - 1][0] == side for packet in packets)
