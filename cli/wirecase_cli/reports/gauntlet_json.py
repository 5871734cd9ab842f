"""The score card for machines, ``wirecase/gauntlet/1``: field by field.

A later version of wirecase may add fields, and does not change or remove one without a new schema name. The JSON
Schema, `gauntlet_v1.schema.json`, lies beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wirecase import __version__
from wirecase.replay.gauntlet import Card, Cell, Fault
from wirecase.replay.gauntlet.fault import BASES
from wirecase.replay.gauntlet.score import WORDS
from wirecase.replay.gauntlet.shipped import case
from wirecase_cli.reports import gauntlet_words as words
from wirecase_cli.reports import replay_words
from wirecase_cli.reports.json_v1 import json_safe

SCHEMA = "wirecase/gauntlet/1"
MAX_CALLS = 1000


def render(card: Card, again: str) -> str:
    """Return the card as JSON text in pure ASCII, with a newline at its end."""
    counted = card.words
    return _text(
        {
            "schema": SCHEMA,
            "version": __version__,
            "client": {
                "command": [replay_words.masked(part.encode("utf-8", "surrogateescape")) for part in card.command]
            },
            "outcome": card.outcome,
            "interrupted": card.interrupted,
            "seconds": round(card.seconds, 3),
            "jobs": card.jobs,
            "timeout": card.timeout,
            "summary": {word: counted[word] for word in WORDS},
            "faults": [{**fault(cell.fault), **_cell(card, cell, again)} for cell in card.cells],
            "left_out": [fault(one) for one in card.left_out],
        }
    )


def listing(faults: Sequence[Fault]) -> str:
    """Return the list of faults as JSON text."""
    return _text(
        {
            "schema": SCHEMA,
            "version": __version__,
            "faults": [{**fault(one), "case": str(case(one.name))} for one in faults],
        }
    )


def fault(one: Fault) -> dict[str, Any]:
    """Return what is known of a fault before anybody meets it."""
    return {
        "name": one.name,
        "topic": one.topic,
        "summary": one.summary,
        "rule": one.rule or None,
        "also": list(one.also),
        "expect": list(one.expect),
        "basis": BASES[one.basis],
        "kind": one.kind,
        "damaged": one.damaged,
        "control": one.control,
    }


def _cell(card: Card, cell: Cell, again: str) -> dict[str, Any]:
    run = None if cell.result is None else cell.result.run
    lines = [] if run is None else run.reported[:MAX_CALLS]
    return {
        "served_kind": cell.kind,
        "outcome": cell.outcome,
        "word": cell.word,
        "why": cell.why,
        "known_failing": cell.known_failing,
        "counts_against": cell.fails,
        "ran_again_alone": cell.again,
        "seconds": round(cell.seconds, 3),
        "reported": [
            {"call": one.call, "code": one.code, "details": words.masked(one.details), "messages": one.messages}
            for one in lines
        ],
        "checks": {one.name: {"outcome": one.outcome, "why": one.why} for one in cell.checks},
        "rerun": words.again(card, cell, again),
    }


def _text(document: dict[str, Any]) -> str:
    return json.dumps(json_safe(document), ensure_ascii=True, allow_nan=False, indent=2) + "\n"
