"""A few faults through the whole harness: live twice, captured, replayed. `make fidelity` does it with all of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from livebench import clients, compare, session
from livebench.faults import BY_NAME
from livebench.replayed import replay

FAULTS = (
    "healthy-stream",
    "flag-67-status-0",
    "http-502-flag-101",
    "http-400-empty",
    "rst-midbody-internal-error",
    "status-missing-end-on-data",
    "goaway-internal",
    "tcp-rst-mid-message",
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, compare.Pair]:
    """The comparison of each fault, made two at a time."""
    if reason := session.capturing() or clients.missing("grpcio"):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("fidelity")

    def measure(name: str) -> compare.Pair:
        fault, recording = BY_NAME[name], Path(folder, f"{name}.pcap")
        both = [session.live("grpcio", fault, recording), session.live("grpcio", fault)]
        return compare.judge("grpcio", name, both, replay("grpcio", fault, recording))

    with ThreadPoolExecutor(2) as pool:
        return {pair.fault: pair for pair in pool.map(measure, FAULTS)}


@pytest.mark.parametrize("name", FAULTS)
def test_grpcio_says_the_same_to_the_replay(pairs: dict[str, compare.Pair], name: str) -> None:
    pair = pairs[name]
    assert pair.replayed is not None, pair.words
    assert pair.live[0].calls, "the client reported nothing live"
    assert pair.replayed.calls == pair.live[0].calls == pair.live[1].calls
    assert pair.replayed.end == pair.live[0].end
    assert pair.verdict == "equal"
