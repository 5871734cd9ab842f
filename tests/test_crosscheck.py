"""Wireshark's counts beside ours: agreement, differences, and their reasons."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from wirecase.crosscheck import NAMES, Counted, Tally, _compare, cross_check, one_keylog
from wirecase.errors import InputError
from wirecase.model import Compared, ConnectionRef, CrossCheck
from wirecase.pipeline import Options, diagnose
from wirecase.sources.tshark import tshark
from wirecase.sources.tshark.counts import StreamCounts, TsharkCounts

FIXTURES = Path(__file__).parents[1] / "fixtures"
REF = ConnectionRef(3, "10.0.0.1:40000", "10.0.0.2:50051")
needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")


def frames(data: int, headers: int = 0) -> list[int]:
    return [data, headers] + [0] * (len(NAMES) - 2)


def ours(data: int = 5, messages: int = 2, **fields: object) -> Counted:
    values = {"reasons": (), "message_reason": "", "source": 0, "first": 7, **fields}
    return Counted(REF, tls=False, frames=frames(data), messages=messages, **values)  # type: ignore[arg-type]


def theirs(data: int = 5, messages: int = 2, first: int = 7) -> TsharkCounts:
    return TsharkCounts({0: StreamCounts(first, frames(data), messages)})


def compared(counted: list[Counted], told: list[TsharkCounts], connections: int = 1) -> CrossCheck:
    return _compare("Wireshark 4.0.17", connections, counted, told, [one.problem for one in told if one.problem])


def test_agreement() -> None:
    check = compared([ours()], [theirs()])
    assert check.agrees and not check.differences
    assert check.frames == Compared(5, 5) and check.messages == Compared(2, 2)
    assert check.by_type == {"DATA": Compared(5, 5)}


def test_the_same_sum_of_other_types_is_no_agreement() -> None:
    check = compared([ours()], [TsharkCounts({0: StreamCounts(7, frames(4, 1), 2)})])
    assert not check.agrees
    assert check.by_type == {"DATA": Compared(5, 4), "HEADERS": Compared(0, 1)}


def test_a_difference_carries_the_likeliest_reason() -> None:
    check = compared([ours(reasons=("a hole", "out of order"), message_reason="no messages")], [theirs(4, 1)])
    assert [(one.what, one.ours, one.theirs, one.reason) for one in check.differences] == [
        ("frames", 5, 4, "a hole"),
        ("messages", 2, 1, "no messages"),
    ]
    assert check.differing == 2 and check.unexplained == 0


def test_a_difference_without_a_reason_says_so() -> None:
    check = compared([ours()], [theirs(4)])
    assert check.unexplained == 1 and check.differences[0].reason == ""


def test_streams_that_only_one_of_them_has() -> None:
    check = compared([ours()], [theirs(first=8)])
    assert {
        (one.connection, one.packet, one.ours, one.theirs) for one in check.differences if one.what == "frames"
    } == {
        (REF, 7, 5, 0),
        (None, 8, 0, 5),
    }
    assert check.frames == Compared(5, 5) and not check.agrees


def test_each_source_is_held_against_its_own() -> None:
    assert compared([ours(), ours(source=1)], [theirs(), theirs()], 2).agrees
    assert not compared([ours(), ours(source=1)], [theirs(), theirs(6)], 2).agrees


def test_a_capture_that_was_not_read_to_its_end_is_no_agreement() -> None:
    told = theirs()
    told.problem = "cut short"
    check = compared([ours()], [told])
    assert not check.agrees and check.notes == ["cut short"]


def test_the_list_of_differences_is_bounded() -> None:
    counted = [ours(first=n) for n in range(1, 400)]
    check = compared(counted, [TsharkCounts()], 399)
    assert len(check.differences) == 100 and check.differing == 798


def test_key_logs_are_joined(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    for name in ("keys/b", "keys/a", "c"):
        (tmp_path / name).write_text(f"CLIENT_RANDOM {name}")
    with one_keylog([]) as none, one_keylog([str(tmp_path / "c")]) as single:
        assert none is None and single == str(tmp_path / "c")
    with one_keylog([str(tmp_path / "keys"), str(tmp_path / "c")]) as joined:
        assert joined is not None
        lines = Path(joined).read_text().splitlines()
        assert [one for one in lines if one] == ["CLIENT_RANDOM keys/a", "CLIENT_RANDOM keys/b", "CLIENT_RANDOM c"]
    assert not Path(joined).exists()
    with pytest.raises(InputError, match="key log"), one_keylog([str(tmp_path / "c"), str(tmp_path / "none")]):
        pass


def check_of(name: str) -> CrossCheck:
    path = next((FIXTURES / name).glob("capture.*"))
    tally = Tally()
    found = diagnose(Options([str(path)]), on_call=tally.on_call, closed=tally.closed)
    return cross_check(found, tally, tshark())


@needs_tshark
@pytest.mark.parametrize(
    "name",
    ["incident", "flag67-grpc-go", "h2-flood", "healthy-grpcjs-gzip", "healthy-legal-grease", "healthy-lossy-link",
     "healthy-mirror-twice", "healthy-streaming", "link-ipv6", "rst-midbody", "grpc-decompression-bomb"],
)  # fmt: skip
def test_wireshark_confirms(name: str) -> None:
    check = check_of(name)
    assert check.agrees, check
    assert check.frames.ours and check.engine.startswith("Wireshark ")


@needs_tshark
@pytest.mark.parametrize(
    "name", ["healthy-h2c-upgrade", "obs-gap", "obs-midconnection", "obs-one-direction", "obs-snaplen"]
)
def test_known_differences_are_explained(name: str) -> None:
    check = check_of(name)
    assert check.differing and not check.unexplained, check


@needs_tshark
def test_what_is_not_http2_is_counted_by_neither() -> None:
    check = check_of("healthy-http1")
    assert check.agrees and check.frames == Compared(0, 0)


@needs_tshark
def test_an_interrupt_ends_the_count() -> None:
    tally = Tally()
    path = FIXTURES / "incident" / "capture.pcapng"
    found = diagnose(Options([str(path)]), on_call=tally.on_call, closed=tally.closed)
    check = cross_check(found, tally, tshark(), stop=lambda: True)
    assert not check.agrees and check.notes == ["interrupted"]


@needs_tshark
def test_a_capture_that_tshark_cannot_read_is_noted(tmp_path: Path) -> None:
    tally = Tally()
    found = diagnose(
        Options([str(FIXTURES / "incident" / "capture.pcapng")]), on_call=tally.on_call, closed=tally.closed
    )
    found.sources[0].path = str(tmp_path / "gone")
    check = cross_check(found, tally, tshark())
    assert not check.agrees and check.notes
