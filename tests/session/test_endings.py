"""How a call ended: by whom, with what, where; for every way that `wirecase.session.call.How` names."""

from __future__ import annotations

from typing import get_args

import pytest
from captures import Conversation, Decoded, decode, http2
from h2_bytes import (
    END_STREAM,
    REQUEST,
    RESPONSE,
    TRAILERS,
    Peer,
    Script,
    data,
    goaway,
    message,
    rst,
)

from wirecase.http2.facts import DATA, HEADERS
from wirecase.model import CLIENT, SERVER
from wirecase.session.call import How

NO_TRAILERS = (("grpc-status", "5"), ("grpc-message", "none"))


def both(talk: Conversation) -> Decoded:
    """Decode in one batch, packet by packet and by columns: what is told of the calls is the same."""
    whole = decode(talk)
    for again in (decode(talk, size=1), decode(talk, columns=True)):
        assert again.log.totals == whole.log.totals
        assert again.log.statuses == whole.log.statuses
        assert [summary(call) for call in again.log.suspicious] == [summary(call) for call in whole.log.suspicious]
    return whole


def summary(call: object) -> tuple[object, ...]:
    """What a rule can ask of a call's end."""
    names = (
        "index", "kind", "path", "authority", "ending", "status_text", "grpc_status", "http_status", "content_type",
        "response_complete", "blurred", "started", "status_hidden",
    )  # fmt: skip
    return tuple(getattr(call, name) for name in names)


def asked(*, end: bool = True) -> Script:
    """A request on stream 1."""
    return Script().hello().request(1, message(b"ask"), end=end)


def answering(body: bytes = message(b"part") + message(b"n" * 100)[:50]) -> Script:
    """An answer that has begun."""
    script = asked()
    return script.server(script.peers[SERVER].headers(1, RESPONSE), data(1, body))


def trailers() -> tuple[Conversation, str, int | None, int]:
    script = asked().response(1, message(b"x"), NO_TRAILERS)
    return http2(script), "trailers", SERVER, len(script.segments)


def trailers_only() -> tuple[Conversation, str, int | None, int]:
    script = asked()
    script.server(script.peers[SERVER].headers(1, (*RESPONSE, *NO_TRAILERS), END_STREAM))
    return http2(script), "trailers-only", SERVER, len(script.segments)


def ended_by_data() -> tuple[Conversation, str, int | None, int]:
    script = answering(message(b"x")).server(data(1, message(b"y"), END_STREAM))
    return http2(script), "data", SERVER, len(script.segments)


def ended_by_empty_data() -> tuple[Conversation, str, int | None, int]:
    script = answering(message(b"x")).server(data(1, b"", END_STREAM))
    return http2(script), "data", SERVER, len(script.segments)


def reset_by_server() -> tuple[Conversation, str, int | None, int]:
    script = answering().server(rst(1, 2))
    return http2(script), "rst", SERVER, len(script.segments)


def reset_by_client() -> tuple[Conversation, str, int | None, int]:
    script = answering().client(rst(1, 8)).server(data(1, b"in flight"))
    return http2(script), "rst", CLIENT, len(script.segments) - 1


def reset_before_an_answer() -> tuple[Conversation, str, int | None, int]:
    script = asked().server(rst(1, 7))
    return http2(script), "rst", SERVER, len(script.segments)


def left_behind_by_goaway() -> tuple[Conversation, str, int | None, int]:
    script = asked().server(goaway(0, 0))
    return http2(script, SERVER, CLIENT), "goaway", SERVER, len(script.segments)


def server_closes() -> tuple[Conversation, str, int | None, int]:
    return http2(answering(), SERVER, CLIENT), "fin", SERVER, 0


def client_closes() -> tuple[Conversation, str, int | None, int]:
    return http2(answering(), CLIENT, SERVER), "fin", CLIENT, 0


def closed_behind_goaway_that_covers_it() -> tuple[Conversation, str, int | None, int]:
    return http2(answering().server(goaway(1, 0)), SERVER, CLIENT), "fin", SERVER, 0


def server_resets_tcp() -> tuple[Conversation, str, int | None, int]:
    return Conversation().open().play(answering()).reset(SERVER), "tcp-rst", SERVER, 0


def client_resets_tcp() -> tuple[Conversation, str, int | None, int]:
    return Conversation().open().play(answering()).reset(CLIENT), "tcp-rst", CLIENT, 0


def still_open() -> tuple[Conversation, str, int | None, int]:
    return Conversation().open().play(answering()), "open", None, 0


def no_answer() -> tuple[Conversation, str, int | None, int]:
    return Conversation().open().play(asked()), "open", None, 0


def end_in_a_hole() -> tuple[Conversation, str, int | None, int]:
    return Conversation().open().play(answering()).lose(SERVER, 500).fin(SERVER, CLIENT), "open", None, 0


