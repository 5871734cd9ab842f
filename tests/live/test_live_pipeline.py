"""A diagnosis that is asked while packets still come: news, hints, time that passes, and what is let go."""

from __future__ import annotations

from captured import Capture, Connection
from captures import batches
from h2_bytes import END_STREAM, data, message, rst

from wirecase.live import Hint, LivePipeline, News, Patience
from wirecase.model import CLIENT, SERVER
from wirecase.pipeline import Options, Pipeline
from wirecase.sources import Source

NS = 1_000_000_000


class Session:
    """A live pipeline whose clock only a test moves, and a capture whose new packets it is fed."""

    def __init__(self, **more: object) -> None:
        self.steady = 0
        self.live = LivePipeline(Options(["-"]), clock=lambda: self.steady, **more)  # type: ignore[arg-type]
        self.capture = Capture()
        self._fed = 0

    def feed(self) -> Session:
        packets = self.capture.packets[self._fed :]
        for batch in batches(packets):
            batch.first_number += self._fed
            self.live.feed(batch)
        self._fed += len(packets)
        return self

    def wait(self, seconds: float, *, behind: float = 0.0) -> Session:
        self.steady += int(seconds * NS)
        self.live.pass_time(behind)
        return self

    def settle(self) -> Session:
        return self.feed().wait(2).wait(2).wait(2)

    def hints(self) -> list[Hint]:
        return [one.hint for one in self.live.news() if one.hint is not None]


def whats(news: list[News]) -> list[tuple[str, int]]:
    return [(one.what, one.count) for one in news]


def rules(news: list[News]) -> list[str]:
    return [one.finding.rule for one in news if one.finding is not None]


def broken(connection: Connection, stream: int) -> Connection:
    """A response that is reset in the middle."""
    connection.request(stream).headers(stream)
    return connection.server(data(stream, message(b"told"))).server(rst(stream, 2))


class TestNews:
    def test_a_call_is_judged_while_its_connection_is_open(self) -> None:
        session = Session()
        broken(session.capture.connect().hello(), 1)
        session.feed()
        assert not session.live.news(), "frames may still be in flight behind the reset"
        session.settle()
        assert rules(session.live.news()) == ["rst-midbody"]
        assert session.live.board().connections == 1
        assert not session.live.news(), "each thing is told once"

    def test_what_comes_again_is_told_with_its_count(self) -> None:
        session = Session()
        connection = broken(session.capture.connect().hello(), 1)
        session.settle()
        assert whats(session.live.news()) == [("finding", 1)]
        connection.wait(9)
        broken(broken(connection, 3), 5)
        session.settle()
        assert whats(session.live.news()) == [("more", 3)]

    def test_the_end_says_what_a_file_says(self) -> None:
        session = Session()
        connection = broken(session.capture.connect().hello().call(1), 3)
        session.settle()
        connection.wait(8).call(5)
        broken(connection, 7).close()
        found = session.settle().live.finish([Source("-")], interrupted=False)
        plain = Pipeline(Options(["-"]), on_call=lambda _call, _findings: None)
        for batch in batches(session.capture.packets):
            plain.feed(batch)
        expected = plain.finish([Source("-")], [], interrupted=False)
        assert [(f.rule, f.count, f.title) for f in found.findings] == [
            (f.rule, f.count, f.title) for f in expected.findings
        ]
        assert found.calls == expected.calls
        assert found.accounting == expected.accounting

    def test_a_late_frame_behind_an_early_judgement_is_no_fault(self) -> None:
        """A stream stays remembered after its call was judged: what was in flight is not taken for a breach."""
        session = Session()
        connection = broken(session.capture.connect().hello(), 1)
        session.settle()
        session.live.news()
        connection.wait(7).client(data(1, b"late", END_STREAM))
        session.settle()
        assert not session.live.news()


