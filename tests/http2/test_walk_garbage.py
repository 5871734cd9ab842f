"""Any bytes: the walk never raises, its books balance, and it is done in time and memory that follow the input."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from h2_bytes import (
    CONTINUATION,
    HEADERS,
    REQUEST,
    GapWalk,
    Script,
    by_segment,
    data,
    frame,
    settings,
    walk,
)
from h2_scripts import SCRIPTS
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from wirecase.model import CLIENT, SERVER

SIDE = st.sampled_from([CLIENT, SERVER])
HEADER = st.builds(
    frame,
    st.integers(0, 12),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 7, 0x7FFFFFFF, 0x80000001, 0xFFFFFFFF]),
    st.binary(max_size=40),
)
PIECE = st.one_of(
    st.tuples(SIDE, HEADER),
    st.tuples(SIDE, st.binary(max_size=60)),
    st.tuples(SIDE, st.lists(HEADER, max_size=6).map(b"".join)),
)


@given(st.lists(PIECE, max_size=30))
@limits(max_examples=300, deadline=None)
def test_frames_and_bytes_at_random(pieces: list[tuple[int, bytes]]) -> None:
    walk(pieces)  # checks the books
    walk(pieces, by_segment(pieces))


@given(st.lists(PIECE, max_size=20), st.sets(SIDE))
@limits(max_examples=150, deadline=None)
def test_joining_late(pieces: list[tuple[int, bytes]], late: set[int]) -> None:
    walk(pieces, by_segment(pieces), late=sorted(late))


@given(st.lists(st.one_of(PIECE, st.tuples(SIDE, st.integers(1, 100))), max_size=25))
@limits(max_examples=200, deadline=None)
def test_holes_anywhere(pieces: list[tuple[int, bytes | int]]) -> None:
    made = GapWalk()
    for side, piece in pieces:
        made.send(side, piece)
    made.finish()


@pytest.mark.parametrize("name", SCRIPTS)
def test_mutated_connections(name: str) -> None:
    segments = SCRIPTS[name]().segments
    chance = random.Random(name)
    for _ in range(25):
        spoiled = []
        for side, payload in segments:
            wire = bytearray(payload[:2000])
            for _ in range(chance.choice([0, 0, 1, 3])):
                at = chance.randrange(len(wire) or 1)
                action = chance.randrange(3)
                if action == 0:
                    wire[at : at + 1] = bytes((chance.randrange(256),))
                elif action == 1:
                    del wire[at : at + chance.randrange(1, 30)]
                else:
                    wire[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(12)))
            if chance.random() > 0.05:
                spoiled.append((side, bytes(wire)))
        walk(spoiled)
        walk(spoiled, by_segment(spoiled))


def test_holes_in_real_connections() -> None:
    chance = random.Random(1)
    for name, make in SCRIPTS.items():
        for _ in range(15):
            made = GapWalk(late=chance.choice([(), (), (CLIENT, SERVER)]))
            for side, payload in make().segments:
                cut = chance.randrange(len(payload) + 1)
                if chance.random() < 0.2:
                    lost = chance.randrange(1, 50)
                    made.send(side, payload[:cut], lost, payload[cut + lost :])
                else:
                    made.send(side, payload[:cut], payload[cut:])
            assert made.finish().facts is not None, name


def test_an_endless_header_block_is_not_kept() -> None:
    script = Script().client(settings(), frame(HEADERS, 0, 1, b"\x82"))
    wire = b"".join(frame(CONTINUATION, 0, 1, bytes(16_384)) for _ in range(64))
    tracemalloc.start()
    made = GapWalk()
    for side, payload in script.segments:
        made.send(side, payload)
    for _ in range(8):
        made.send(CLIENT, wire)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    done = made.finish()
    assert peak < 6 << 20
    longest = done.facts.halves[CLIENT].longest_block
    assert longest is not None
    assert longest[:3] == (512, 1 + 512 * 16_384, 1)


def test_a_frame_of_16_mib_is_stepped_over() -> None:
    made = GapWalk()
    header = frame(HEADERS, 4, 1, b"")
    made.send(CLIENT, settings(), b"\xff\xff\xff" + header[3:])
    tracemalloc.start()
    step = bytes(1 << 20)
    for _ in range(15):
        made.send(CLIENT, step)
    made.send(CLIENT, step[:-1] + settings() + frame(0xB, 0, 0, b"x"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    done = made.finish()
    assert peak < 6 << 20
    assert done.kinds() == [("frame-size", CLIENT)]
    half = done.facts.halves[CLIENT]
    assert half.frames.by_type[4] == 2
    assert half.skipped["oversized frame"] >= (1 << 24) - 1
    assert half.joined_late  # its header block was not read


def test_a_long_frame_in_single_bytes_is_put_together_in_linear_time() -> None:
    wire = frame(7, 0, 0, bytes(8) + b"?" * 16_000)
    made = GapWalk()
    for i in range(len(wire)):
        made.send(SERVER, wire[i : i + 1])
    done = made.finish()
    assert done.facts.goaways[0].excerpt.mark.packet == 1


def test_many_streams_do_not_pile_up() -> None:
    script = Script().hello()
    for stream in range(1, 4001, 2):
        script.request(stream, b"x").server(
            script.peers[SERVER].headers(stream, [(":status", "200")]), data(stream, b"y", 1)
        )
    done = walk(script)
    assert done.facts.opened == 2000
    assert done.facts.streams == {}
    assert done.facts.max_open == 1
    assert sum(event[0] == "closed" for event in done.events.log) == 2000


def test_pushed_streams_do_not_pile_up() -> None:
    script = Script().hello().request(1, end=False)
    for stream in range(2, 2002, 2):
        block = script.peers[SERVER].block(REQUEST)
        script.server(
            frame(5, 4, 1, stream.to_bytes(4, "big") + block),
            script.peers[SERVER].headers(stream, [(":status", "200")]), data(stream, b"y", 1),
        )  # fmt: skip
    assert walk(script).facts.streams.keys() == {1}
