"""Captures as plans: what can be served, what cannot and why, and what each connection consists of."""

from __future__ import annotations

from pathlib import Path

import pytest
from captures import Conversation, pcap
from h2_bytes import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    REQUEST,
    RESPONSE,
    TRAILERS,
    WINDOW_UPDATE,
    Peer,
    data,
    frame,
    goaway,
    message,
    padded,
    rst,
    settings,
    settings_ack,
    window_update,
)

from wirecase.errors import UsageError
from wirecase.model import CLIENT, SERVER
from wirecase.replay.plan import CannotReplayError, Data, End, Frame, Headers, More, Plan, Raw, read_plan

FIXTURES = Path(__file__).parents[3] / "fixtures"
REFUSED = {
    "h2-continuation-flood": "no whole request",
    "h2-flood-settings-ack": "no whole request",
    "healthy-h2c-upgrade": "no whole request",
    "healthy-http1": "no connection in the capture speaks HTTP/2",
    "healthy-web": "no whole request",
    "obs-encrypted": "TLS without keys",
    "obs-gap": "missing from the recording",
    "obs-one-direction": "no whole request",
    "obs-snaplen": "no whole request",
    "tcp-connect-timeout": "nobody answered",
    "tcp-peer-silent": "the network swallowed",
    "tcp-refused": "has no server",
    "tcp-retransmission-storm": "the network lost",
    "tcp-zero-window": "the kernel's",
    "tls-alert": "it lies in TLS",
    "tls-handshake-failed": "it lies in TLS",
    "tls-no-alpn-h2": "another ALPN",
    "tls-partial-keys": "no whole request",
    "web-server-killed": "no whole request",
}
"""Fixtures that no server can replay."""
CASES = sorted(
    folder.name
    for folder in FIXTURES.iterdir()
    if folder.name != "container-not-a-capture" and any(folder.glob("capture*"))
)


def _capture(name: str) -> str:
    return str(next((FIXTURES / name).glob("capture*")))


@pytest.mark.parametrize("name", CASES)
def test_each_fixture_is_a_plan_or_refused_with_its_reason(name: str) -> None:
    reason = REFUSED.get(name)
    if reason is not None:
        with pytest.raises(CannotReplayError, match=reason) as caught:
            read_plan(_capture(name))
        assert caught.value.exit_status == 3
        assert "\n" not in str(caught.value)
        return
    plan = read_plan(_capture(name))
    assert plan.connections
    assert all(made.server == plan.server for made in plan.connections)
    for made in plan.connections:
        assert [act.order for act in made.acts] == list(range(len(made.acts)))
        for call in made.calls.values():
            assert [act.call for act in call.acts] == [call.number] * len(call.acts)
            assert all(need.call == call.number for act in call.acts for need in act.anchor.needs)
            assert all(act.anchor.delay >= 0 for act in call.acts)
    plan.close()


def test_the_leg_that_the_client_saw_is_chosen() -> None:
    plan = read_plan(_capture("incident"))
    assert plan.server == "127.0.0.1:8080"
    assert [made.index for made in plan.connections] == [0]
    assert {path.rpartition("/")[2] for path in plan.healthy} == {"Handshake", "GetFlightInfo", "DoGet"}
    behind = read_plan(_capture("incident"), finding="F1")
    assert behind.server == "127.0.0.1:8815"
    assert [call.faults for call in behind.calls()] == [["body-cut-connection"]]
    assert isinstance(behind.connections[0].acts[-1], End)


def test_one_call_alone() -> None:
    plan = read_plan(_capture("incident"), call=42)
    (call,) = plan.calls()
    assert (call.number, call.faults) == (42, ["rst-midbody"])
    assert {act.stream for act in plan.connections[0].acts} == {0, call.stream}


