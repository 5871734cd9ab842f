"""The moment a call died, served again to a client, and how the client took it.

`serve` gives a case to a client in this process, `replay` to one that is a command; both come to a `ReplayResult`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wirecase.replay.judge import Criteria, parse_expectation
    from wirecase.replay.model import Check, ClientRun, LiveCall, LiveConnection, Trace
    from wirecase.replay.result import ReplayResult
    from wirecase.replay.served import Served
    from wirecase.replay.session import ServeSettings, replay, serve

__all__ = [
    "Check", "ClientRun", "Criteria", "LiveCall", "LiveConnection", "ReplayResult", "ServeSettings", "Served", "Trace",
    "parse_expectation", "replay", "serve",
]  # fmt: skip

_HOMES = {
    "judge": ("Criteria", "parse_expectation"),
    "model": ("Check", "ClientRun", "LiveCall", "LiveConnection", "Trace"),
    "result": ("ReplayResult",),
    "served": ("Served",),
    "session": ("ServeSettings", "replay", "serve"),
}
_WHERE = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: the parts of a replay take time to import."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
