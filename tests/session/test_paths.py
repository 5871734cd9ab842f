"""One truth: the fast ways through the layers tell what the slow one tells.

The slow one takes packets one at a time. The fast ones take batches by columns, stretches at once, and ordinary
exchanges without a closer look.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from captures import Conversation, Decoded, decode
from h2_bytes import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    REQUEST,
    RESPONSE,
    TRAILERS,
    Script,
    data,
    frame,
    goaway,
    message,
    padded,
    plain,
    rst,
    settings,
    settings_ack,
    window_update,
)

from wirecase.grpc.messages import MessageReader
from wirecase.model import CLIENT, SERVER
from wirecase.session.call import Call

Odd = Callable[[Script, int], None]


# --- calls that are not ordinary -------------------------------------------------------------------------------------


def error_status(script: Script, stream: int) -> None:
    script.request(stream, message(b"a")).response(stream, message(b"b"), (("grpc-status", "13"),))


def page(script: Script, stream: int) -> None:
    peer = script.peers[SERVER]
    script.request(stream, message(b"a"))
    script.server(
        peer.headers(stream, ((":status", "502"), ("content-type", "text/html"))),
        data(stream, b"<html>bad", END_STREAM),
    )


def no_trailers(script: Script, stream: int) -> None:
    script.request(stream, message(b"a"))
    script.server(script.peers[SERVER].headers(stream, RESPONSE), data(stream, message(b"b"), END_STREAM))


def bad_flag(script: Script, stream: int) -> None:
    script.request(stream, message(b"a")).response(stream, message(b"b") + b"Crash")


def reset(script: Script, stream: int) -> None:
    script.request(stream, message(b"a"))
    script.server(script.peers[SERVER].headers(stream, RESPONSE), data(stream, message(b"b")[:3])).server(
        rst(stream, 2)
    )


def cancel(script: Script, stream: int) -> None:
    script.request(stream, message(b"a"), end=False).client(rst(stream, 8))


def late_frames(script: Script, stream: int) -> None:
    """Frames behind the end of an ordinary exchange."""
    script.request(stream, message(b"a")).response(stream, message(b"b"))
    script.server(data(stream, b"too late")).client(rst(stream, 5), window_update(stream, 4))


def padding(script: Script, stream: int) -> None:
    script.client(script.peers[CLIENT].headers(stream, REQUEST), frame(0, 9, stream, padded(message(b"a"), 20)))
    script.response(stream, message(b"b"))


def zero_increment(script: Script, stream: int) -> None:
    script.request(stream, message(b"a")).client(window_update(stream, 0)).response(stream, message(b"b"))


def overflow(script: Script, stream: int) -> None:
    script.request(stream, message(b"a")).client(window_update(stream, 2**31 - 1)).response(stream, message(b"b"))


def many_updates(script: Script, stream: int) -> None:
    script.request(stream, message(b"a")).client(*[window_update(stream, 1 << 20)] * 40).response(stream, message(b"b"))
    script.server(data(stream, b"too late"))


def continued(script: Script, stream: int) -> None:
    script.client(*script.peers[CLIENT].continued(stream, REQUEST, [3], END_STREAM)).response(stream, message(b"b"))


def in_one_segment(script: Script, stream: int) -> None:
    script.client(
        script.peers[CLIENT].headers(stream, REQUEST),
        data(stream, message(b"a"), END_STREAM),
        frame(PING, 0, 0, bytes(8)),
    )
    script.response(stream, message(b"b"))


def over_segments(script: Script, stream: int) -> None:
    wire = script.peers[CLIENT].headers(stream, REQUEST) + data(stream, message(b"a" * 100), END_STREAM)
    script.client(wire[:30]).client(wire[30:60]).client(wire[60:]).response(stream, message(b"b"))


def many_messages(script: Script, stream: int) -> None:
    peer = script.peers[SERVER]
    script.request(stream, b"".join(message(bytes([i] * i)) for i in range(12)))
    script.server(peer.headers(stream, RESPONSE))
    for _ in range(10):
        script.server(data(stream, message(b"b") + message(b"")), data(stream, b"")).client(window_update(stream, 7))
    script.server(peer.headers(stream, TRAILERS, END_STREAM))


def split_messages(script: Script, stream: int) -> None:
    body = message(b"x" * 50)
    peer = script.peers[SERVER]
    script.request(stream, message(b"a")).server(peer.headers(stream, RESPONSE), data(stream, body[:20]))
    script.server(data(stream, body[20:]), peer.headers(stream, TRAILERS, END_STREAM))


def large(script: Script, stream: int) -> None:
    script.request(stream, message(b"a" * 6000)).response(stream, message(b"b" * 9000))
    script.server(window_update(0, 6005)).client(window_update(0, 9005))


def new_fields(script: Script, stream: int) -> None:
    fields = (*REQUEST, ("x-request-id", f"id-{stream}"))
    script.request(stream, message(b"a"), fields).response(stream, message(b"b"), (*TRAILERS, ("x-took", str(stream))))


def no_te(script: Script, stream: int) -> None:
    script.request(stream, message(b"a"), [f for f in REQUEST if f[0] != "te"]).response(stream, message(b"b"))


def web(script: Script, stream: int) -> None:
    peer = script.peers[SERVER]
    script.request(stream, fields_=(*REQUEST[:4],))
    script.server(peer.headers(stream, ((":status", "200"),)), data(stream, b"hello", END_STREAM))


def trailers_only(script: Script, stream: int) -> None:
    peer = script.peers[SERVER]
    script.request(stream, message(b"a")).server(peer.headers(stream, (*RESPONSE, *TRAILERS), END_STREAM))


def status_in_headers_and_trailers(script: Script, stream: int) -> None:
    peer = script.peers[SERVER]
    script.request(stream, message(b"a")).server(peer.headers(stream, RESPONSE), data(stream, message(b"b")))
    script.server(peer.headers(stream, (*RESPONSE, *TRAILERS), END_STREAM))


def answer_first(script: Script, stream: int) -> None:
    script.response(stream, message(b"b")).request(stream, message(b"a"))


def wrong_length(script: Script, stream: int) -> None:
    script.request(stream, message(b"a"), (*REQUEST, ("content-length", "5"))).response(stream, message(b"b"))


def raised_settings(script: Script, stream: int) -> None:
    script.request(stream, message(b"a")).client(settings((4, 100_000 + stream))).server(settings_ack())
    script.response(stream, message(b"b"))


def broken_block(script: Script, stream: int) -> None:
    script.client(frame(HEADERS, END_HEADERS, stream, b"\x82\xff\xff\xff\xff\xff\x01"))


def regress(script: Script, stream: int) -> None:
    script.request(stream + 2, message(b"a")).response(stream + 2, message(b"b")).request(stream, message(b"c"))


def leave_open(script: Script, stream: int) -> None:
    script.request(stream, message(b"a"))


def two_at_once(script: Script, stream: int) -> None:
    script.request(stream, message(b"a")).request(stream + 2, message(b"b")).response(stream + 2, message(b"c"))
    script.response(stream, message(b"d"))


ODD: tuple[Odd, ...] = (
    error_status, page, no_trailers, bad_flag, reset, cancel, late_frames, padding, zero_increment, overflow,
    many_updates, continued, in_one_segment,
    over_segments, many_messages, split_messages, large, new_fields, no_te, web, trailers_only,
    status_in_headers_and_trailers, answer_first, wrong_length, raised_settings, broken_block, regress, leave_open,
    two_at_once,
)  # fmt: skip


# --- what is compared ------------------------------------------------------------------------------------------------


def body(reader: MessageReader | None) -> Any:
    """What a rule can ask of a body."""
    if reader is None:
        return None
    bad = reader.bad
    pending = reader.pending()
    return (
        reader.messages, reader.bytes, reader.compressed, reader.lost, reader.head, plain(reader.first), plain(pending),
        bad and (bad.flag, bad.after_messages, bytes(bad.foreign), bad.resumed, plain(bad.excerpt)),
        plain(reader.largest),
    )  # fmt: skip


def told(call: Call) -> Any:
    """What a rule can ask of a call."""
    stream = call.stream
    return (
        call.index, stream.id, call.kind, call.path, call.http_status, call.status_text, plain(call.ending),
        call.started, body(call.request_body), body(call.response_body),
        [(f.side, f.block.fields, f.end_stream) for f in stream.headers],
        stream.ended, stream.ended_by, stream.data_bytes, stream.data_frames, stream.padded, stream.windows,
        [stream.last_mark(side) for side in (CLIENT, SERVER)], plain(stream.resets), stream.seen_start,
    )  # fmt: skip


def everything(done: Decoded) -> dict[str, Any]:
    """What the layers tell, sorted where the order in which calls are let go may differ."""
    found: dict[str, Any] = {
        "accounting": plain(done.accounting),
        "totals": plain(done.log.totals),
        "statuses": dict(done.log.statuses),
        "kinds": dict(done.log.other_kinds),
        "numbered": done.log.numbered,
        "calls": sorted((told(call) for call in done.log.suspicious), key=lambda one: one[0]),
    }
    for session in done.sessions:
        facts = plain(session.h2)
        facts["violations"] = sorted(facts["violations"], key=str)
        for half in facts["halves"]:
            half.pop("window_low")
        found[f"session {session.index}"] = (
            facts, session.protocol, session.roles, session.calls_seen, session.calls_ok, session.calls_matched,
        )  # fmt: skip
    return found


def check(script: Script) -> Decoded:
    """Compare all ways through the layers."""
    return compare(Conversation().open().play(script).fin(CLIENT, SERVER))


def compare(talk: Conversation) -> Decoded:
    """Compare all ways through the layers."""
    slow = decode(talk, size=1)
    expected = everything(slow)
    for size, columns in ((0, False), (0, True), (7, True), (100, True), (301, None)):
        found = everything(decode(talk, size=size, columns=columns))
        for name, value in expected.items():
            assert found[name] == value, (name, size, columns)
    return slow


def busy(odd: tuple[Odd, ...], *, ordinary: int = 40, seed: int = 0) -> Script:
    """Ordinary calls with odd ones between them."""
    chance = random.Random(seed)
    script = Script().hello().client(window_update(0, 1 << 20)).server(window_update(0, 1 << 20))
    stream = 1
    for number in range(ordinary + len(odd)):
        every = max((ordinary + len(odd)) // max(len(odd), 1), 1)
        if odd and number % every == every - 1 and number // every < len(odd):
            odd[number // every](script, stream)
            stream += 4
        else:
            script.request(stream, message(b"a" * chance.randrange(40))).response(
                stream, message(b"b" * chance.randrange(40))
            )
            stream += 2
    return script


def test_ordinary_calls_only() -> None:
    done = check(busy((), ordinary=150))
    assert done.log.totals.ok == 150
    assert done.session.h2.violations == []


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
def test_one_odd_call_among_ordinary_ones(odd: Odd) -> None:
    done = check(busy((odd,), ordinary=70))
    assert done.log.totals.ok >= 70


@pytest.mark.parametrize("seed", range(6))
def test_many_odd_calls(seed: int) -> None:
    odd = list(ODD)
    chance = random.Random(seed)
    chance.shuffle(odd)
    check(busy(tuple(odd), ordinary=100, seed=seed))


@pytest.mark.parametrize("seed", range(12))
def test_segments_and_copies_at_random(seed: int) -> None:
    """Segments joined and split, packets captured twice, a capture that begins late or has no end."""
    chance = random.Random(seed)
    script = busy(tuple(chance.choices(ODD, k=chance.randrange(20))), ordinary=chance.randrange(10, 120), seed=seed)
    segments: list[tuple[int, bytes]] = []
    for side, payload in script.segments:
        cut = chance.randrange(len(payload))
        if segments and segments[-1][0] == side and chance.random() < 0.3:
            segments[-1] = (side, segments[-1][1] + payload)
        elif cut and chance.random() < 0.1:
            segments += [(side, payload[:cut]), (side, payload[cut:])]
        else:
            segments.append((side, payload))
    script.segments = segments
    talk = Conversation().open().play(script)
    if seed % 2:
        talk.fin(CLIENT, SERVER)
    for _ in range(seed % 3):
        at = chance.randrange(len(talk.packets))
        talk.packets.insert(at, talk.packets[at])
    if seed % 4 == 3:
        del talk.packets[: chance.randrange(20)]
    compare(talk)


def test_goaway_and_an_end_in_the_middle() -> None:
    script = busy((), ordinary=80)
    script.request(1001, message(b"a")).request(1003, message(b"b")).server(goaway(1001, 0)).response(
        1001, message(b"c")
    )
    done = check(script)
    assert [(call.stream.id, call.ending and call.ending.how) for call in done.log.suspicious] == [(1003, "goaway")]


def test_interleaved_calls() -> None:
    chance = random.Random(5)
    script = Script().hello()
    waiting: list[int] = []
    stream = 1
    for _ in range(300):
        if waiting and chance.random() < 0.5:
            script.response(waiting.pop(chance.randrange(len(waiting))), message(b"answer"))
        else:
            script.request(stream, message(b"ask"))
            waiting.append(stream)
            stream += 2
    done = check(script)
    assert done.log.totals.ok + len(waiting) == done.log.totals.total


def test_small_limits_are_not_overlooked() -> None:
    for first in (settings((4, 50)), settings((6, 100)), settings((3, 1)), settings((1, 0))):
        for side in (CLIENT, SERVER):
            script = Script().send(side, first).send(1 - side, settings(), settings_ack()).send(side, settings_ack())
            for stream in range(1, 161, 2):
                script.request(stream, message(b"a" * 60)).response(stream, message(b"b" * 60))
            check(script)


def test_a_window_used_up_among_ordinary_calls() -> None:
    script = Script().hello()
    for stream in range(1, 400, 2):
        script.request(stream, message(b"a")).response(stream, message(b"b" * 500))
    done = check(script)
    assert {kind for kind, _ in done.session.h2.violations_seen} == {"window-exceeded"}