@pytest.mark.parametrize("wrong", [{"call": 99999}, {"finding": "F99"}])
def test_what_is_not_there(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        read_plan(_capture("incident"), **wrong)  # type: ignore[arg-type]


def test_a_pipe_cannot_be_read_twice() -> None:
    with pytest.raises(CannotReplayError, match="twice"):
        read_plan("-")


# --- acts ------------------------------------------------------------------------------------------------------------


class _Made:
    """A recording of one connection."""

    def __init__(self) -> None:
        self.talk = Conversation().open()
        self.peers = (Peer(), Peer())
        self.talk.send(CLIENT, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings())
        self.talk.send(SERVER, settings((3, 100)) + settings_ack()).send(CLIENT, settings_ack())

    def ask(self, stream: int, body: bytes, flags: int = END_STREAM) -> _Made:
        self.talk.send(CLIENT, self.peers[CLIENT].headers(stream, REQUEST) + data(stream, body, flags))
        return self

    def plan(self, folder: Path) -> Plan:
        path = folder / "made.pcap"
        path.write_bytes(pcap(self.talk.packets))
        return read_plan(str(path))


def test_frames_keep_their_shape(tmp_path: Path) -> None:
    made = _Made().ask(1, message(b"?"))
    peer = made.peers[SERVER]
    made.talk.send(SERVER, *peer.continued(1, (*RESPONSE, ("x-long", "y" * 300)), (5, 5, 40)))
    made.talk.send(SERVER, frame(DATA, PADDED, 1, padded(b"abc", 7)))
    made.talk.send(SERVER, data(1, b"C" * 70_000), size=1000)
    made.talk.send(SERVER, frame(HEADERS, END_HEADERS | END_STREAM | PADDED | 0x20, 1, padded(
        bytes.fromhex("8000000110") + peer.block(TRAILERS), 3)))  # fmt: skip
    (call,) = made.plan(tmp_path).calls()
    first, pad, large, last = call.acts
    assert isinstance(first, Headers) and [one.size for one in first.fragments][:2] == [5, 0]
    assert first.get(b"x-long") == b"y" * 300
    assert isinstance(pad, Data) and (pad.pad, pad.body.read(), pad.length) == (7, b"abc", 11)
    assert isinstance(large, Data) and large.body.read() == b"C" * 70_000
    assert isinstance(last, Headers) and last.end_stream
    assert (last.fragments[0].before, last.fragments[0].after) == (bytes.fromhex("038000000110"), 3)


def test_pauses_within_a_frame_and_its_cut(tmp_path: Path) -> None:
    made = _Made().ask(1, message(b"?"))
    made.talk.send(SERVER, made.peers[SERVER].headers(1, RESPONSE))
    whole = data(1, b"x" * 100)
    made.talk.send(SERVER, whole[:19]).wait(1.0).send(SERVER, whole[19:29]).wait(0.5).reset(SERVER)
    plan = made.plan(tmp_path)
    (call,) = plan.calls()
    _, begun, more = call.acts
    assert isinstance(begun, Data) and (begun.length, begun.body.size) == (100, 10)
    assert isinstance(more, More) and more.body.size == 10
    assert 1.0 <= more.anchor.delay / 1e9 < 1.1
    (end,) = [act for act in plan.connections[0].acts if isinstance(act, End)]
    assert (end.side, end.how, end.anchor.needs[0].acts) == (SERVER, "rst", 3)
    assert not plan.connections[0].survivable


def test_what_is_no_frame(tmp_path: Path) -> None:
    made = _Made().ask(1, message(b"?"))
    made.talk.send(SERVER, b"\0\0\x30\x07\0\0\0\0\0cut").fin(SERVER, CLIENT)
    plan = made.plan(tmp_path)
    raw = [act for act in plan.connections[0].acts if isinstance(act, Raw) and act.side == SERVER]
    assert [act.data for act in raw] == [b"\0\0\x30\x07\0\0\0\0\0cut"]


def test_anchors(tmp_path: Path) -> None:
    made = _Made().ask(1, message(b"one"), 0)
    made.talk.wait(0.2).send(SERVER, made.peers[SERVER].headers(1, RESPONSE))
    made.talk.send(CLIENT, data(1, message(b"two") + b"\0\0", END_STREAM))
    made.talk.wait(0.3).send(SERVER, rst(1, 2))
    made.ask(3, message(b"?"))
    made.talk.wait(0.4).send(SERVER, goaway(1, 11, b"calm"))
    plan = made.plan(tmp_path)
    first, second = plan.calls()
    headers, reset = first.acts
    assert headers.anchor.needs[0]._replace(data=0) == (first.number, 1, 0, False, 0)
    assert reset.anchor.needs[0]._replace(data=0) == (first.number, 2, 0, True, 1)
    assert 0.2 <= headers.anchor.delay / 1e9 < 0.21
    assert 0.3 <= reset.anchor.delay / 1e9 < 0.31
    (away,) = [act for act in plan.connections[0].acts if isinstance(act, Frame) and act.kind == 7]
    assert [need.call for need in away.anchor.needs] == [second.number]
    assert 0.4 <= away.anchor.delay / 1e9 < 0.41
    assert (first.unprocessed, second.unprocessed) == (False, True)


def test_what_a_server_begins_with_waits_for_nobody(tmp_path: Path) -> None:
    made = Conversation().open()
    peers = (Peer(), Peer())
    hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings()
    made.send(CLIENT, hello + peers[CLIENT].headers(1, REQUEST) + data(1, message(b"?"), END_STREAM))
    made.send(SERVER, settings() + settings_ack() + goaway(0, 2))
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(made.packets))
    acts = [act for act in read_plan(str(path)).connections[0].acts if act.side == SERVER]
    assert [bool(act.anchor.needs) for act in acts] == [False, False, True]


