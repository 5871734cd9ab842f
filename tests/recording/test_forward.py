"""What one side does is what the other side sees, and what is told of it."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
import time

import pytest
from proxying import drain, echo, proxy, reset, server

from wirecase.sources.live.poller import ERR, HUP, Poller
from wirecase.sources.live.ring import Kind, Slot
from wirecase.sources.live.targets import Targets


def _closed_port() -> tuple[str, int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[:2]


@pytest.mark.parametrize("epoll", [None, False])
def test_bytes_pass_both_ways_and_are_told(epoll: bool | None) -> None:
    sent = os.urandom(3_000_000)
    with server(echo) as target, proxy(target, epoll=epoll, ring_bytes=16 << 20) as rig:
        with rig.connect() as sock:
            threading.Thread(target=lambda: (sock.sendall(sent), sock.shutdown(socket.SHUT_WR))).start()
            assert hashlib.sha256(drain(sock)).digest() == hashlib.sha256(sent).digest()
        rig.until(Kind.closed)
        assert rig.stream(0) == sent
        assert rig.stream(1) == sent
        assert [one.kind for one in rig.told if one.kind in (Kind.fin, Kind.rst)] == [Kind.fin, Kind.fin]
        assert [one.kind for one in rig.told][:2] == [Kind.opened, Kind.established]
        assert rig.ring.slots[Slot.lost_bytes] == 0


def test_a_half_closed_client_still_gets_its_answer() -> None:
    def late(sock: socket.socket) -> None:
        asked = drain(sock)  # to the client's FIN
        time.sleep(0.1)
        sock.sendall(asked[::-1])

    with server(late) as target, proxy(target) as rig, rig.connect() as sock:
        sock.sendall(b"abc")
        sock.shutdown(socket.SHUT_WR)
        assert drain(sock) == b"cba"
        told = rig.until(Kind.closed)
        assert [(one.kind, one.side) for one in told if one.kind in (Kind.data, Kind.fin)] == [
            (Kind.data, 0), (Kind.fin, 0), (Kind.data, 1), (Kind.fin, 1),
        ]  # fmt: skip


def test_a_half_closed_server_still_hears_the_client() -> None:
    heard = []

    def first(sock: socket.socket) -> None:
        sock.sendall(b"bye")
        sock.shutdown(socket.SHUT_WR)
        heard.append(drain(sock))

    with server(first) as target, proxy(target) as rig:
        with rig.connect() as sock:
            assert drain(sock) == b"bye"
            sock.sendall(b"still here")
        rig.until(Kind.closed)
        assert heard == [b"still here"]


def test_a_reset_of_the_server_is_one_for_the_client_after_what_came_before() -> None:
    def cut(sock: socket.socket) -> None:
        sock.recv(10)
        sock.sendall(b"x" * 200_000)
        time.sleep(0.2)
        reset(sock)

    with server(cut) as target, proxy(target) as rig, rig.connect() as sock:
        sock.sendall(b"go")
        got = bytearray()

        def read_on() -> None:
            while piece := sock.recv(1 << 16):
                got.extend(piece)

        with pytest.raises(ConnectionResetError):
            read_on()
        assert got == b"x" * 200_000
        told = rig.until(Kind.closed)
        assert [(one.kind, one.side) for one in told if one.kind in (Kind.fin, Kind.rst)] == [(Kind.rst, 1)]


def test_a_reset_of_the_client_is_one_for_the_server() -> None:
    ended = []
    over = threading.Event()

    def listen(sock: socket.socket) -> None:
        try:
            while sock.recv(100):
                pass
            ended.append("fin")
        except ConnectionResetError:
            ended.append("rst")
        over.set()

    with server(listen) as target, proxy(target) as rig:
        sock = rig.connect()
        sock.sendall(b"hello")
        rig.until(Kind.data)
        reset(sock)
        assert over.wait(5)
        assert ended == ["rst"]
        assert [(one.kind, one.side) for one in rig.until(Kind.closed) if one.kind == Kind.rst] == [(Kind.rst, 0)]


@pytest.mark.parametrize("gone", [0, 1])
def test_what_meets_a_reset_is_told_before_it(gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One side resets, the other one has just begun to send: nobody takes that, but it was on the wire."""
    goes_on, stands, wait = threading.Event(), threading.Event(), Poller.wait

    def held(self: Poller, seconds: float) -> list[tuple[int, int]]:
        end = time.monotonic() + seconds
        while True:
            if not goes_on.is_set():
                stands.set()
                goes_on.wait()
            found = wait(self, 0)
            if found or time.monotonic() > end:
                return sorted(found, key=lambda one: not one[1] & (ERR | HUP))
            time.sleep(0.001)

    monkeypatch.setattr(Poller, "wait", held)
    goes_on.set()
    far: list[socket.socket] = []

    def wait_for_the_end(sock: socket.socket) -> None:
        sock.sendall(b"hello")
        far.append(sock)
        over.wait(5)

    over = threading.Event()
    with server(wait_for_the_end) as target, proxy(target) as rig:
        client = rig.connect()
        assert client.recv(5) == b"hello"
        ends = [client, far[0]]
        goes_on.clear()
        assert stands.wait(5)
        reset(ends[gone])
        ends[not gone].sendall(b"a call begins")
        goes_on.set()
        told = rig.until(Kind.closed)
        over.set()
    assert [(Kind(one.kind).name, one.side) for one in told[-3:]] == [("data", not gone), ("rst", gone), ("closed", 0)]
    assert rig.stream(not gone).endswith(b"a call begins")
    client.close()


