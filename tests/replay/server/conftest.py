from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wirecase.replay.plan import Plan, read_plan
from wirecase.replay.server import MAX, ReplayServer, ServeOptions

# wires.py beside this file is imported by name, as under tests/support
sys.path.insert(0, str(Path(__file__).parent))

Serve = Callable[..., ReplayServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers for recordings; they are stopped at the end."""
    started: list[ReplayServer] = []

    def start(source: Path | Plan, **options: Any) -> ReplayServer:
        plan = source if isinstance(source, Plan) else read_plan(str(source))
        server = ReplayServer(plan, ServeOptions(**{"speed": MAX, **options}))
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
        server.plan.close()