def test_a_hole_in_a_frame_is_filled_and_one_between_frames_refused(tmp_path: Path) -> None:
    made = _Made().ask(1, message(b"?"))
    peer = made.peers[SERVER]
    made.talk.send(SERVER, peer.headers(1, RESPONSE))
    whole = data(1, message(b"z" * 5000))
    made.talk.send(SERVER, whole[:2000]).lose(SERVER, 1000).send(SERVER, whole[3000:])
    made.talk.send(SERVER, peer.headers(1, TRAILERS, END_STREAM)).fin(SERVER, CLIENT)
    plan = made.plan(tmp_path)
    (call,) = plan.calls()
    body = b"".join(act.body.read() for act in call.acts if isinstance(act, Data | More))
    assert body == message(b"z" * 1986 + bytes(1000) + b"z" * 2014)
    assert "filled" in {word for word, _ in plan.notes}
    assert call.refused is None


@pytest.mark.parametrize("lost", ["headers", "body", "both"])
def test_a_hole_up_to_the_trailers_is_refused(tmp_path: Path, lost: str) -> None:
    made = _Made().ask(1, message(b"?"))
    peer = made.peers[SERVER]
    for name, part in (("headers", peer.headers(1, RESPONSE)), ("body", data(1, message(b"z" * 50)))):
        if lost in (name, "both"):
            made.talk.lose(SERVER, len(part))
        else:
            made.talk.send(SERVER, part)
    made.talk.send(SERVER, peer.headers(1, TRAILERS, END_STREAM)).fin(SERVER, CLIENT)
    with pytest.raises(CannotReplayError, match="a part of its answer is missing"):
        made.plan(tmp_path)


def test_a_hole_in_another_call_is_not_in_the_way(tmp_path: Path) -> None:
    made = _Made().ask(1, message(b"?"))
    peer = made.peers[SERVER]
    made.talk.send(SERVER, peer.headers(1, RESPONSE) + peer.headers(1, TRAILERS, END_STREAM))
    made.ask(3, message(b"?"))
    begin = peer.headers(3, RESPONSE)
    made.talk.lose(SERVER, len(begin)).send(SERVER, peer.headers(3, TRAILERS, END_STREAM)).fin(SERVER, CLIENT)
    plan = made.plan(tmp_path)
    assert [call.refused is None for call in plan.calls()] == [True, False]
    assert "left-out" in {word for word, _ in plan.notes}


def test_the_retry_of_a_request_that_was_cut(tmp_path: Path) -> None:
    made = _Made()
    made.talk.send(CLIENT, made.peers[CLIENT].headers(1, REQUEST)).send(SERVER, rst(1, 7))
    made.ask(3, message(b"all of it"))
    made.talk.send(SERVER, rst(3, 2))
    calls = list(made.plan(tmp_path).calls())
    assert calls[0].retried_by == calls[1].number


def test_credit_right_before_a_fault_is_marked(tmp_path: Path) -> None:
    made = _Made().ask(1, message(b"?"))
    made.talk.send(SERVER, window_update(0, 6)).wait(0.5)
    made.talk.send(SERVER, window_update(0, 6) + window_update(1, 6)).reset(SERVER)
    acts = made.plan(tmp_path).connections[0].acts
    credit = [act for act in acts if isinstance(act, Frame) and act.kind == WINDOW_UPDATE]
    assert [act.at_once for act in credit] == [False, True, True]


def test_a_retry_is_recognised(tmp_path: Path) -> None:
    made = _Made().ask(1, message(b"same"))
    made.talk.send(SERVER, rst(1, 7))
    made.ask(3, message(b"other")).ask(5, message(b"same"))
    made.talk.send(SERVER, rst(5, 2))
    calls = list(made.plan(tmp_path).calls())
    assert [call.retried_by for call in calls] == [calls[2].number, None, None]
    assert calls[0].request_digest == calls[2].request_digest != calls[1].request_digest
