"""What a connection speaks and who is the client, told from its first bytes and never from its ports."""

from __future__ import annotations

import pytest
from captures import PREFACE, Conversation, Decoded, decode, http2
from h2_bytes import (
    END_STREAM,
    REQUEST,
    RESPONSE,
    SETTINGS,
    TRAILERS,
    Script,
    data,
    frame,
    message,
    settings,
    settings_ack,
    window_update,
)

from wirecase.model import CLIENT, SERVER

TLS_HELLO = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(194)
TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x46"
SSH = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"
HTTP_400 = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n"
UPGRADE = (
    b"GET /index.html HTTP/1.1\r\nHost: demo\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
)
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
OTHER = "other protocol on an HTTP/2 connection"


def every_way(talk: Conversation, *, forced: bool = False) -> Decoded:
    """Decode in one batch and packet by packet; what is told of the protocol is the same."""
    whole = decode(talk, forced=forced)
    for size in (1, 3):
        again = decode(talk, forced=forced, size=size)
        for one, other in zip(whole.sessions, again.sessions, strict=True):
            assert (one.protocol, one.flipped, one.roles) == (other.protocol, other.flipped, other.roles)
            assert [half.bytes for half in one.h2.halves] == [half.bytes for half in other.h2.halves]
            assert [half.preface for half in one.h2.halves] == [half.preface for half in other.h2.halves]
            assert one.h2.violations_seen == other.h2.violations_seen
            marks = [[held and held.mark for held in session.first_bytes] for session in (one, other)]
            assert marks[0] == marks[1]
        assert whole.accounting.skipped == again.accounting.skipped
        assert whole.log.totals == again.log.totals
    return whole


def call(script: Script | None = None, stream: int = 1) -> Script:
    """A healthy call."""
    made = script or Script().hello()
    return made.request(stream, message(b"ask")).response(stream, message(b"answer"))


# --- HTTP/2 from the start -------------------------------------------------------------------------------------------


def test_preface() -> None:
    done = every_way(http2(call()))
    session = done.session
    assert (session.protocol, session.roles, session.flipped) == ("h2", "preface", False)
    assert done.log.totals.ok == 1
    assert session.h2.halves[CLIENT].preface is not None
    assert session.h2.halves[CLIENT].preface.packet == 4
    assert done.accounting.skipped == {}


@pytest.mark.parametrize("size", [1, 2, 5, 23, 24, 25])
def test_preface_in_pieces(size: int) -> None:
    talk = Conversation().open()
    for side, payload in call().segments:
        first = side == CLIENT and len(talk.packets) == 3
        talk.send(side, PREFACE + payload if first else payload, size=size)
    done = every_way(talk)
    preface = done.session.h2.halves[CLIENT].preface
    assert preface is not None
    assert (preface.packet, preface.offset) == (4, 0)
    assert done.log.totals.ok == 1
    first = done.session.h2.halves[CLIENT].first_frame
    assert first is not None
    assert first[1].mark.offset == 24


@pytest.mark.parametrize("ports", [(50_051, 40_000), (80, 443), (443, 80), (5, 6)])
def test_ports_say_nothing(ports: tuple[int, int]) -> None:
    session = every_way(Conversation(ports).open().play(call())).session
    assert (session.protocol, session.flipped) == ("h2", False)
    assert session.client.address == f"10.0.0.1:{ports[0]}"


def test_server_speaks_first() -> None:
    script = call(Script().server(settings()).client(settings(), settings_ack()).server(settings_ack()))
    done = every_way(http2(script))
    assert (done.session.protocol, done.session.roles, done.log.totals.ok) == ("h2", "preface", 1)
    assert done.session.h2.violations == []


def test_server_speaks_first_without_a_handshake() -> None:
    script = call(Script().server(settings()).client(settings(), settings_ack()).server(settings_ack()))
    done = every_way(Conversation().play(script))
    assert (done.session.flipped, done.session.roles) == (True, "preface")  # the server's packet came first
    assert done.session.client.address == "10.0.0.1:40000"
    assert done.log.totals.ok == 1
    assert done.session.h2.violations == []


def test_only_the_preface() -> None:
    done = every_way(Conversation().open().send(CLIENT, PREFACE).fin(CLIENT, SERVER))
    assert done.session.protocol == "h2"
    assert done.session.h2.halves[CLIENT].bytes == 24