def test_a_server_that_refuses_shows_as_a_reset() -> None:
    with proxy(_closed_port()) as rig:
        with pytest.raises(ConnectionResetError):
            rig.connect().recv(1)
        told = rig.until(Kind.closed)
        assert [Kind(one.kind).name for one in told] == ["opened", "refused", "closed"]
        assert told[1].data == b"ECONNREFUSED"


def test_the_address_that_answers_is_the_one_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address of a name refuses: that is no fault as long as another one answers, and is not tried again."""
    refusing = _closed_port()

    def look_up(self: Targets) -> list[tuple[int, tuple[str, int]]]:
        return [(socket.AF_INET, refusing), (socket.AF_INET, right)]

    monkeypatch.setattr(Targets, "_look_up", look_up)
    with server(echo) as right, proxy(right) as rig:
        for _ in range(2):
            with rig.connect() as sock:
                sock.sendall(b"hello")
                assert sock.recv(5) == b"hello"
        told = rig.until(Kind.closed, count=3)
    opened = [one.data.decode().split()[1] for one in told if one.kind == Kind.opened]
    wrong = f"127.0.0.1:{refusing[1]}"
    assert opened == [wrong, f"127.0.0.1:{right[1]}", f"127.0.0.1:{right[1]}"]
    assert not [one for one in told if one.kind == Kind.refused]
    established = [one.connection for one in told if one.kind == Kind.established]
    assert established == [2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how often a SYN was sent")
def test_a_server_that_answers_no_syn_is_no_server_that_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as busy:
        place = busy.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # fill its backlog: the kernel drops what comes then
            one.setblocking(False)
            one.connect_ex(place)
        with proxy(place) as rig:
            sock = rig.connect()
            told = rig.until(Kind.again)
            sock.close()
        assert [Kind(one.kind).name for one in told] == ["opened", "again"]
        assert int.from_bytes(told[1].data, "little") == 1
        assert told[1].time - told[0].time > 900_000_000
        for one in waiting:
            one.close()


def test_a_slow_reader_holds_its_writer_back() -> None:
    ready = threading.Event()
    size = 64 << 20

    def pour(sock: socket.socket) -> None:
        sent = 0
        sock.settimeout(0.5)
        block = bytes(1 << 16)
        try:
            while sent < size:
                sent += sock.send(block)
        except TimeoutError:
            held.append(sent)
        sock.settimeout(10)
        ready.set()
        while sent < size:
            sent += sock.send(block[: min(size - sent, len(block))])

    held: list[int] = []
    with server(pour) as target, proxy(target, ring_bytes=80 << 20) as rig, rig.connect() as sock:
        assert ready.wait(10)
        assert held, "the server could send everything although nobody read"
        assert held[0] < size
        assert any(one.kind == Kind.blocked and one.side == 0 for one in rig.until(Kind.blocked))
        assert len(drain(sock)) == size


def test_a_slow_reader_that_has_closed_its_side_gets_everything() -> None:
    """The server's FIN behind bytes that wait to be passed on is no reset."""
    size = 30 << 20

    def pour(sock: socket.socket) -> None:
        drain(sock)
        sock.sendall(bytes(size))

    with server(pour) as target, proxy(target, ring_bytes=40 << 20) as rig, rig.connect() as sock:
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.5)
        assert len(drain(sock)) == size
        told = rig.until(Kind.closed)
        assert [(one.kind, one.side) for one in told if one.kind in (Kind.fin, Kind.rst)] == [
            (Kind.fin, 0),
            (Kind.fin, 1),
        ]


