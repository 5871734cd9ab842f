"""Rules that need a schema: payloads that are no such message, and the number of messages of a method."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from captured import Capture, Connection
from h2_bytes import RESPONSE, TRAILERS, data, message

from wirecase.grpc.schema import MESSAGE, STRING, FieldType, MessageType, Method, Schema
from wirecase.model import CLIENT, SERVER, Diagnosis, Finding
from wirecase.pipeline import Options, Pipeline, diagnose
from wirecase.sources.schemas import SchemaSources, load

FIXTURES = Path(__file__).parents[2] / "fixtures"
PATH = "/demo.Echo/Unary"
GOOD = b"\x0a\x02hi"


def schema(*, client_streams: bool = False, server_streams: bool = False) -> Schema:
    kind = MessageType("demo.Text", {1: FieldType(1, "text", STRING), 2: FieldType(2, "inner", MESSAGE, "demo.Text")})
    kind.utf8 = True
    method = Method(PATH, "demo.Text", "demo.Text", client_streams, server_streams)
    return Schema({"demo.Text": kind}, {}, {PATH: method})


def found(talk: Connection, known: Schema) -> Diagnosis:
    pipeline = Pipeline(Options([], schema=known))
    pipeline.feed(talk.capture.batch())
    diagnosis = pipeline.finish([], [], interrupted=False)
    assert not [one for one in diagnosis.findings if "defect" in one.details]
    assert not diagnosis.accounting.unbalanced
    return diagnosis


def one(diagnosis: Diagnosis, rule: str) -> Finding:
    (finding,) = [one for one in diagnosis.findings if one.rule == rule]
    return finding


def rules(diagnosis: Diagnosis) -> set[str]:
    return {one.rule for one in diagnosis.findings if not one.rule.startswith("obs-")}


def call(*answers: bytes, asked: tuple[bytes, ...] = (GOOD,)) -> Connection:
    talk = Capture().connect().hello()
    talk.request(body=b"".join(message(one) for one in asked))
    talk.headers()
    if answers:
        talk.server(*(data(1, message(body)) for body in answers))
    return talk.trailers().close()


def test_a_good_call_is_good() -> None:
    diagnosis = found(call(GOOD), schema())
    assert rules(diagnosis) == set()
    assert diagnosis.calls.ok == 1


@pytest.mark.parametrize("side", [CLIENT, SERVER])
def test_a_payload_that_is_no_such_message(side: int) -> None:
    bad = b"\x0a\x09hi"
    talk = call(GOOD, asked=(bad,)) if side == CLIENT else call(bad)
    finding = one(found(talk, schema()), "grpc-payload-undecodable")
    name = ("client", "server")[side]
    assert (finding.severity, finding.certainty, finding.who) == ("error", "certain", [name])
    assert finding.details["type"] == "demo.Text"
    assert finding.evidence[0].data == message(bad)
    assert finding.evidence[0].direction == name
    assert bool(finding.client_sees) == (side == SERVER)
    assert rules(found(talk, schema())) == {"grpc-payload-undecodable"}


def test_without_a_schema_or_for_another_method_nothing_is_said() -> None:
    talk = call(b"\x0a\x09hi")
    assert rules(found(talk, Schema())) == set()
    other = schema()
    other.methods = {"/demo.Echo/Other": other.methods[PATH]}
    assert rules(found(talk, other)) == set()


def test_the_message_is_named_and_counted() -> None:
    diagnosis = found(call(GOOD, b"\x00", GOOD, b"\x00"), schema(server_streams=True))
    finding = one(diagnosis, "grpc-payload-undecodable")
    assert (finding.details["message"], finding.details["undecodable"], finding.details["checked"]) == (1, 2, 4)


def test_compressed_messages_are_looked_into() -> None:
    talk = Capture().connect().hello()
    talk.request(body=message(GOOD), extra=(("grpc-accept-encoding", "gzip"),))
    talk.headers(fields=(*RESPONSE, ("grpc-encoding", "gzip")))
    talk.server(data(1, message(gzip.compress(b"\x0a\x09hi"), 1))).trailers().close()
    finding = one(found(talk, schema()), "grpc-payload-undecodable")
    assert finding.details["compressed"]
    assert finding.evidence[0].data[:1] == b"\1"


def test_a_gap_accuses_nobody() -> None:
    talk = Capture().connect().hello().request(body=message(GOOD)).headers()
    whole = data(1, message(b"\x0a\x05hello" * 40))
    talk.send(SERVER, whole[:30])
    talk.seq[SERVER] += 20
    talk.send(SERVER, whole[50:])
    talk.trailers().close()
    assert "grpc-payload-undecodable" not in rules(found(talk, schema()))


@pytest.mark.parametrize("cut", range(1, 12))
def test_messages_in_pieces(cut: int) -> None:
    body = message(GOOD) + message(b"\x00")
    talk = Capture().connect().hello().request(body=message(GOOD)).headers()
    talk.server(data(1, body[:cut])).server(data(1, body[cut:])).trailers().close()
    finding = one(found(talk, schema(server_streams=True)), "grpc-payload-undecodable")
    assert finding.details["message"] == 1


@pytest.mark.parametrize(("count", "streams", "fires"), [(0, False, True), (2, False, True), (1, False, False),
                                                         (0, True, False), (5, True, False)])  # fmt: skip
def test_answers_of_a_unary_call(count: int, streams: bool, fires: bool) -> None:
    diagnosis = found(call(*[GOOD] * count), schema(server_streams=streams))
    assert rules(diagnosis) == ({"grpc-cardinality"} if fires else set())
    if fires:
        finding = one(diagnosis, "grpc-cardinality")
        assert (finding.severity, finding.certainty, finding.who) == ("error", "certain", ["server"])
        assert finding.details["messages"] == count


@pytest.mark.parametrize(("count", "streams", "fires"), [(0, False, True), (2, False, True), (0, True, False),
                                                         (3, True, False)])  # fmt: skip
def test_requests_of_a_unary_call(count: int, streams: bool, fires: bool) -> None:
    diagnosis = found(call(GOOD, asked=(GOOD,) * count), schema(client_streams=streams))
    assert ("grpc-cardinality" in rules(diagnosis)) == fires
    if fires:
        assert one(diagnosis, "grpc-cardinality").who == ["client"]


def test_a_failed_call_may_be_without_an_answer() -> None:
    talk = Capture().connect().hello().request(body=message(GOOD))
    talk.trailers(fields=(*RESPONSE, ("grpc-status", "5"))).close()
    assert "grpc-cardinality" not in rules(found(talk, schema()))


def test_an_answer_that_was_cut_is_not_counted() -> None:
    talk = Capture().connect().hello().request(body=message(GOOD)).headers()
    talk.server(data(1, message(GOOD)[:6])).trailers(fields=TRAILERS).close()
    assert "grpc-cardinality" not in rules(found(talk, schema()))


def test_two_messages_from_a_real_server() -> None:
    known = load(SchemaSources([FIXTURES / "grpc-payload-undecodable/schema.binpb"]))
    capture = str(FIXTURES / "unary-two-messages/capture.pcapng")
    finding = one(diagnose(Options([capture], schema=known)), "grpc-cardinality")
    assert finding.details["messages"] == 2
    assert not [f for f in diagnose(Options([capture])).findings if f.rule == "grpc-cardinality"]


def test_the_books_balance_with_a_schema() -> None:
    known = load(SchemaSources([FIXTURES / "grpc-payload-undecodable/schema.binpb"]))
    for case in ("healthy-streaming", "grpc-invalid-compression-flag", "grpc-message-truncated", "obs-gap"):
        capture = str(FIXTURES / case / "capture.pcapng")
        plain, typed = diagnose(Options([capture])), diagnose(Options([capture], schema=known))
        assert not typed.accounting.unbalanced
        assert plain.calls.total == typed.calls.total


def test_bombs_are_not_inflated_without_end() -> None:
    bomb = gzip.compress(b"\x0a\x80\x80\x80\x02" + bytes(4 << 20))
    talk = Capture().connect().hello().request(body=message(GOOD))
    talk.headers(fields=(*RESPONSE, ("grpc-encoding", "gzip")))
    for _ in range(40):
        talk.server(data(1, message(bomb, 1)))
    talk.trailers().close()
    pipeline = Pipeline(Options([], schema=schema(server_streams=True)))
    pipeline.feed(talk.capture.batch())
    assert pipeline.log.looks.left > -(8 << 20)
