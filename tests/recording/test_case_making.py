"""Cases are made by a process of its own, which is replaced now and then: nothing waits for ever."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from wirecase.recording import cases
from wirecase.recording.cases import CaseMaker, Job, Making


def test_many_more_cases_than_one_process_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "TASKS", 2)
    with contextlib.closing(CaseMaker(Making(str(tmp_path)))) as maker:
        made = []
        for number in range(7):
            ring = tmp_path / f"{number}.pcapng"
            ring.write_bytes(b"")
            maker.submit(Job(number, str(ring), [("tcp-refused", None)]))
            if number == 4:
                made += maker.collect(wait=True)
        made += maker.collect(wait=True)
        assert sorted(one.number for one in made) == list(range(7))
        assert all(one.case is None and one.why for one in made)
        assert not maker.waiting
    assert not list(tmp_path.glob("*.pcapng"))
