"""The Python API: a case served in this process, its options, and the public names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import wirecase.replay
from wirecase.errors import InputError, UsageError
from wirecase.replay.session import is_loopback, parse_listen, parse_speed

FIXTURES = Path(__file__).parents[2] / "fixtures"
FLAG = FIXTURES / "grpc-invalid-compression-flag" / "capture.pcapng"


def test_every_public_name_is_there():
    for name in wirecase.replay.__all__:
        assert getattr(wirecase.replay, name) is not None
    with pytest.raises(AttributeError):
        _ = wirecase.replay.nothing  # type: ignore[attr-defined]


def test_importing_it_imports_nothing_heavy():
    code = "import sys, wirecase.replay, wirecase.replay.pytest_plugin; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    assert not {"numpy", "asyncio", "cryptography", "psutil", "h2", "grpc"} & set(loaded)


def test_addresses():
    with wirecase.replay.serve(FLAG, speed="max") as served:
        assert served.target == f"127.0.0.1:{served.port}"
        assert served.url == f"http://{served.target}"
        assert served.ca is None
        assert served.verdict().outcome == "untold"
        assert "never connected" in served.verdict().check("detected").why
    with wirecase.replay.serve(FLAG, tls=True) as served:
        assert served.url.startswith("https://")
        assert served.ca is not None and Path(served.ca).read_text().startswith("-----BEGIN CERTIFICATE")
    assert not Path(served.ca).exists()


def test_the_verdict_can_be_read_after_the_end():
    with wirecase.replay.serve(FLAG, speed="max") as served:
        pass
    assert served.verdict().trace.connections == []


def test_statuses_are_taken_in_any_spelling():
    import enum

    class Status(enum.Enum):
        INTERNAL = (13, "internal")

    with wirecase.replay.serve(FLAG, speed="max") as served:
        for code in (Status.INTERNAL, "Internal", 13):
            served.report(code)
        with pytest.raises(ValueError, match="no gRPC status"):
            served.report("fine")
        assert [one.code for one in served._told] == ["INTERNAL"] * 3


def test_healthy_answers_from_another_capture():
    sound = next(FIXTURES.glob("*healthy*/capture.pcapng"), None)
    if sound is None:
        pytest.skip("no healthy fixture")
    with wirecase.replay.serve(FLAG, healthy=sound) as served:
        assert served.server.plan.healthy


def test_mistakes():
    for wrong, error in (
        ({"path": "missing.pcapng"}, InputError),
        ({"path": FLAG, "finding": "F99"}, UsageError),
        ({"path": FLAG, "speed": "fast"}, UsageError),
        ({"path": FLAG, "expect": ("nonsense",)}, UsageError),
    ):
        with pytest.raises(error), wirecase.replay.serve(**wrong):
            pass


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:50051", ("127.0.0.1", 50051)), (":50051", ("127.0.0.1", 50051)), ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("localhost", ("localhost", 0)), ("[::1]:50051", ("::1", 50051)), ("[::1]", ("::1", 0)), ("::1", ("::1", 0)),
    ],
)  # fmt: skip
def test_listen(text, address):
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"])
def test_no_address(text):
    with pytest.raises(UsageError, match="--listen"):
        parse_listen(text)


def test_speeds():
    assert parse_speed("max") == float("inf")
    assert parse_speed("2.5") == 2.5
    for text in ("0", "-1", "nan", "fast", ""):
        with pytest.raises(UsageError, match="--speed"):
            parse_speed(text)


def test_loopback():
    assert is_loopback("127.0.0.1") and is_loopback("::1") and is_loopback("localhost") and is_loopback("127.8.0.1")
    assert not is_loopback("0.0.0.0") and not is_loopback("::") and not is_loopback("10.0.0.1")
    assert not is_loopback("example.org")