def test_half_a_preface() -> None:
    done = every_way(Conversation().open().send(CLIENT, PREFACE[:10]).fin(CLIENT, SERVER))
    assert done.session.protocol == "other"
    assert done.session.first_bytes[CLIENT] is not None


def test_nothing_at_all() -> None:
    done = every_way(Conversation().open().fin(SERVER, CLIENT))
    assert done.session.protocol == "empty"
    assert done.log.totals.total == 0


# --- others ----------------------------------------------------------------------------------------------------------


def test_tls() -> None:
    done = every_way(
        Conversation().open().send(CLIENT, TLS_HELLO).send(SERVER, TLS_HELLO).send(CLIENT, b"\x17\x03\x03\0\5hello")
    )
    assert done.session.protocol == "tls"
    assert done.session.tls is not None and done.session.tls.hidden == "no-server-hello"
    assert done.accounting.skipped == {"TLS whose handshake was not captured": 10}


def test_tls_in_mid_connection() -> None:
    done = every_way(Conversation().send(SERVER, b"\x17\x03\x03\x01\x00" + bytes(range(256)) * 2))
    assert done.session.protocol == "tls"


@pytest.mark.parametrize("size", [3, 1400])
def test_http1(size: int) -> None:
    talk = (
        Conversation()
        .open()
        .send(CLIENT, GET, size=size)
        .send(SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", size=size)
    )
    assert every_way(talk).session.protocol == "http1"


def test_http1_in_mid_connection() -> None:
    done = every_way(Conversation().send(SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").send(CLIENT, GET))
    assert done.session.protocol == "http1"


def test_something_else() -> None:
    talk = Conversation().open().send(SERVER, SSH).send(CLIENT, SSH).send(SERVER, bytes(range(256)))
    assert every_way(talk).session.protocol == "other"


# --- a peer that speaks something else -------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [HTTP_400, SSH, TLS_ALERT, b"220 mail.example ESMTP\r\n", b"\xff\xfe", b"no"])
@pytest.mark.parametrize("size", [1, 4, 1400])
def test_foreign_server(answer: bytes, size: int) -> None:
    script = Script().client(settings()).request(1, message(b"ask"))
    talk = Conversation().open().play(script).send(SERVER, answer, size=size).fin(SERVER, CLIENT)
    done = every_way(talk)
    session = done.session
    assert session.protocol == "h2"
    assert done.accounting.skipped == {OTHER: len(answer)}
    assert session.h2.violations == []
    kept = session.first_bytes[SERVER]
    assert kept is not None
    assert answer.startswith(kept.data[:1])
    assert done.log.totals.total == 1
    assert done.call.ending is not None
    assert (done.call.ending.how, done.call.ending.by) == ("fin", SERVER)


@pytest.mark.parametrize(
    ("opening", "kind"),
    [
        (frame(SETTINGS, 0, 0, bytes(5)), "fixed-size"),
        (settings(stream=1), "stream-id"),
        (settings(stream=2), "stream-id"),
    ],
)
@pytest.mark.parametrize("first", [CLIENT, SERVER])
def test_illegal_settings_are_still_http2(opening: bytes, kind: str, first: int) -> None:
    talk = Conversation().open()
    for side in (first, 1 - first):
        talk.send(side, PREFACE + settings() if side == CLIENT else opening)
    done = every_way(talk.fin(SERVER, CLIENT))
    assert done.session.protocol == "h2"
    assert done.accounting.skipped == {}
    assert done.session.h2.violations_seen == {(kind, SERVER): 1}


@pytest.mark.parametrize(
    "answer",
    [
        b"\0\0\5\4\x80\0\0\0\0hello",  # flags that SETTINGS has not
        b"\0\xff\0\4\0\0\0\0\0" + bytes(40),  # longer than SETTINGS are
        b"\0\0\5\4\0\x80\1\0\2hello",  # a stream that none can be
    ],
)
def test_what_is_only_like_settings_is_foreign(answer: bytes) -> None:
    talk = Conversation().open().send(CLIENT, PREFACE + settings()).send(SERVER, answer).fin(SERVER, CLIENT)
    assert every_way(talk).accounting.skipped == {OTHER: len(answer)}


@pytest.mark.parametrize("greeting", [SSH, HTTP_400])
def test_foreign_server_speaks_first(greeting: bytes) -> None:
    talk = Conversation().open().send(SERVER, greeting).play(Script().client(settings()).request(1)).fin(SERVER, CLIENT)
    done = every_way(talk)
    assert done.session.protocol == "h2"
    assert done.accounting.skipped == {OTHER: len(greeting)}
    assert done.session.h2.violations == []


@pytest.mark.parametrize(
    "asked",
    [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings(), GET, UPGRADE, b"POST /x HTTP/1.1\r\n\r\n", b"\x01\x02", SSH],
)
@pytest.mark.parametrize("server_first", [True, False])
def test_foreign_client(asked: bytes, server_first: bool) -> None:
    answer = settings((3, 100)) + window_update(0, 1000)
    talk = Conversation().open()
    for side, payload in ((SERVER, answer), (CLIENT, asked)) if server_first else ((CLIENT, asked), (SERVER, answer)):
        talk.send(side, payload)
    done = every_way(talk.fin(SERVER, CLIENT))
    session = done.session
    assert (session.protocol, session.flipped, session.roles) == ("h2", False, "syn")
    assert done.accounting.skipped == {OTHER: len(asked)}
    assert session.h2.violations == []
    kept = session.first_bytes[CLIENT]
    assert kept is not None
    assert kept.data == asked[:256]
    first = session.h2.halves[SERVER].first_frame
    assert first is not None
    assert first[0] == 4


def test_tls_client_of_a_cleartext_server() -> None:
    done = every_way(Conversation().open().send(CLIENT, TLS_HELLO).send(SERVER, settings()).fin(SERVER, CLIENT))
    assert done.session.protocol == "tls"
    kept = done.session.first_bytes[SERVER]
    assert kept is not None
    assert kept.data == settings()


def test_cleartext_client_of_a_tls_server() -> None:
    done = every_way(
        Conversation().open().play(Script().client(settings())).send(SERVER, TLS_ALERT).fin(SERVER, CLIENT)
    )
    assert done.session.protocol == "h2"
    assert done.accounting.skipped == {OTHER: len(TLS_ALERT)}


# --- h2c by Upgrade --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [7, 1400])
def test_upgrade(size: int) -> None:
    script = Script()
    answer = script.peers[SERVER].headers(1, ((":status", "200"), ("content-type", "text/html"))) + data(
        1, b"page", END_STREAM
    )
    talk = Conversation().open().send(CLIENT, UPGRADE, size=size).send(SERVER, SWITCHING + settings(), size=size)
    talk.send(CLIENT, PREFACE + settings() + settings_ack(), size=size).send(SERVER, settings_ack() + answer, size=size)
    done = every_way(talk.fin(CLIENT, SERVER))
    session = done.session
    assert (session.protocol, session.roles) == ("h2", "preface")
    assert session.h2.upgraded
    assert done.accounting.skipped == {"HTTP/1.1 before the upgrade": len(UPGRADE) + len(SWITCHING)}
    assert session.h2.violations == []  # stream 1 is the upgraded request (RFC 7540 §3.2): not idle
    preface = session.h2.halves[CLIENT].preface
    assert preface is not None
    assert preface.offset == len(UPGRADE)


def test_more_calls_on_an_upgraded_connection() -> None:
    script = Script()
    answer = script.peers[SERVER].headers(1, ((":status", "200"),)) + data(1, b"page", END_STREAM)
    talk = Conversation().open().send(CLIENT, UPGRADE).send(SERVER, SWITCHING + settings())
    talk.send(CLIENT, PREFACE + settings()).send(SERVER, answer)
    call(script, 3)
    done = every_way(talk.play(script, preface=False).fin(CLIENT, SERVER))
    assert done.session.h2.violations == []
    assert done.log.totals.ok == 1


@pytest.mark.parametrize("refusal", [HTTP_400, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])
def test_upgrade_refused(refusal: bytes) -> None:
    done = every_way(Conversation().open().send(CLIENT, UPGRADE).send(SERVER, refusal).fin(SERVER, CLIENT))
    assert done.session.protocol == "http1"


def test_upgrade_to_something_else() -> None:
    asked = UPGRADE.replace(b"h2c", b"websocket")
    done = every_way(Conversation().open().send(CLIENT, asked).send(SERVER, SWITCHING).send(SERVER, b"\x81\x05hello"))
    assert done.session.protocol == "http1"


# --- mid-connection --------------------------------------------------------------------------------------------------


def middle() -> Script:
    """A script whose encoders were used before."""
    script = call(Script())
    script.segments.clear()
    return script


def test_mid_connection_is_recognised_by_its_frames() -> None:
    talk = Conversation().play(call(call(middle(), 5), 7), preface=False)
    done = every_way(talk)
    session = done.session
    assert (session.protocol, session.roles, session.flipped) == ("h2", "content", False)
    assert session.h2.violations == []
    assert [half.joined_late for half in session.h2.halves] == [True, True]
    assert not session.from_start
    assert done.log.totals.total == 2


def test_mid_connection_from_the_server_s_side() -> None:
    script = middle()
    script.request(5, message(b"ask"))
    script.segments.clear()
    script.response(5, message(b"answer"))
    session = every_way(Conversation().play(call(script, 7), preface=False)).session
    assert session.protocol == "h2"
    assert session.client.address == "10.0.0.1:40000"
    assert session.h2.violations == []


def test_mid_connection_without_any_hint_who_is_who() -> None:
    talk = Conversation().send(SERVER, data(5, bytes(100)) + data(5, bytes(50))).send(CLIENT, window_update(5, 150))
    done = every_way(talk)
    assert done.session.protocol == "h2"
    assert done.session.roles == "guess"
    assert done.session.h2.violations == []


def test_handshake_seen_and_beginning_missing() -> None:
    talk = Conversation().open().lose(CLIENT, 24 + 9).lose(SERVER, 18).play(call(middle(), 5), preface=False)
    done = every_way(talk)
    assert (done.session.protocol, done.session.flipped) == ("h2", False)
    assert done.session.h2.violations == []


@pytest.mark.parametrize("side", [CLIENT, SERVER])
@pytest.mark.parametrize("handshake", [True, False])
def test_one_direction_only(side: int, handshake: bool) -> None:
    talk = Conversation()
    talk.open().play(call(call(), 3)).fin(CLIENT, SERVER)
    mine = [packet for packet in talk.packets if packet[1][15] == 1 + side]
    done = every_way(decode_input(mine if handshake else mine[2:]))
    session = done.session
    assert session.protocol == "h2"
    assert session.one_direction
    assert session.client.address == "10.0.0.1:40000"
    assert session.h2.violations == []
    assert session.h2.halves[side].frames.by_type[0] == 2


def decode_input(packets: list[tuple[int, bytes]]) -> Conversation:
    """Packets as a conversation."""
    talk = Conversation()
    talk.packets = packets
    return talk


# --- by decree -------------------------------------------------------------------------------------------------------


def test_forced() -> None:
    script = Script()
    peer = script.peers[SERVER]
    wire = peer.headers(1, RESPONSE) + data(1, message(b"a" * 100)) + peer.headers(1, TRAILERS, END_STREAM)
    for talk in (Conversation().send(SERVER, wire[40:]), Conversation().open().send(SERVER, wire[40:])):
        done = every_way(talk, forced=True)
        assert done.session.protocol == "h2"
        assert done.session.h2.violations == []


def test_forced_a_server_may_greet_first() -> None:
    sent = [b"".join(payload for side, payload in call().segments if side == one) for one in (CLIENT, SERVER)]
    talk = Conversation().open().send(SERVER, sent[SERVER][:9]).send(CLIENT, PREFACE + sent[CLIENT])
    done = every_way(talk.send(SERVER, sent[SERVER][9:]), forced=True)
    assert done.session.h2.halves[CLIENT].preface is not None
    assert done.log.totals.ok == 1
    assert not done.accounting.skipped


def test_forced_does_not_make_tls_or_http1_into_http2() -> None:
    talk = Conversation().open().send(CLIENT, TLS_HELLO).send(SERVER, TLS_HELLO)
    assert every_way(talk, forced=True).session.protocol == "tls"
    talk = Conversation().open().send(CLIENT, GET).send(SERVER, HTTP_400)
    assert every_way(talk, forced=True).session.protocol == "http1"


def test_forced_changes_nothing_for_what_is_recognised_anyway() -> None:
    done = every_way(http2(call()), forced=True)
    assert (done.session.protocol, done.log.totals.ok) == ("h2", 1)
    assert done.session.h2.halves[CLIENT].joined_late is False


def test_request_headers_need_no_settings() -> None:
    script = Script().client(Script().peers[CLIENT].headers(1, REQUEST, END_STREAM))
    done = every_way(Conversation().open().play(script))
    assert done.session.protocol == "h2"
    first = done.session.h2.halves[CLIENT].first_frame
    assert first is not None
    assert first[0] == 1
