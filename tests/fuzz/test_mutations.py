"""Mutated fixtures through the whole pipeline.

Whatever the bytes, a report comes out, it fits its schema, and its books balance. The only exception that is let
through is the declared one, `InputError`.

A fixed number of mutations runs by default, the same ones each time. WIRECASE_FUZZ_SECONDS goes on for that long with
new ones; what fails is kept under the name that the message gives.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from wirecase import picturing, pipeline
from wirecase.errors import InputError
from wirecase_cli.reports import json_v1, markdown, terminal, windows_words
from wirecase_cli.reports.screen import Screen

FIXTURES = Path(__file__).parents[2] / "fixtures"
MUTATIONS = 150
LARGEST = 60_000
"""Bytes of the largest fixture that is mutated: many small runs find more than few long ones."""
SLOW = 20.0
"""Seconds after which one run counts as hung; an unmutated one takes a few hundredths of a second."""


def seeds() -> list[Path]:
    return sorted(path for path in FIXTURES.glob("*/capture.*cap*") if path.stat().st_size <= LARGEST)


def mutations(data: bytes, dice: random.Random) -> bytes:
    """Damage a capture in one to four ways that files and wires know."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        if len(out) < 2:
            break
        at = dice.randrange(len(out))
        length = min(dice.choice((1, 1, 2, 4, 9, 64, 1000)), len(out) - at)
        match dice.randrange(7):
            case 0:
                out[at] ^= 1 << dice.randrange(8)
            case 1:
                out[at : at + length] = dice.randbytes(length)
            case 2:
                del out[at : at + length]
            case 3:
                out[at:at] = out[at : at + length] * dice.randint(1, 3)
            case 4:
                other = dice.randrange(len(out))
                out[at : at + length] = out[other : other + length]
            case 5:
                out[at : at + length] = bytes([dice.choice((0, 0xFF, 0x7F))]) * length
            case 6:
                del out[dice.randrange(len(out)) :]
    return bytes(out)


def cases() -> Iterator[tuple[str, bytes]]:
    files = seeds()
    dice = random.Random(9113)
    seconds = float(os.environ.get("WIRECASE_FUZZ_SECONDS", "0"))
    if seconds:
        dice = random.Random()
    until = time.monotonic() + seconds
    done = 0
    while files and (done < MUTATIONS or time.monotonic() < until):
        path = dice.choice(files)
        done += 1
        yield path.parent.name, mutations(path.read_bytes(), dice)


def check(capture: Path, validator: jsonschema.Draft202012Validator) -> None:
    began = time.monotonic()
    options = pipeline.Options(sources=[str(capture)])
    try:
        found = pipeline.diagnose(options)
    except InputError:
        return
    assert time.monotonic() - began < SLOW, "hung"
    validator.validate(json.loads(json_v1.render(found)))
    books = found.accounting
    assert books.captured == books.decoded + sum(books.skipped.values())
    assert books.unbalanced == []
    shown = picturing.picture(options, found)
    for hop in shown.hops:
        assert all(lane.seen == sum(mark.count for mark in lane.marks) for lane in hop.lanes)
        assert all(line.text.isprintable() for one in hop.series for line in windows_words.drawn(one, 80))
    for text in (terminal.render(found, Screen(), shown), markdown.render(found, picture=shown)):
        assert text.replace("\n", "").isprintable()


@pytest.mark.skipif(not seeds(), reason="there is no fixture to mutate")
def test_mutated_fixtures(tmp_path: Path) -> None:
    text = resources.files("wirecase_cli").joinpath("reports", "report_v1.schema.json").read_text()
    validator = jsonschema.Draft202012Validator(json.loads(text))
    capture = tmp_path / "mutated.pcapng"
    for name, data in cases():
        capture.write_bytes(data)
        try:
            check(capture, validator)
        except BaseException as error:
            with tempfile.NamedTemporaryFile(prefix=f"wirecase-fuzz-{name}-", suffix=".pcapng", delete=False) as kept:
                kept.write(data)
            error.add_note(f"the mutated {name} was kept as {kept.name}")
            raise
