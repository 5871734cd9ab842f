"""The walk tells the same facts of a connection, however its bytes come in pieces."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from h2_bytes import Script, by_byte, by_segment, packet_of, walk
from h2_scripts import SCRIPTS
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecase.model import CLIENT, SERVER


@functools.cache
def script(name: str) -> Script:
    """Return a script (they are never changed once made)."""
    return SCRIPTS[name]()


@functools.cache
def whole(name: str) -> Any:
    """What is told of a script in the longest runs."""
    return walk(script(name)).snapshot()


@pytest.mark.parametrize("name", SCRIPTS)
def test_packet_by_packet(name: str) -> None:
    segments = script(name).segments
    assert walk(segments, by_segment(segments)).snapshot() == whole(name)


@pytest.mark.parametrize("name", SCRIPTS)
def test_byte_by_byte(name: str) -> None:
    assert walk(script(name), by_byte).snapshot() == whole(name)


@given(st.sampled_from(sorted(SCRIPTS)), st.data())
@settings(max_examples=120, deadline=None)
def test_random_splits(name: str, drawn: st.DataObject) -> None:
    total = sum(len(payload) for _, payload in script(name).segments)
    cuts = drawn.draw(st.sets(st.integers(0, total), max_size=40))
    assert walk(script(name), cuts.__contains__).snapshot() == whole(name)


@pytest.mark.parametrize("name", SCRIPTS)
def test_marks_name_the_packet_that_carried_the_byte(name: str) -> None:
    segments = script(name).segments
    done = walk(segments)
    for (_, side), body in done.events.bodies.items():
        wire = b"".join(payload for sender, payload in segments if sender == side)
        for packet, offset, count in body.places:
            assert packet == packet_of(segments, side, offset) == packet_of(segments, side, offset + count - 1)
        assert body.data == b"".join(wire[offset : offset + count] for _, offset, count in body.places)
    for violation in done.facts.violations:
        mark, side = violation.excerpt.mark, violation.excerpt.side
        assert side == violation.side
        assert mark.packet == packet_of(segments, side, mark.offset)
        wire = b"".join(payload for sender, payload in segments if sender == side)
        shown = violation.excerpt.data
        assert wire[mark.offset : mark.offset + len(shown)] == shown, violation.kind
        assert violation.excerpt.length >= len(shown)


def test_bodies_and_counts_of_healthy_scripts() -> None:
    done = walk(script("unary"))
    for stream in (1, 3, 5):
        assert done.body(stream, CLIENT)[5:] == b"ask" * stream
        assert done.body(stream, SERVER)[5:] == b"answer" * stream
    assert done.kinds() == []
    assert done.facts.opened == 3
    assert done.facts.streams == {}
    assert done.facts.halves[CLIENT].frames.by_type == [3, 3, 0, 0, 2, 0, 0, 0, 0, 0]
    assert done.facts.halves[SERVER].frames.by_type == [3, 6, 0, 0, 2, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "name", ["unary", "spread", "paddings", "continuations", "interleaved", "by_h2", "by_hyperframe"]
)
def test_nothing_is_noted_on_what_is_right(name: str) -> None:
    done = walk(script(name))
    assert done.kinds() == []
    assert all(half.skipped == {} for half in done.facts.halves)


def test_padding_is_no_body() -> None:
    done = walk(script("paddings"))
    assert done.body(1, CLIENT) == b"\0\0\0\0\3abc\0\0\0\0\1d"
    stream = done.events.streams[1]
    assert (stream.padded, stream.data_frames[CLIENT], stream.data_bytes[CLIENT]) == ([5, 0], 4, 14)
    assert done.events.streams[3].padded == [1, 0]
    # Padding counts for the windows (RFC 9113 §6.9.1).
    assert done.facts.halves[CLIENT].window == 65535 - (209 + 1 + 31 + 7)


def test_continuations_are_put_together() -> None:
    done = walk(script("continuations"))
    blocks = [event for event in done.events.log if event[0] == "headers" and event[2] == CLIENT]
    assert len({event[3] for event in blocks}) == 1
    assert done.facts.halves[CLIENT].frames.by_type[9] == 1 + 5 + 59 + 1
    assert done.facts.halves[CLIENT].frames.empty_continuation >= 2
    longest = done.facts.halves[CLIENT].longest_block
    assert longest is not None
    assert longest[0] == 59
    assert longest[2] == 5
    assert done.facts.streams == {}  # the pushed one as well


def test_frames_in_flight_behind_a_reset_are_evidence() -> None:
    done = walk(script("resets"))
    assert done.kinds() == []
    assert done.body(1, SERVER).endswith(b"in flightmore")
    assert done.body(3, CLIENT).endswith(b"in flight")
    assert [(r.side, r.code) for r in done.events.streams[1].resets] == [(CLIENT, 8), (SERVER, 2)]


def test_data_that_is_too_long_is_still_data() -> None:
    done = walk(script("too_long"))
    assert len(done.body(1, SERVER)) == 5 + 256 * 65 + 5 + 50_000
    assert {kind for kind, _ in done.kinds()} == {"frame-size", "window-exceeded"}


def test_unfinished_frames_are_told() -> None:
    done = walk(script("cut_in_data"))
    half = done.facts.halves[SERVER]
    assert half.unfinished_frame == (605, 0, 1, 400 - 9)
    assert half.skipped == {}  # DATA is taken as it comes
    half = walk(script("cut_in_headers")).facts.halves[SERVER]
    assert half.unfinished_frame is not None
    assert half.unfinished_frame[1:] == (1, 1, 21)
    assert half.skipped == {"frame cut by the end": 30}
