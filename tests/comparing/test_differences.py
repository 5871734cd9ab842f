"""What a proxy may do to a call, each made by hand on both legs; the back capture has another clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from captured import Capture, Connection
from captures import pcap
from h2_bytes import END_STREAM, REQUEST, RESPONSE, TRAILERS, data, goaway, message, rst

from wirecase.comparing import Comparison, compare
from wirecase.model import CLIENT, SERVER
from wirecase.pipeline import Options

SHIFT = 7_200_000_000_000
MS = 1_000_000
Leg = Callable[[Connection], object]


def write(capture: Capture, path: Path, shift: int = 0) -> Options:
    path.write_bytes(pcap([(time + shift, packet) for time, packet in capture.packets]))
    return Options([str(path)])


def legs(tmp_path: Path, front: Leg, back: Leg, *, lag: int = 2) -> Comparison:
    """Play one leg each; the back one begins `lag` ms after the front one."""
    one, two = Capture(), Capture()
    two.now += lag * MS
    front(one.connect("10.0.0.1:40000", "10.0.0.2:443").hello())
    back(two.connect("10.0.0.2:50000", "10.0.0.3:50051").hello())
    return compare(write(one, tmp_path / "f.pcap"), write(two, tmp_path / "b.pcap", SHIFT))


def kinds(found: Comparison, *severities: str) -> set[str]:
    return {change.kind for change in found.changes if change.severity in (severities or ("error",))}


def answered(
    talk: Connection, *, fields: object = RESPONSE, trailers: object = TRAILERS, body: bytes = b"told"
) -> None:
    talk.headers(fields=fields)  # type: ignore[arg-type]
    talk.server(data(1, message(body))).trailers(fields=trailers)  # type: ignore[arg-type]


def whole(talk: Connection) -> None:
    answered(talk.request(extra=(("x-request-id", "abc"),)))
    talk.close()


def test_the_same_on_both_legs(tmp_path: Path) -> None:
    found = legs(tmp_path, whole, whole)
    assert found.totals.matched == 1
    assert not found.breaks
    assert not found.changes
    assert not found.faults
    assert found.pairs[0].request_equal
    assert found.pairs[0].response_equal


def test_trailers_lost(tmp_path: Path) -> None:
    def front(talk: Connection) -> None:
        talk.request(extra=(("x-request-id", "abc"),)).wait(0.02).headers()
        talk.server(data(1, message(b"told"), END_STREAM)).close()

    found = legs(tmp_path, front, whole)
    assert "trailers-lost" in kinds(found)
    assert found.faults[0].hop == "proxy"
    change = next(one for one in found.changes if one.kind == "trailers-lost")
    assert change.details["grpc_status"] == 0
    assert change.front[0].source == 0
    assert change.back[0].source == 1
    assert change.back[0].data


def test_status_rewritten(tmp_path: Path) -> None:
    def front(talk: Connection) -> None:
        answered(talk.request(extra=(("x-request-id", "abc"),)).wait(0.02), trailers=(("grpc-status", "14"),))

    found = legs(tmp_path, front, whole)
    assert kinds(found) == {"status-rewritten"}
    assert found.faults[0].hop == "proxy"
    assert "OK (0) into UNAVAILABLE (14)" in found.changes[0].title


def test_the_server_s_own_status_accuses_nobody(tmp_path: Path) -> None:
    def leg(talk: Connection) -> None:
        answered(talk.request(extra=(("x-request-id", "abc"),)), trailers=(("grpc-status", "5"),))

    found = legs(tmp_path, leg, leg)
    assert not found.breaks
    assert not found.faults


def test_bytes_changed_and_where(tmp_path: Path) -> None:
    def front(talk: Connection) -> None:
        answered(talk.request(extra=(("x-request-id", "abc"),)).wait(0.02), body=b"t0ld")

    found = legs(tmp_path, front, whole)
    assert kinds(found) == {"response-bytes-changed"}
    change = found.changes[0]
    assert change.details["first_difference"] == 6
    assert change.front[0].data == message(b"t0ld")
    assert change.back[0].data == message(b"told")
    assert found.faults[0].hop == "proxy"


def test_a_changed_request_is_found_by_its_id(tmp_path: Path) -> None:
    def back(talk: Connection) -> None:
        answered(talk.request(extra=(("x-request-id", "abc"),), body=message(b"aks")))

    found = legs(tmp_path, whole, back)
    assert "request-bytes-changed" in kinds(found)
    assert found.pairs[0].matched_by == "ids"


@pytest.mark.parametrize(
    ("removed", "severity"), [("te", "warning"), ("content-type", "error"), ("user-agent", "info")]
)  # fmt: skip
def test_headers_removed(tmp_path: Path, removed: str, severity: str) -> None:
    def leg(fields: tuple[tuple[str, str], ...]) -> Leg:
        def play(talk: Connection) -> None:
            talk.client(talk.peers[CLIENT].headers(1, fields), data(1, message(b"ask"), END_STREAM))
            answered(talk)

        return play

    every = (*REQUEST, ("user-agent", "me"), ("x-request-id", "abc"))
    left = tuple(one for one in every if one[0] != removed)
    if removed == "content-type":
        left = (*left, ("content-type", "application/octet-stream"))
    found = legs(tmp_path, leg(every), leg(left))
    if removed == "content-type":  # no gRPC call any more: nothing to be compared, and nobody is accused
        assert not found.totals.matched
        return
    (change,) = (one for one in found.changes if one.details.get("name") == removed)
    assert change.severity == severity
    assert change.details["change"] == "removed"


@pytest.mark.parametrize("how", ["rst", "goaway", "fin"])
def test_what_breaks_behind_and_is_told_in_front(tmp_path: Path, how: str) -> None:
    def back(talk: Connection) -> None:
        talk.request(extra=(("x-request-id", "abc"),))
        if how == "rst":
            talk.server(rst(1, 7))
        elif how == "goaway":
            talk.server(goaway(0, 0))
        talk.fin(SERVER)

    def front(talk: Connection) -> None:
        talk.request(extra=(("x-request-id", "abc"),)).wait(0.02)
        talk.trailers(fields=(*RESPONSE, ("grpc-status", "14"))).close()

    found = legs(tmp_path, front, back)
    assert not kinds(found)
    assert {"rst": "reset-translated", "goaway": "goaway-translated", "fin": "close-translated"}[how] in kinds(
        found, "info"
    )
    assert "answered-by-proxy" in kinds(found, "warning")
    assert found.faults[0].hop == "server"
    assert not found.breaks


def test_a_failure_that_the_proxy_hides(tmp_path: Path) -> None:
    def back(talk: Connection) -> None:
        talk.request(extra=(("x-request-id", "abc"),)).headers()
        talk.server(data(1, message(b"told"))).server(rst(1, 2))

    def front(talk: Connection) -> None:
        answered(talk.request(extra=(("x-request-id", "abc"),)).wait(0.02))

    found = legs(tmp_path, front, back)
    assert kinds(found) == {"reset-translated"}
    assert found.breaks


def test_the_client_leaves(tmp_path: Path) -> None:
    def front(talk: Connection) -> None:
        talk.request(extra=(("x-request-id", "abc"),)).wait(0.5).client(rst(1, 8))

    def back(talk: Connection) -> None:
        talk.request(extra=(("x-request-id", "abc"),)).wait(0.52).client(rst(1, 5))

    found = legs(tmp_path, front, back)
    assert not found.breaks
    assert "cancel-translated" in kinds(found, "info")
    assert [fault.hop for fault in found.faults] == ["client"]


def test_the_proxy_gives_up(tmp_path: Path) -> None:
    def front(talk: Connection) -> None:
        talk.request(extra=(("x-request-id", "abc"),)).wait(1).server(rst(1, 2))

    def back(talk: Connection) -> None:
        talk.request(extra=(("x-request-id", "abc"),)).wait(1.01).client(rst(1, 8))

    found = legs(tmp_path, front, back)
    assert found.faults[0].hop == "proxy"
    assert kinds(found) == {"ended-by-proxy"}


def many(count: int, *, ids: bool, gap: float = 0.01, skip: int = -1) -> Leg:
    def play(talk: Connection) -> None:
        for i in range(count):
            stream = 2 * i + 1
            if i != skip:
                talk.request(stream, extra=(("x-request-id", f"id-{i}"),) if ids else ()).answer(stream)
            talk.wait(gap)
        talk.close()

    return play


@pytest.mark.parametrize("ids", [True, False])
def test_many_calls_and_one_that_never_went_on(tmp_path: Path, ids: bool) -> None:
    found = legs(tmp_path, many(30, ids=ids, gap=0.05), many(30, ids=ids, gap=0.05, skip=17))
    assert found.totals.matched == 29
    assert abs(found.clock.offset - SHIFT) < 60 * MS
    lost = [one.leg.call for one in found.only_front if one.reason == "no counterpart"]
    if ids:
        assert lost == [17]
        assert found.breaks
        assert found.faults[0].hop == "proxy"
        assert found.faults[0].certainty == "probable"


@pytest.mark.parametrize("gap", [0.0, 0.003, 0.05])
def test_calls_that_are_all_alike_are_taken_in_their_order(tmp_path: Path, gap: float) -> None:
    found = legs(tmp_path, many(60, ids=False, gap=gap), many(60, ids=False, gap=gap))
    assert found.totals.matched == 60
    assert [pair.front.call for pair in found.pairs] == [pair.back.call for pair in found.pairs]
    assert not found.breaks
    assert not found.faults
    assert found.clock.consistent


def test_calls_at_other_times_that_share_nothing_are_other_calls(tmp_path: Path) -> None:
    """The clocks of the two captures are as far apart as in all tests here, but nothing says that the calls are one."""

    def told(extra: str) -> Callable[[Connection], None]:
        def talk(one: Connection) -> None:
            answered(one.request(extra=(("x-request-id", extra),), body=message(extra.encode())))
            one.close()

        return talk

    assert not legs(tmp_path, told("first call"), told("second")).totals.matched
    assert legs(tmp_path, told("the same"), told("the same")).totals.matched == 1


def test_calls_that_came_from_nowhere(tmp_path: Path) -> None:
    found = legs(tmp_path, many(10, ids=True, skip=4), many(10, ids=True))
    assert found.totals.matched == 9
    assert [one.leg.call for one in found.only_back] == [4]
    assert found.totals.only_back == 1


def test_a_retry_of_the_proxy_is_no_call_from_nowhere(tmp_path: Path) -> None:
    def front(talk: Connection) -> None:
        answered(talk.request(extra=(("x-request-id", "abc"),)).wait(0.1))
        talk.close()

    def back(talk: Connection) -> None:
        talk.request(extra=(("x-request-id", "abc"),)).server(rst(1, 7)).wait(0.02)
        talk.request(3, extra=(("x-request-id", "abc"),)).answer(3).close()

    found = legs(tmp_path, front, back)
    assert found.totals.matched == 1
    assert found.pairs[0].back.stream == 3
    assert found.totals.retries == 1
    assert found.totals.only_back == 0
    assert not found.breaks


def test_identical_calls_at_once_are_not_guessed_at(tmp_path: Path) -> None:
    def burst(talk: Connection) -> None:
        for stream in range(1, 21, 2):
            talk.request(stream)
        talk.wait(0.1)
        for stream in range(1, 21, 2):
            talk.answer(stream)
        talk.close()

    found = legs(tmp_path, burst, burst)
    assert not found.breaks
    assert not found.faults
    assert found.totals.only_front == found.totals.only_back == 0


def test_a_capture_of_another_day_matches_nothing_certain(tmp_path: Path) -> None:
    def other(talk: Connection) -> None:
        talk.client(
            talk.peers[CLIENT].headers(1, [(n, "/x.Y/Z" if n == ":path" else v) for n, v in REQUEST]),
            data(1, message(b"ask"), END_STREAM),
        )
        answered(talk)

    found = legs(tmp_path, whole, other)
    assert not found.totals.matched
    assert found.headline == "No call could be found on both legs."
