"""The pytest plugin of wirecase: a recorded fault served for the length of one test.

``@pytest.mark.wirecase("case.pcapng", speed="max")`` names the case (relative to the test's file, or to where pytest
was started) and the options of `wirecase.replay.serve`; the fixture ``wirecase_replay`` gives its `Served`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wirecase.replay.served import Served

MARKER = "wirecase"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(case, *, finding=None, call=None, speed=1.0, match='path', tls=False, alpn='h2', healthy=None, "
        "expect=(), idempotent=()): the recorded fault that the fixture wirecase_replay serves to this test.",
    )


@pytest.fixture
def wirecase_replay(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Serve the case of the marker ``wirecase`` until the test is over; `target` says where, `verdict` how it went."""
    marker = request.node.get_closest_marker(MARKER)
    if marker is None or len(marker.args) != 1:
        pytest.fail(f'the fixture wirecase_replay needs a marker: @pytest.mark.{MARKER}("case.pcapng")', pytrace=False)
    from wirecase.errors import WirecaseError
    from wirecase.replay.session import serve

    options: dict[str, Any] = dict(marker.kwargs)
    for name in ("expect", "idempotent"):
        if isinstance(options.get(name), str):
            options[name] = (options[name],)
    if options.get("healthy") is not None:
        options["healthy"] = _found(request, options["healthy"])
    try:
        serving = serve(_found(request, marker.args[0]), **options)
        served = serving.__enter__()
    except (WirecaseError, TypeError) as error:
        pytest.fail(f"wirecase cannot serve {marker.args[0]}: {error}", pytrace=False)
    try:
        yield served
    finally:
        serving.__exit__(None, None, None)


def _found(request: pytest.FixtureRequest, path: str | Path) -> Path:
    """Return where a case lies: beside the test's file, or where pytest was started."""
    beside = Path(request.path).parent / path
    return beside if beside.exists() else Path(path)