ENDS = (
    trailers, trailers_only, ended_by_data, ended_by_empty_data, reset_by_server, reset_by_client,
    reset_before_an_answer, left_behind_by_goaway, server_closes, client_closes, closed_behind_goaway_that_covers_it,
    server_resets_tcp, client_resets_tcp, still_open, no_answer, end_in_a_hole,
)  # fmt: skip


def test_every_way_is_here() -> None:
    assert {make()[1] for make in ENDS} == set(get_args(How))


@pytest.mark.parametrize("make", ENDS, ids=lambda make: make.__name__)
def test_ending(make: object) -> None:
    assert callable(make)
    talk, how, by, segment = make()
    done = both(talk)
    ending = done.call.ending
    assert ending is not None
    assert (ending.how, ending.by) == (how, by)
    if how == "open":
        assert ending.mark is None
    elif segment:
        # Three packets of the handshake, then each segment with an ACK behind it; no segment is longer than a packet.
        assert ending.mark is not None
        assert ending.mark.packet == 3 + 2 * segment - 1
    else:
        assert ending.mark is not None
        end = done.session.first_end()
        assert end is not None
        assert ending.mark == end[2]
    assert done.log.totals.total == 1
    assert done.log.totals.ok == 0


def test_a_healthy_call_is_counted_and_forgotten() -> None:
    done = both(http2(asked().response(1, message(b"x"))))
    assert (done.log.totals.total, done.log.totals.ok, done.log.suspicious) == (1, 1, [])
    assert done.log.by_status() == {"OK": 1}
    assert (done.session.calls_seen, done.session.calls_matched, done.session.calls_ok) == (1, 1, 1)


def test_frames_that_tell_how() -> None:
    for make, without in ((ended_by_data, True), (trailers, False)):
        stream = decode(make()[0]).call.stream
        assert stream.ended[SERVER]
        assert (stream.ended_by[SERVER] == DATA) is without
        assert (stream.ended_by[SERVER] == HEADERS) is not without


# --- a reset and an end together -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 8])
def test_benign_reset_behind_a_complete_answer_is_healthy(code: int) -> None:
    script = Script().hello().request(1, message(b"ask"), end=False).response(1, message(b"x"))
    for side in (SERVER, CLIENT):
        done = both(http2(copy_of(script).send(side, rst(1, code))))
        assert (done.log.totals.ok, done.log.suspicious) == (1, [])


def copy_of(script: Script) -> Script:
    """A script that can go on in another way."""
    copy = Script()
    copy.segments = list(script.segments)
    copy.peers = script.peers
    return copy


def test_other_reset_behind_a_complete_answer_is_told() -> None:
    done = both(http2(asked().response(1, message(b"x")).client(rst(1, 3))))
    ending = done.call.ending
    assert ending is not None
    assert (ending.how, ending.by) == ("trailers", SERVER)
    assert ending.reset is not None
    assert (ending.reset.side, ending.reset.code) == (CLIENT, 3)


def _crossed(code: int, behind: float) -> Decoded:
    """An answer whose trailers come so many seconds behind the client's reset."""
    script = answering(message(b"x"))
    talk = Conversation().open().play(script).send(CLIENT, rst(1, code))
    talk.wait(behind - 0.002)  # the reset and its acknowledgement have taken two milliseconds
    return both(talk.send(SERVER, script.peers[SERVER].headers(1, TRAILERS, END_STREAM)).fin(CLIENT, SERVER))


@pytest.mark.parametrize(("code", "behind"), [(8, 1.5), (8, 0.0011), (0, 0.05), (2, 0.05)])
def test_an_end_behind_the_client_s_reset_came_too_late(code: int, behind: float) -> None:
    call = _crossed(code, behind).call
    ending, late = call.ending, call.stream.late
    assert ending is not None
    assert (ending.how, ending.by, ending.reset and ending.reset.code) == ("rst", CLIENT, code)
    assert (call.response_complete, call.status_text, call.trailers) == (False, None, None)
    assert late is not None
    assert late.mark.time - ending.mark.time == int(behind * 1e9)
    assert call.response_body is not None
    assert call.response_body.messages == 1


@pytest.mark.parametrize("code", [0, 8])
def test_an_end_beside_a_reset_that_says_done_is_complete(code: int) -> None:
    done = _crossed(code, 0.0005)
    assert done.log.statuses == {b"0": 1}
    for call in done.log.suspicious:
        assert call.ending is not None
        assert call.ending.how == "trailers"


def test_messages_behind_the_client_s_reset_came_too_late() -> None:
    script = answering(message(b"x"))
    talk = Conversation().open().play(script).send(CLIENT, rst(1, 8)).wait(1)
    rest = data(1, message(b"y") * 3), script.peers[SERVER].headers(1, TRAILERS, END_STREAM)
    call = both(talk.send(SERVER, *rest).fin(CLIENT, SERVER)).call
    assert call.response_body is not None
    assert (call.response_body.messages, call.stream.data_bytes[SERVER]) == (1, 6)
    mark = call.stream.last_mark(SERVER)
    assert mark is not None
    assert call.ending is not None
    assert mark.time < call.ending.mark.time


