"""Real captures: streams, bytes and ends as Wireshark's conversations and the known truth of each capture say."""

from __future__ import annotations

from pathlib import Path

import pytest
from net_wire import assemble, read_pcap

DATA = Path(__file__).parent / "data"

# name: [(side 0, bytes of both sides holes included, bytes missing, ends in order)]
TRUTH: dict[str, list[tuple[str, list[int], int, list[tuple[int, str]]]]] = {
    "blackhole-midstream": [("10.99.0.1:37654", [18187, 16785], 0, [])],
    "conn-refused": [("127.0.0.1:35650", [0, 0], 0, [(1, "rst")])],
    "live-any-sll2": [("127.0.0.1:50874", [611, 5335], 0, [(1, "fin")])],
    "live-ipv6-ok": [("[::1]:54940", [1255, 3297], 0, [(0, "fin"), (1, "fin")])],
    "lossy-link-healthy": [("10.99.0.1:37646", [32858, 41062], 0, [(0, "fin"), (1, "fin")])],
    "midstart-long-200": [("127.0.0.1:50051", [13410, 12098], 0, [(1, "fin"), (0, "fin")])],
    "mirror-twice-ok": [("127.0.0.1:37370", [7609, 5897], 0, [(0, "fin"), (1, "fin")])],
    "nginx-504": [
        ("127.0.0.1:46004", [541, 497], 0, [(0, "fin"), (1, "fin")]),
        ("127.0.0.1:55566", [288, 195], 0, [(0, "fin")]),
        ("127.0.0.1:55580", [284, 309], 0, [(0, "fin")]),
    ],
    "overlap-same-ok": [("127.0.0.1:37370", [7609, 5897], 0, [(0, "fin"), (1, "fin")])],
    "reorder-ok-2": [("127.0.0.1:37370", [7609, 5897], 0, [(1, "fin"), (0, "fin")])],
    "snap-96": [("127.0.0.1:60480", [419, 56373], 55122, [(0, "fin"), (1, "fin")])],
    "syn-dropped": [("10.99.0.1:45030", [0, 0], 0, [])],
    "tls13-reorder": [("127.0.0.1:57600", [6919, 5485], 0, [(0, "fin")])],
}


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("name", sorted(TRUTH))
def test_streams(name: str, columns: bool) -> None:
    link, frames = read_pcap(DATA / f"{name}.pcap")
    result = assemble(frames, link, columns=columns)
    found = [
        (
            one.connection.sides[0].address,
            one.next,
            sum(side.missing for side in one.connection.sides),
            [(side, how) for _, side, how, _ in one.of("ended")],  # type: ignore[misc]
        )
        for one in result.connections
    ]
    assert found == TRUTH[name]


def test_every_capture_has_its_truth() -> None:
    assert {path.stem for path in DATA.glob("*.pcap")} == set(TRUTH)


def test_edited_copies_hold_the_same_streams() -> None:
    streams = []
    for name in ("mirror-twice-ok", "overlap-same-ok", "reorder-ok-2"):
        link, frames = read_pcap(DATA / f"{name}.pcap")
        (one,) = assemble(frames, link).connections
        streams.append([bytes(data) for data in one.data])
    assert streams[0] == streams[1] == streams[2]
    assert streams[0][0].startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


def test_facts_of_a_blackhole() -> None:
    link, frames = read_pcap(DATA / "blackhole-midstream.pcap")
    (one,) = assemble(frames, link).connections
    client, server = one.connection.sides
    assert client.tail_since is not None
    assert client.tail_since.packet == 205
    assert len(client.tail_retransmissions) == client.retransmissions == 5
    assert server.last is not None
    assert server.last.packet == 203
    assert (client.acked, client.sent) == (16840, 18187)


def test_facts_of_dropped_syns() -> None:
    link, frames = read_pcap(DATA / "syn-dropped.pcap")
    (one,) = assemble(frames, link).connections
    client, server = one.connection.sides
    assert (client.syns, len(client.tail_retransmissions), server.packets) == (3, 2, 0)
    assert client.acked is None


def test_facts_of_a_lossy_link() -> None:
    link, frames = read_pcap(DATA / "lossy-link-healthy.pcap")
    (one,) = assemble(frames, link).connections
    client, server = one.connection.sides
    assert client.conflicts == server.conflicts == []
    assert server.reordered > 5
    assert server.mirrored == 3
    assert client.retransmissions == 4
