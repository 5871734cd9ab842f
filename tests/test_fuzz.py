"""The whole pipeline over mutated captures: it never raises, its books balance, and it tells one truth.

The same bytes give the same report, and how packets come in batches changes no finding. The seeds are fixed; every run
does the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from captures import Conversation, merge, pcap
from h2_bytes import Script, message, plain
from h2_scripts import SCRIPTS

from wirecase.errors import InputError
from wirecase.model import CLIENT, SERVER, Diagnosis, PacketBatch
from wirecase.pipeline import Options, Pipeline, diagnose
from wirecase.sources import open_sources

FIXTURES = Path(__file__).parents[1] / "fixtures"
USED = (
    "incident", "healthy-streaming", "goaway-race", "grpc-desync-midstream", "obs-midconnection", "obs-gap", "h2-flood",
    "healthy-h2c-upgrade", "h2-not-http2", "tcp-reset", "link-ipv6", "grpc-decompress-failed",
)  # fmt: skip
LARGEST = 80_000


def singles(batch: PacketBatch) -> Iterator[PacketBatch]:
    """The packets of a batch, each in a batch of its own."""
    for i, start in enumerate(batch.starts):
        end = start + batch.caplens[i]
        yield PacketBatch(
            batch.source, batch.link, memoryview(bytes(batch.data[start:end])), [0], [batch.caplens[i]],
            [batch.lengths[i]], [batch.times[i]], batch.first_number + i,
        )  # fmt: skip


def packet_by_packet(path: Path) -> Diagnosis:
    """What `diagnose` does, with batches of one packet."""
    options = Options(sources=[str(path)])
    opened = open_sources(options.sources)
    pipeline, closer = Pipeline(options), Pipeline(options, on_call=lambda _call, _findings: None)
    for source in opened.sources:
        with source:
            for batch in source.batches():
                for single in singles(batch):
                    pipeline.feed(single)
                    closer.feed(single)
    book = pipeline.settle()
    again = book.worth_a_closer_look(pipeline.log.totals.total)
    return pipeline.finish(
        list(opened.sources),
        [str(f) for f in opened.failures],
        interrupted=False,
        closer=closer.settle() if again else None,
    )


def findings(found: Diagnosis) -> Any:
    """Findings as values, but for what batches may change.

    How much of a DATA frame is shown follows what had come by then. A connection that begins in mid-air is understood
    some packets later, and its calls get their numbers then.
    """
    known = {finding.id: finding.rule for finding in found.findings}
    values = []
    for finding in found.findings:
        value = plain(finding)
        value["caused_by"] = known.get(finding.caused_by or "")
        for evidence in value["evidence"]:
            if evidence["data"][3:4] == b"\0":
                evidence["data"] = evidence["data"][:9]
        for place in (value, *value["occurrences"]):
            del place["call"]
        del value["id"]
        values.append(value)
    return sorted(values, key=str)


def check_books(found: Diagnosis) -> None:
    """captured == decoded + skipped, and no direction is out of balance."""
    books = found.accounting
    assert books.unbalanced == []
    assert books.captured == books.decoded + sum(books.skipped.values())
    assert min([books.decoded, *books.skipped.values()]) >= 0


def check(path: Path) -> Diagnosis | None:
    """Diagnose a capture twice."""
    try:
        first = diagnose(Options(sources=[str(path)]))
    except InputError:
        return None
    check_books(first)
    assert plain(diagnose(Options(sources=[str(path)]))) == plain(first)
    assert [finding.id for finding in first.findings] == [f"F{n}" for n in range(1, len(first.findings) + 1)]
    return first


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Spoil some bytes: change, remove, repeat, insert, cut."""
    wire = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(wire))
        action = chance.randrange(6)
        if action <= 1:
            wire[at] ^= 1 << chance.randrange(8)
        elif action == 2:
            wire[at] = chance.randrange(256)
        elif action == 3:
            del wire[at : at + chance.choice([1, 9, 60, 400])]
        elif action == 4:
            wire[at:at] = wire[max(at - 200, 0) : at]
        else:
            del wire[len(wire) - chance.randrange(len(wire) // 2 or 1) :]
        if len(wire) < 50:
            break
    return bytes(wire)


@pytest.mark.parametrize("name", USED)
def test_mutated_fixtures(name: str, tmp_path: Path) -> None:
    original = (FIXTURES / name / "capture.pcapng").read_bytes()[:LARGEST]
    chance = random.Random(name)
    path = tmp_path / "capture.pcapng"
    for _ in range(20):
        path.write_bytes(mutate(original, chance))
        check(path)


def spoiled(name: str, chance: random.Random) -> list[Conversation]:
    """Connections that play a script whose payload is spoiled, with holes, strange ends and late joins."""
    talks = []
    for number in range(2):
        script = SCRIPTS[name]()
        if chance.random() < 0.7:
            at = chance.randrange(len(script.segments))
            side, payload = script.segments[at]
            script.segments[at] = (side, mutate(payload[:3000], chance) if len(payload) > 60 else payload + b"\0")
        talk = Conversation((40_000 + number, 50_051))
        if chance.random() < 0.85:
            talk.open().play(script)
        else:
            talk.play(script, preface=False)
        if chance.random() < 0.3:
            talk.lose(chance.randrange(2), chance.randrange(1, 3000)).send(SERVER, message(b"behind a hole"))
        ending = chance.randrange(4)
        if ending == 0:
            talk.fin(CLIENT, SERVER)
        elif ending == 1:
            talk.fin(SERVER)
        elif ending == 2:
            talk.reset(chance.randrange(2))
        talks.append(talk)
    return talks


@pytest.mark.parametrize("name", SCRIPTS)
def test_spoiled_connections(name: str, tmp_path: Path) -> None:
    chance = random.Random(name)
    path = tmp_path / "capture.pcap"
    for _ in range(15):
        packets = merge(spoiled(name, chance))
        if chance.random() < 0.3:
            chance.shuffle(packets)
        path.write_bytes(mutate(pcap(packets), chance) if chance.random() < 0.3 else pcap(packets))
        check(path)


@pytest.mark.parametrize("name", SCRIPTS)
def test_batches_change_no_finding(name: str, tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    chance = random.Random(name)
    whole = Conversation().open().play(SCRIPTS[name]()).fin(CLIENT, SERVER)
    for packets in (whole.packets, *(merge(spoiled(name, chance)) for _ in range(6))):
        path.write_bytes(pcap(packets))
        found = check(path)
        assert found is not None
        single = packet_by_packet(path)
        check_books(single)
        assert findings(single) == findings(found)
        assert plain(single.calls) == plain(found.calls)
        assert single.verdict.headline == found.verdict.headline


@pytest.mark.parametrize("name", USED)
def test_batches_change_no_finding_of_a_fixture(name: str) -> None:
    path = FIXTURES / name / "capture.pcapng"
    found = check(path)
    assert found is not None
    single = packet_by_packet(path)
    check_books(single)
    assert findings(single) == findings(found)
    assert plain(single.calls) == plain(found.calls)


def test_a_healthy_connection_has_no_finding(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    script = Script().hello()
    for stream in range(1, 41, 2):
        script.request(stream, message(b"ask")).response(stream, message(b"answer"))
    path.write_bytes(pcap(Conversation().open().play(script).fin(CLIENT, SERVER).packets))
    found = check(path)
    assert found is not None
    assert found.findings == []
    assert (found.calls.total, found.calls.ok) == (20, 20)
