"""Cases of recordings whose keys open one side only: nothing may be said of the side that stays shut."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from captures import RAW_IP, Conversation, merge, pcap
from h2_bytes import Script, message
from tls_peers import Peers

from wirecase.case.extract import Request, extract
from wirecase.case.redact import Policy, Redactor
from wirecase.case.select import Selection
from wirecase.http2.sync import PREFACE
from wirecase.model import CLIENT, SERVER, Diagnosis
from wirecase.pipeline import Options, diagnose

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
SECRETS_BLOCK = 0x0000000A


def without_secrets(capture: Path) -> tuple[bytes, bytes]:
    """Return a little-endian pcapng without its decryption secrets, and these."""
    data = capture.read_bytes()
    kept, secrets = bytearray(), b""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == SECRETS_BLOCK:
            (length,) = struct.unpack_from("<I", data, at + 12)
            secrets += data[at + 16 : at + 16 + length]
        else:
            kept += data[at : at + size]
        at += size
    return bytes(kept), secrets


def of_one_side(name: str, side: str, folder: Path) -> tuple[Path, Path]:
    """Write a fixture and the key log of one of its sides, and return the paths."""
    capture, keys = without_secrets(FIXTURES / name / "capture.pcapng")
    named = FIXTURES / name / "keys.log"
    keys = keys or named.read_bytes()
    chosen = [line for line in keys.splitlines() if line.startswith(side.encode() + b"_") and b"TRAFFIC" in line]
    assert chosen, "the fixture is not TLS 1.3"
    paths = folder / "capture.pcapng", folder / "one.keys"
    paths[0].write_bytes(capture)
    paths[1].write_bytes(b"\n".join(chosen) + b"\n")
    return paths


def rules(found: Diagnosis) -> set[str]:
    return {one.rule for one in found.findings}


@pytest.mark.parametrize("side", ["CLIENT", "SERVER"])
@pytest.mark.parametrize("name", ["obs-encrypted", "obs-keylog"])
def test_a_case_of_one_side(name: str, side: str, tmp_path: Path) -> None:
    capture, keys = of_one_side(name, side, tmp_path)
    recorded = diagnose(Options([str(capture)], keylogs=[str(keys)]))
    assert recorded.calls.total > 0
    assert not recorded.accounting.unbalanced
    if name == "obs-encrypted":  # nothing went wrong there
        assert rules(recorded) == {"obs-encrypted"}
    request = Request([str(capture)], tmp_path / "case.pcapng", Selection(call=0), keylogs=[str(keys)])
    made = extract(request, Redactor(Policy()))
    case = diagnose(Options([str(made.path)]))
    assert case.calls.total >= 1
    assert not case.accounting.unbalanced
    new = {rule for rule in rules(case) - rules(recorded) if not rule.startswith("obs-")}
    assert new == set()


def pcapng(packets: list[tuple[int, bytes]]) -> bytes:
    """The packets in a form that might still bring keys: sides without them wait until the end."""
    blocks = [(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), (1, struct.pack("<HHI", RAW_IP, 0, 0))]
    for time, data in packets:
        micros = time // 1000
        head = struct.pack("<IIIII", 0, micros >> 32, micros & 0xFFFFFFFF, len(data), len(data))
        blocks.append((6, head + data + bytes(-len(data) % 4)))
    sizes = [len(body) + 12 for _, body in blocks]
    return b"".join(
        struct.pack("<II", kind, size) + body + struct.pack("<I", size)
        for (kind, body), size in zip(blocks, sizes, strict=True)
    )


@pytest.mark.parametrize("write", [pcap, pcapng])
@pytest.mark.parametrize("side", ["CLIENT", "SERVER", ""])
def test_an_answer_that_cannot_be_read_is_not_a_missing_one(
    side: str, write: Callable[..., bytes], tmp_path: Path
) -> None:
    """The client waits a minute after the answer, then closes."""
    script = Script().hello()
    for stream in (1, 3, 5):
        script.request(stream, message(b"ask")).response(stream, message(b"answer"))
    (first, hello), *others = script.segments
    spoken = Peers().talk([(first, PREFACE + hello), *others])
    wire = Conversation().open()
    for sender, data in spoken.flights:
        wire.send(sender, data)
    wire.wait(60).fin(CLIENT, SERVER)
    (tmp_path / "capture").write_bytes(write(merge([wire])))
    lines = [line for line in spoken.keys.splitlines() if not side or line.startswith(side.encode() + b"_")]
    (tmp_path / "one.keys").write_bytes(b"\n".join(lines) + b"\n")
    found = diagnose(Options([str(tmp_path / "capture")], keylogs=[str(tmp_path / "one.keys")]))
    assert found.calls.total == 3
    assert rules(found) == ({"obs-encrypted"} if side else set())