def test_the_rest_of_an_error_page_behind_the_client_s_reset_is_evidence() -> None:
    script = asked()
    page = ((":status", "502"), ("content-type", "text/html"))
    talk = Conversation().open().play(script.server(script.peers[SERVER].headers(1, page)).client(rst(1, 8))).wait(0.05)
    call = both(talk.send(SERVER, data(1, b"<html>", END_STREAM)).fin(CLIENT, SERVER)).call
    assert (call.stream.data_bytes[SERVER], call.response_complete, call.stream.late) == (6, True, None)


def test_the_first_of_two_resets_counts() -> None:
    ending = both(http2(answering().client(rst(1, 8)).server(rst(1, 2)))).call.ending
    assert ending is not None
    assert (ending.by, ending.reset and ending.reset.code) == (CLIENT, 8)


# --- GOAWAY ----------------------------------------------------------------------------------------------------------


def test_goaway_leaves_only_later_streams_behind() -> None:
    script = Script().hello().request(1, message(b"a")).request(3, message(b"b")).server(goaway(1, 0))
    done = both(http2(script.response(1, message(b"r")), SERVER, CLIENT))
    assert [(call.stream.id, call.ending and call.ending.how) for call in done.log.suspicious] == [(3, "goaway")]
    assert done.log.totals.ok == 1


def test_goaway_of_the_client_leaves_nothing_behind() -> None:
    ending = both(http2(asked().client(goaway(0, 0)))).call.ending
    assert ending is not None
    assert ending.how == "fin"


def test_reset_before_goaway_counts_first() -> None:
    ending = both(http2(asked().client(rst(1, 8)).server(goaway(0, 0)), SERVER, CLIENT)).call.ending
    assert ending is not None
    assert (ending.how, ending.by) == ("rst", CLIENT)


# --- what a call says of itself --------------------------------------------------------------------------------------


def test_numbers_follow_the_request_headers_over_all_connections() -> None:
    first, second = Conversation((40_000, 50_051)), Conversation((40_001, 50_051))
    for talk in (first, second):
        talk.open().play(Script().hello())
    for number in range(4):
        for talk in (first, second):
            talk.time = max(first.time, second.time)
            fields = (*REQUEST[:2], (":path", f"/n/{number}{talk is second:d}"), *REQUEST[3:])
            talk.send(CLIENT, Peer().headers(1 + 2 * number, fields, END_STREAM))
    packets = sorted(first.packets + second.packets, key=lambda packet: packet[0])
    for size in (0, 1, 5):
        done = decode(packets, size=size)
        paths = [call.path for call in sorted(done.log.suspicious, key=lambda call: call.index)]
        assert paths == [f"/n/{number}{which}" for number in range(4) for which in (0, 1)]
        assert sorted(call.index for call in done.log.suspicious) == list(range(8))


def test_status_that_a_hole_may_hide() -> None:
    script = asked().response(1, message(b"x"), NO_TRAILERS)
    whole = script.segments.pop()[1]
    talk = Conversation().open().play(script).send(SERVER, whole[:20]).lose(SERVER, 15).send(SERVER, whole[35:])
    for call in both(talk.fin(CLIENT, SERVER)).log.suspicious:
        assert call.blurred or call.session.has_gaps


def test_other_protocols_over_http2_are_named_and_not_judged() -> None:
    script = Script().hello()
    kinds = ("application/grpc-web+proto", "application/connect+json", "text/html", "application/grpc+proto")
    for number, kind in enumerate(kinds):
        script.request(1 + 2 * number, message(b"x"), (*REQUEST[:5], ("content-type", kind)))
    for number, kind in enumerate(kinds):
        stream = 1 + 2 * number
        peer = script.peers[SERVER]
        script.server(peer.headers(stream, (RESPONSE[0], ("content-type", kind))), data(stream, message(b"y")))
        script.server(peer.headers(stream, TRAILERS, END_STREAM))
    done = both(http2(script))
    assert done.log.other_kinds == {"grpc-web": 1, "connect": 1}
    assert (done.log.totals.total, done.log.totals.ok) == (1, 1)


def test_response_before_its_request_is_one_call() -> None:
    script = Script().hello()
    script.response(1, message(b"x"), NO_TRAILERS).request(1, message(b"ask"))
    call = both(http2(script)).call
    assert (call.path, call.grpc_status, call.http_status, call.kind) == ("/demo.Echo/Unary", 5, 200, "grpc")
    assert call.request_body is not None
    assert call.request_body.messages == 1
    assert call.request_body.lost is False
    assert call.response_body is not None
    assert call.response_body.messages == 1
    assert not call.blurred
