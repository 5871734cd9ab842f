from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wirecase.sources.live.ring import CONTROL_ROOM, Kind, Ring, make_file


def _pair(size: int) -> tuple[Ring, Ring]:
    handle = make_file(size)
    return Ring(handle), Ring(handle)


def _write(ring: Ring, number: int, data: bytes) -> bool:
    room = ring.room(max(len(data), 1), max(len(data), 1))
    if room is None:
        return False
    room[: len(data)] = data
    ring.commit(Kind.data, number % 2, number, number * 1000, len(data), number)
    return True


@given(st.lists(st.tuples(st.integers(0, 5000), st.booleans()), max_size=200))
def test_what_goes_in_comes_out_in_order(steps: list[tuple[int, bool]]) -> None:
    writer, reader = _pair(CONTROL_ROOM + 16_000)
    sent: list[tuple[int, bytes]] = []
    got: list[tuple[int, bytes]] = []
    for number, (size, read) in enumerate(steps):
        data = bytes((number + i) & 0xFF for i in range(size))
        if _write(writer, number, data):
            sent.append((number, data))
        if read:
            got += [(one.connection, bytes(one.data)) for one in reader.read(1 << 20)]
            reader.release()
    for one in reader.read(1 << 20):
        assert (one.kind, one.side, one.time, one.acked) == (
            Kind.data, one.connection % 2, one.connection * 1000, one.connection,
        )  # fmt: skip
        got.append((one.connection, bytes(one.data)))
    assert got == sent


def test_a_full_ring_takes_no_traffic_and_still_tells_of_ends() -> None:
    writer, reader = _pair(CONTROL_ROOM + 10_000)
    count = 0
    while _write(writer, count, bytes(1000)):
        count += 1
    assert 5 <= count <= 10
    assert writer.put(Kind.fin, 0, 7, 8)
    told = list(reader.read(1 << 20))
    assert len(told) == count + 1
    assert told[-1][:5] == (Kind.fin, 0, 7, 8, None)
    assert not _write(writer, 0, bytes(1000)), "what was read is not yet released"
    reader.release()
    assert _write(writer, 0, bytes(1000))


def test_even_ends_need_some_room() -> None:
    writer, _ = _pair(4096)
    assert writer.room(10, 10) is None
    told = 0
    while writer.put(Kind.closed, 0, told, 0):
        told += 1
    assert 100 <= told <= 4096 // 24


@pytest.mark.parametrize("limit", [1, 100, 5000])
def test_a_limit_leaves_the_rest_for_later(limit: int) -> None:
    writer, reader = _pair(CONTROL_ROOM + 20_000)
    for number in range(10):
        assert _write(writer, number, bytes(500))
    got: list[int] = []
    rounds = 0
    while reader.waiting:
        got += [one.connection for one in reader.read(limit)]
        reader.release()
        rounds += 1
    assert got == list(range(10))
    assert rounds == -(-10 // -(-limit // 528))