class TestHints:
    def test_a_request_without_an_answer(self) -> None:
        session = Session()
        connection = session.capture.connect().hello().request(1)
        session.feed().wait(20)
        assert not session.live.news()
        (hint,) = session.wait(20).hints()
        assert (hint.kind, hint.stream, hint.path) == ("no-answer", 1, "/demo.Echo/Unary")
        assert not session.wait(20).hints(), "told once"
        connection.wait(61).answer(1)
        assert [one.what for one in session.settle().live.news()] == ["over"]

    def test_a_stream_that_is_idle_between_messages_is_none(self) -> None:
        session = Session()
        session.capture.connect().hello().request(1).headers(1).server(data(1, message(b"one")))
        session.feed().wait(600)
        assert not session.live.news()
        board = session.live.board()
        assert board.streams == 1
        assert board.open[0].path == "/demo.Echo/Unary"
        assert board.open[0].idle > 500 * NS

    def test_half_a_message(self) -> None:
        session = Session()
        session.capture.connect().hello().request(1).headers(1).server(data(1, message(bytes(100))[:9]))
        (hint,) = session.feed().wait(15).hints()
        assert hint.kind == "mid-message"
        assert hint.text == "the server stopped after 4 of 100 bytes of a message"

    def test_a_window_that_is_used_up(self) -> None:
        session = Session()
        connection = session.capture.connect().hello().request(1).headers(1)
        body = message(bytes(65_530))
        connection.server(*(data(1, body[at : at + 16_384]) for at in range(0, len(body), 16_384)))
        kinds = {hint.kind for hint in session.feed().wait(8).hints()}
        assert kinds == {"connection-window", "stream-window"}
        left = session.live.board().windows[0]
        assert (left.sender, left.left, left.smallest) == ("server", 0, 0)

    def test_a_syn_that_nobody_answers(self) -> None:
        session = Session()
        session.capture.connect(established=False).packet(CLIENT, 2)
        (hint,) = session.feed().wait(6).hints()
        assert hint.kind == "no-syn-ack"

    def test_what_a_hole_may_explain_is_none(self) -> None:
        session = Session()
        connection = session.capture.connect().hello().call(1)
        connection.seq[SERVER] += 500
        connection.server(b"\0" * 9).request(3)
        session.feed().wait(600)
        assert not session.hints()

    def test_no_time_passes_while_packets_wait(self) -> None:
        session = Session()
        session.capture.connect().hello().request(1)
        session.feed().wait(100, behind=3600)
        assert not session.live.news(), "the answer may be among them"

    def test_patience_can_be_chosen(self) -> None:
        session = Session(patience=Patience(answer=2 * NS))
        session.capture.connect().hello().request(1)
        assert [hint.kind for hint in session.feed().wait(5).hints()] == ["no-answer"]


class TestBounds:
    def test_silent_connections_are_let_go_and_nobody_is_blamed(self) -> None:
        session = Session(idle=60 * NS)
        session.capture.connect().hello().request(1).headers(1).server(data(1, message(b"one")))
        session.feed().wait(50)
        assert session.live.board().connections == 1
        session.wait(20)
        assert session.live.board().connections == 0
        found = session.live.finish([Source("-")], interrupted=True)
        assert found.calls.unfinished == 1
        assert not [one for one in found.findings if one.severity == "error"]

    def test_streams_whose_ends_were_lost_are_let_go(self) -> None:
        session = Session(idle=60 * NS)
        connection = session.capture.connect().hello().request(1)
        connection.seq[SERVER] += 500  # the answer, lost
        connection.packet(CLIENT, 16)
        connection.call(3)
        session.settle()
        assert session.live.board().streams == 1
        for stream in (5, 7, 9):
            connection.wait(30).call(stream)
            session.feed().wait(30)
        assert session.live.board().streams == 0
        assert session.live.board().failed == 0
        assert session.live.pipeline.log.totals.unfinished == 1

    def test_old_findings_are_counted_and_let_go(self) -> None:
        session = Session(kept=10)
        total = 300
        for i in range(total):
            broken(session.capture.connect(f"10.0.0.1:{20_000 + i}").hello(), 1).close()
            session.capture.wait(5)
            session.feed().wait(5)
        session.settle()
        held = [one for one in session.live.pipeline.so_far if one.rule == "rst-midbody"]
        assert 0 < len(held) <= 260
        assert {rule: count for rule, _, count in session.live.board().errors}["rst-midbody"] == total
        assert session.live.forgotten["rst-midbody"] == total - len(held)

    def test_nothing_before_the_first_packet(self) -> None:
        session = Session().wait(5)
        board = session.live.board()
        assert (board.now, board.packets, board.calls) == (0, 0, 0)


def test_rates_and_slow_calls() -> None:
    session = Session()
    session.capture.connect().hello().request(1).wait(2).answer(1).call(3)
    session.settle()
    board = session.live.board()
    assert (board.calls, board.ok, board.failed) == (2, 2, 0)
    assert board.rate == 0.2
    assert board.failing == 0
    assert [(row.status, row.stream) for row in board.slow] == [("OK", 1), ("OK", 3)]
    assert board.slow[0].ns > 2 * NS
    session.wait(120)
    assert not session.live.board().slow, "the last minute only"
    assert session.live.board().rate == 0