def test_peers_that_stall_or_flood_do_not_harm_others() -> None:
    with server(echo) as target, proxy(target, ring_bytes=4 << 20) as rig:
        stalled = rig.connect()
        stalled.setblocking(False)
        flood = bytes(1 << 20)
        for _ in range(64):  # never reads what comes back
            try:
                stalled.send(flood)
            except BlockingIOError:
                break
        garbage = [rig.connect() for _ in range(20)]
        for sock in garbage:
            sock.sendall(os.urandom(1000))
        half_closed = rig.connect()
        half_closed.shutdown(socket.SHUT_WR)
        with rig.connect() as sock:
            for number in range(50):
                sock.sendall(b"ping %d" % number)
                assert sock.recv(100) == b"ping %d" % number
        for one in (stalled, half_closed, *garbage):
            one.close()


def test_what_finds_no_room_is_passed_on_and_counted() -> None:
    sent = os.urandom(5_000_000)
    with server(echo) as target, proxy(target, ring_bytes=1 << 20) as rig:
        with rig.connect() as sock:
            threading.Thread(target=lambda: (sock.sendall(sent), sock.shutdown(socket.SHUT_WR))).start()
            assert drain(sock) == sent
        time.sleep(0.1)
        told = rig.until(Kind.closed)
        for side in (0, 1):
            lost = sum(int.from_bytes(one.data, "little") for one in told if one.kind == Kind.lost and one.side == side)
            assert lost
            assert lost + len(rig.stream(side)) == len(sent)


def test_traffic_that_may_wait_is_recorded_in_full() -> None:
    sent = os.urandom(5_000_000)
    with server(echo) as target, proxy(target, ring_bytes=1 << 20, wait=True) as rig, rig.connect() as sock:
        threading.Thread(target=lambda: (sock.sendall(sent), sock.shutdown(socket.SHUT_WR))).start()
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(drain(sock)))
        reader.start()
        rig.until(Kind.closed)
        reader.join(10)
        assert got == [sent]
        assert rig.stream(0) == rig.stream(1) == sent
        assert not [one for one in rig.told if one.kind == Kind.lost]


def test_acknowledgements_are_those_of_the_peers() -> None:
    with server(echo) as target, proxy(target) as rig, rig.connect() as sock:
        for _ in range(3):
            sock.sendall(b"x" * 1000)
            got = b""
            while len(got) < 1000:
                got += sock.recv(1000)
        told = rig.until(Kind.acked)
        for side in (0, 1):
            acked = [one.acked for one in told if one.side == side and one.acked is not None]
            assert acked == sorted(acked)
            assert acked[-1] == 3000


def test_more_clients_than_are_taken_wait_in_line() -> None:
    with server(echo) as target, proxy(target, most=2) as rig:
        first = [rig.connect() for _ in range(2)]
        for sock in first:
            sock.sendall(b"a")
            assert sock.recv(1) == b"a"
        third = rig.connect()
        third.sendall(b"b")
        third.settimeout(0.3)
        with pytest.raises(TimeoutError):
            third.recv(1)
        first[0].close()
        third.settimeout(5)
        assert third.recv(1) == b"b"
        for sock in (first[1], third):
            sock.close()


def test_nothing_is_left_open() -> None:
    import psutil

    with server(echo) as target, proxy(target) as rig:
        before = psutil.Process().num_fds()
        for number in range(40):
            sock = rig.connect()
            sock.sendall(b"x")
            sock.recv(1)
            if number % 2:
                reset(sock)
            else:
                sock.close()
        rig.until(Kind.closed, count=40)
        time.sleep(0.2)
        assert psutil.Process().num_fds() <= before + 2
        assert rig.ring.slots[Slot.accepted] == 40
