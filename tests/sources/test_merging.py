"""Several inputs as one: rings in the order of time, captures taken at the same time side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture_bytes import NS, T0, Packet, packets, pcap, pcapng
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecase.errors import InputError
from wirecase.sources import OpenedSources, open_sources
from wirecase.sources.merging import MOST_OPEN, STEP_NS
from wirecase.sources.window import WINDOW


def at(*seconds: float) -> list[Packet]:
    return [Packet(b"%07d" % round(time * 1000), round((T0 + time) * NS), 7) for time in seconds]


def write(path: Path, items: list[Packet]) -> str:
    path.write_bytes(pcap(items))
    return str(path)


def told(opened: OpenedSources) -> list[tuple[str, int, int, bytes]]:
    """(file, lane, number, data) of each packet."""
    out = []
    for source, batch in opened.batches():
        assert batch.source == source.index
        assert len(batch.starts) == len(batch.caplens) == len(batch.lengths) == len(batch.times) > 0
        for i, (start, size) in enumerate(zip(batch.starts, batch.caplens, strict=True)):
            data = bytes(batch.data[start : start + size])
            out.append((Path(source.path).name, batch.lane, batch.first_number + i, data))
    return out


def test_a_ring_is_one_lane_whatever_the_names(tmp_path: Path) -> None:
    """tcpdump -W begins with the first name again: the oldest file is not the first one by name."""
    for name, start in (("ring0", 300), ("ring1", 0), ("ring2", 100), ("ring3", 200)):
        write(tmp_path / name, at(*(start + i * 30 for i in range(3))))
    found = told(open_sources([str(tmp_path)]))
    assert [one[0] for one in found] == ["ring1"] * 3 + ["ring2"] * 3 + ["ring3"] * 3 + ["ring0"] * 3
    assert {one[1] for one in found} == {0}
    assert [one[2] for one in found] == [1, 2, 3] * 4


def test_the_files_of_a_ring_may_overlap_a_little(tmp_path: Path) -> None:
    write(tmp_path / "a0", at(0, 50, 100, 100.4))
    write(tmp_path / "a1", at(100.1, 100.5, 150))
    found = told(open_sources([str(tmp_path)]))
    assert [one[0] for one in found] == ["a0"] * 4 + ["a1"] * 3
    assert {one[1] for one in found} == {0}


def test_captures_of_the_same_time_are_read_side_by_side(tmp_path: Path) -> None:
    one = write(tmp_path / "one", at(*range(0, 40, 2)))
    two = write(tmp_path / "two", at(*range(5, 45, 2)))
    found = told(open_sources([two, one]))
    assert [data for *_, data in found] == sorted(data for *_, data in found)
    assert {(name, lane) for name, lane, *_ in found} == {("one", 0), ("two", 1)}
    assert [number for name, _, number, _ in found if name == "two"] == list(range(1, 21))


def test_two_rings_at_the_same_time_stay_apart(tmp_path: Path) -> None:
    for host, shift in (("a", 0.0), ("b", 3.0)):
        for i in range(3):
            write(tmp_path / f"{host}_{i:05}.pcap", at(*(shift + i * 100 + 7 * j for j in range(14))))
    found = told(open_sources([str(tmp_path)]))
    assert {(name[0], lane) for name, lane, *_ in found} == {("a", 0), ("b", 1)}
    assert [data for *_, data in found] == sorted(data for *_, data in found)


def test_more_than_can_be_open_at_once(tmp_path: Path) -> None:
    for i in range(MOST_OPEN + 3):
        write(tmp_path / f"host{chr(97 + i)}", at(*(i / 10 + 10 * j for j in range(5))))
    found = told(open_sources([str(tmp_path)]))
    assert len(found) == 5 * (MOST_OPEN + 3)
    for name in {one[0] for one in found}:
        assert [number for other, _, number, _ in found if other == name] == [1, 2, 3, 4, 5]


def test_windows_of_many_packets_are_cut_by_time(tmp_path: Path) -> None:
    """Two large inputs at once: no part of one runs far ahead of the other."""
    count = 3000
    body = bytes(WINDOW // count * 2)
    for name in "xy":
        items = [Packet(body, (T0 * 1000 + i * 10) * 1_000_000, len(body)) for i in range(count)]
        (tmp_path / name).write_bytes(pcapng(items) if name == "x" else pcap(items))
    reached = {"x": 0, "y": 0}
    total = 0
    for source, batch in open_sources([str(tmp_path)]).batches():
        name = Path(source.path).name
        reached[name] = batch.times[-1]
        total += len(batch.starts)
        if total > 2 * STEP_NS // 10_000_000 and total < 2 * count:
            assert abs(reached["x"] - reached["y"]) <= 2 * STEP_NS
    assert total == 2 * count


def test_an_input_that_breaks_off_does_not_hold_up_the_others(tmp_path: Path) -> None:
    good = write(tmp_path / "good", at(0, 10, 20))
    cut = tmp_path / "cut"
    cut.write_bytes(pcap(at(1, 11, 21))[:-3])
    gone = write(tmp_path / "gone", at(2, 12))
    opened = open_sources([good, str(cut), gone])
    Path(gone).unlink()
    found = told(opened)
    assert [one[0] for one in found] == ["good", "cut"] * 3
    assert [str(failure).rpartition("/")[2] for failure in opened.failures] == [
        "gone: cannot be opened: No such file or directory"
    ]


def test_the_only_input_gone_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a", at(0))
    opened = open_sources([path])
    Path(path).unlink()
    with pytest.raises(InputError, match="No such file"):
        list(opened.batches())


def test_files_are_closed_when_reading_is_given_up(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(pcap(packets(400)))
    batches = open_sources([str(tmp_path)]).batches()
    next(batches)
    batches.close()
    fds = [Path(f"/proc/self/fd/{fd}").resolve() for fd in range(256) if Path(f"/proc/self/fd/{fd}").exists()]
    assert not [fd for fd in fds if tmp_path in fd.parents]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60_000), max_size=12).map(sorted), min_size=1, max_size=5))
def test_every_packet_comes_once_and_in_its_inputs_order(
    tmp_path_factory: pytest.TempPathFactory, inputs: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("m")
    for i, times in enumerate(inputs):
        write(folder / f"{i}", at(*(time / 1000 for time in times)))
    found = told(open_sources([str(folder)]))
    for i, times in enumerate(inputs):
        mine = [(number, data) for name, _, number, data in found if name == str(i)]
        assert mine == [(j + 1, b"%07d" % time) for j, time in enumerate(times)]
