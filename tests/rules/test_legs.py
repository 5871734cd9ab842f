"""One call on several legs: proxies, NAT, two hosts - and what looks like it and is not."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from wirecase.model import Diagnosis
from wirecase.pipeline import Options, diagnose
from wirecase.rules import legs as legs_module
from wirecase.rules.leg_match import LATE, SLOP, CallPrint, match
from wirecase.sources import open_sources

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
HEALTHY = ROOT / "tests" / "session" / "data" / "grpcio-sequential-300.pcap"
NETWORK = {1: 14, 113: 16, 276: 20, 0: 4, 101: 0}
"""Where IP begins, by link type."""
MS = 1_000_000


def read(path: Path | str, *more: Path | str) -> Diagnosis:
    return diagnose(Options(sources=[str(path), *map(str, more)]))


# ---- connections -----------------------------------------------------------------------------------------------------

Frame = tuple[int, bytes]


def frames(path: Path) -> tuple[int, list[Frame]]:
    found: list[Frame] = []
    link = -1
    for _, batch in open_sources([str(path)]).batches():
        link = batch.link
        for start, size, time in zip(batch.starts, batch.caplens, batch.times, strict=True):
            found.append((time, bytes(batch.data[start : start + size])))
    return link, found


def write(path: Path, link: int, items: list[Frame]) -> Path:
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link)
    records = [struct.pack("<IIII", *divmod(time, 10**9), len(data), len(data)) + data for time, data in sorted(items)]
    path.write_bytes(head + b"".join(records))
    return path


def changed(
    link: int, items: list[Frame], *, later: int = 30_000, client: bytes = b"", server: bytes = b"", isn: int = 0
) -> list[Frame]:
    """The same packets of IPv4 once more, `later` ns, with other addresses and sequence numbers."""
    at = NETWORK[link]
    ports: set[int] = set()
    out = []
    for time, data in items:
        if data[at] >> 4 != 4 or data[at + 9] != 6:
            continue
        tcp = at + 4 * (data[at] & 15)
        _, target, seq, ack = struct.unpack_from("!HHII", data, tcp)
        if not ports:
            ports.add(target)  # of the first packet, which the client sends
        asked = target in ports
        raw = bytearray(data)
        for address, place in ((client, at + 12 if asked else at + 16), (server, at + 16 if asked else at + 12)):
            if address:
                raw[place : place + 4] = address
        struct.pack_into("!II", raw, tcp + 4, (seq + isn) % 2**32, (ack + isn) % 2**32)
        out.append((time + later, bytes(raw)))
    assert out
    return out


def single(name: str) -> Path:
    return FIXTURES / name / "capture.pcapng"


POD = bytes((10, 244, 1, 7))
NODE = bytes((10, 0, 0, 5))


def test_nat_on_any_is_one_connection(tmp_path: Path) -> None:
    link, once = frames(HEALTHY)
    path = write(tmp_path / "any.pcap", link, once + changed(link, once, server=POD))
    alone, both = read(HEALTHY), read(path)
    assert both.connections == 2 * alone.connections
    assert both.calls.legs == alone.calls.total > 0
    assert (both.calls.total, both.calls.ok, both.calls.failed) == (
        alone.calls.total,
        alone.calls.ok,
        alone.calls.failed,
    )
    assert both.calls.by_status == alone.calls.by_status
    assert f"{alone.calls.total:,} gRPC calls" in both.verdict.headline
    assert "not counted twice" in both.verdict.headline


def _faulty() -> list[str]:
    """Fixtures with one connection over IPv4, a call that is hit, and one root cause."""
    found = []
    for folder in sorted(FIXTURES.iterdir()):
        capture = folder / "capture.pcapng"
        expected = folder / "expected.json"
        if capture.exists() and expected.exists() and expected.stat().st_size < 3000 and len(found) < 40:
            found.append(folder.name)
    return found


@pytest.mark.parametrize("rewritten", [{"server": POD}, {"client": NODE}, {"client": NODE, "server": POD}])
def test_a_fault_behind_nat_is_one_fault(rewritten: dict[str, bytes], tmp_path: Path) -> None:
    tried = 0
    for name in _faulty():
        alone = read(single(name))
        link, once = frames(single(name))
        if alone.connections != 1 or not alone.verdict.blast.calls or link not in NETWORK:
            continue
        if once[0][1][NETWORK[link]] >> 4 != 4 or not alone.calls.total:
            continue
        both = read(write(tmp_path / f"{name}.pcap", link, once + changed(link, once, **rewritten)))
        if not both.calls.legs:  # neither handshake nor the same first bytes in the capture
            continue
        tried += 1
        assert both.verdict.blast.calls == alone.verdict.blast.calls, name
        assert both.calls.total == alone.calls.total, name
        assert len(both.verdict.root_causes) == len(alone.verdict.root_causes), name
        by_id = {one.id: one for one in both.findings}
        for one in both.findings:
            if one.legs:
                assert [leg.connection.index for leg in one.legs] == [0, 1]
        for root in both.verdict.root_causes:
            one = by_id[root]
            assert one.connection is not None
            assert one.connection.index == (0 if one.who[:1] == ["client"] else 1), name
    assert tried >= 5


def test_captures_of_both_hosts_show_one_connection(tmp_path: Path) -> None:
    """Their clocks differ by 20 ms; the addresses are the same."""
    link, once = frames(HEALTHY)
    here = write(tmp_path / "client.pcap", link, once)
    there = write(tmp_path / "server.pcap", link, changed(link, once, later=20 * MS))
    alone, both = read(HEALTHY), read(here, there)
    assert both.connections == 2
    assert (both.calls.total, both.calls.legs) == (alone.calls.total, alone.calls.total)


DIFFERENT: dict[str, dict[str, Any]] = {
    "other sequence numbers: a second connection that says the same": {"server": POD, "isn": 12345},
    "long after": {"server": POD, "later": 10_000 * MS},
}


@pytest.mark.parametrize("how", DIFFERENT)
def test_connections_that_only_look_alike(how: str, tmp_path: Path) -> None:
    """A client that asks two servers the same at the same time is no proxy."""
    link, once = frames(HEALTHY)
    path = write(tmp_path / "two.pcap", link, once + changed(link, once, **DIFFERENT[how]))
    alone, both = read(HEALTHY), read(path)
    assert both.calls.total == 2 * alone.calls.total
    assert both.calls.legs == 0


def test_numbers_that_are_not_random(tmp_path: Path) -> None:
    """A dozen connections from one script begin alike, one after the other."""
    link, once = frames(HEALTHY)
    many = [
        frame for i in range(12) for frame in changed(link, once[:60], server=POD[:3] + bytes((i,)), later=i * 60 * MS)
    ]
    found = read(write(tmp_path / "many.pcap", link, many))
    assert found.connections == 12
    assert found.calls.legs == 0


def test_other_bytes_are_another_connection(tmp_path: Path) -> None:
    """Equal sequence numbers alone say little: some stacks are not random."""
    link, once = frames(HEALTHY)
    copy = [(time, data.replace(b"PRI * HTTP/2.0", b"PRI * HTTP/2.1")) for time, data in once]
    path = write(tmp_path / "two.pcap", link, once + changed(link, copy, server=POD))
    assert read(path).calls.legs == 0


# ---- calls -----------------------------------------------------------------------------------------------------------


def test_the_legs_of_two_proxies() -> None:
    """tonic, Caddy, nginx, server: each leg was captured."""
    found = read(FIXTURES / "incident" / "capture.pcapng")
    assert found.calls.total + found.calls.legs == 121
    assert found.calls.ok + found.calls.failed + found.calls.unfinished == found.calls.total
    assert sum(found.calls.by_status.values()) == found.calls.total
    chains = [[leg.connection.server.rpartition(":")[2] for leg in one.legs] for one in found.findings if one.legs]
    assert ["8080", "8081", "8815"] in chains
    for chain in chains:
        assert chain == sorted(chain)
    for one in found.findings:
        if one.legs and one.stream is not None and one.connection is not None:
            assert (one.connection.index, one.stream) in [(leg.connection.index, leg.stream) for leg in one.legs]
            assert one.call in [leg.call for leg in one.legs]


def test_calls_that_are_too_many_are_only_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs_module, "MOST_CALLS", 50)
    found = read(FIXTURES / "incident" / "capture.pcapng")
    assert (found.calls.total, found.calls.legs) == (121, 0)
    assert "Calls are counted on each leg" in found.verdict.headline


def print_(
    call: int,
    server: str,
    start: int,
    end: int | None,
    *,
    client: str = "10.0.0.1",
    ids: tuple[int, ...] = (),
    **more: Any,
) -> CallPrint:
    facts: dict[str, Any] = {
        "source": 0,
        "path": "/a.B/C",
        "request": (20, 1),
        "asked": True,
        "response": (30, 2),
        "proxied": frozenset(),
        "agent": b"grpc-go/1.60",
        "settings": 7,
        "outcome": "ok",
        "status": b"0",
    }
    place = (int(server.rpartition(":")[2]), 2 * call + 1)
    return CallPrint(
        call=call, place=place, client=client, server=server, start=start * MS, end=None if end is None else end * MS,
        ids=frozenset(ids), **(facts | more),
    )  # fmt: skip


def pairs(*prints: CallPrint) -> list[tuple[int, int]]:
    return [(back.call, front.call) for back, front in match(prints)]


FRONT, BACK = "10.0.0.2:80", "10.0.0.3:90"


def front(**more: Any) -> CallPrint:
    return print_(0, FRONT, 0, 100, **more)


def back(call: int = 1, start: int = 10, end: int | None = 90, **more: Any) -> CallPrint:
    return print_(call, BACK, start, end, **({"client": "10.0.0.2"} | more))


def test_the_front_servers_host_asks_on() -> None:
    assert pairs(front(), back()) == [(1, 0)]
    assert pairs(back(), front()) == [(1, 0)]


ONE: dict[str, tuple[CallPrint, CallPrint]] = {
    "a request id instead of the body": (front(ids=(5,), request=None), back(ids=(5, 6), request=None)),
    "not all of the request behind": (front(), back(asked=False)),
    "no answer behind": (front(response=None, outcome="failed"), back(response=None, end=None, outcome="failed")),
    "still open in front": (print_(0, FRONT, 0, None), back(end=None)),
    "ended a little later": (front(), back(end=100 + LATE // MS)),
    "a proxy's headers on loopback": (
        front(client="127.0.0.1"),
        back(client="127.0.0.1", proxied=frozenset((b"via",))),
    ),
    "another library's settings under the same user agent": (front(), back(client="10.0.0.1", settings=8)),
    "two captures, by their ids": (front(ids=(5,)), back(ids=(5,), source=1, start=2000, end=2100)),
}
NOT_ONE: dict[str, tuple[CallPrint, CallPrint]] = {
    "another path": (front(), back(path="/a.B/D")),
    "another request": (front(), back(request=(20, 3))),
    "another request with the same id": (front(ids=(5,)), back(ids=(5,), request=(20, 3))),
    "another answer": (front(), back(response=(30, 3))),
    "ids of its own": (front(ids=(5,)), back(ids=(6,))),
    "no body and no id": (front(request=(0, 0)), back(request=(0, 0))),
    "before it": (front(), print_(0, BACK, -10, 90, client="10.0.0.2")),
    "after it": (front(), back(start=100 + SLOP // MS + 1, end=120)),
    "long outlives it": (front(), back(end=100 + LATE // MS + 1)),
    "the same server": (front(), print_(1, FRONT, 10, 90, client="10.0.0.2")),
    "the client itself asks another server": (front(), back(client="10.0.0.1")),
    "the same on one host": (front(client="127.0.0.1"), back(client="127.0.0.1")),
    "settings that were not seen": (front(), back(client="10.0.0.1", settings=None)),
    "another program on the client's host": (front(), back(client="10.0.0.1", settings=8, agent=b"other/1")),
    "two captures without ids": (front(), back(source=1)),
}


@pytest.mark.parametrize("how", ONE)
def test_one_call(how: str) -> None:
    assert pairs(*ONE[how]) == [(1, 0)]


@pytest.mark.parametrize("how", NOT_ONE)
def test_two_calls(how: str) -> None:
    assert pairs(*NOT_ONE[how]) == []


def test_two_calls_in_front_that_fit_leave_it_open() -> None:
    twin = print_(1, FRONT, 5, 95)
    assert pairs(front(), twin, back(2), back(3, 20, 80)) == []
    assert pairs(front(ids=(5,)), print_(1, FRONT, 5, 95, ids=(6,)), back(2, ids=(5,)), back(3, ids=(6,))) == [
        (2, 0),
        (3, 1),
    ]


def test_a_retry_of_the_proxy_has_two_legs_behind() -> None:
    assert pairs(front(), back(1, 10, 20, response=None), back(2, 30, 90)) == [(1, 0), (2, 0)]


def test_the_nearest_leg_is_the_one_before() -> None:
    third = print_(2, "10.0.0.4:95", 20, 80, client="10.0.0.3")
    assert pairs(front(), back(), third) == [(1, 0), (2, 1)]


def test_many_alike_calls_cost_little_and_say_nothing() -> None:
    fronts = [print_(i, FRONT, 0, 1000) for i in range(3000)]
    backs = [back(3000 + i, 10, 900) for i in range(3000)]
    assert pairs(*fronts, *backs) == []
