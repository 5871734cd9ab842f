"""The helpers of this folder are imported by plain names; streams are put together on both paths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from net_wire import Frame, Result, Talk

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(params=[False, True], ids=["scalar", "columns"])
def run(request: pytest.FixtureRequest) -> Any:
    from net_wire import Talk, assemble

    def assembled(frames: list[Frame] | Talk, **options: Any) -> Result:
        taken = frames.frames if isinstance(frames, Talk) else frames
        return assemble(taken, columns=request.param, **options)

    return assembled
