"""tshark as a child process: found, refused, read, and ended whatever it does."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest
from fake_tshark import fake

from wirecase.sources.tshark import program
from wirecase.sources.tshark.program import Child, Tshark, TsharkError, find, install_hint, tshark
from wirecase.sources.tshark.source import TsharkEngine


@pytest.fixture(autouse=True)
def _fresh() -> None:
    program._version.cache_clear()


def only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let no other tshark be found than the one in `folder`."""
    monkeypatch.setattr(
        program.shutil, "which", lambda name, path=None: str(folder / name) if (folder / name).exists() else None
    )
    module = types.ModuleType("pyshark.tshark.tshark")
    module.TSharkNotFoundException = KeyError  # type: ignore[attr-defined]
    module.get_process_path = lambda: {}["tshark"]  # type: ignore[attr-defined]
    parent = types.ModuleType("pyshark.tshark")
    parent.tshark = module  # type: ignore[attr-defined]
    for name, one in (("pyshark", types.ModuleType("pyshark")), ("pyshark.tshark", parent), (module.__name__, module)):
        monkeypatch.setitem(sys.modules, name, one)


def child(folder: Path, body: str) -> Child:
    return Child(Tshark(str(fake(folder, body)), (4, 0, 17)), [])


def test_without_tshark_one_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, tmp_path)
    assert find() is None
    with pytest.raises(TsharkError) as raised:
        tshark()
    assert install_hint() in str(raised.value) and raised.value.exit_status == 3


@pytest.mark.parametrize("tool", ["apt-get", "dnf", "zypper", "apk", "pacman"])
def test_the_hint_fits_the_system(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.sys, "platform", "linux")
    monkeypatch.setattr(program.shutil, "which", lambda name: name if name == tool else None)
    assert tool.removesuffix("-get") in install_hint()
    monkeypatch.setattr(program.sys, "platform", "darwin")
    assert install_hint().startswith("brew")


def test_pyshark_knows_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake(tmp_path / "elsewhere", "")
    only(monkeypatch, tmp_path)
    sys.modules["pyshark.tshark.tshark"].get_process_path = lambda: str(path)  # type: ignore[attr-defined]
    assert tshark() == Tshark(str(path), (4, 0, 17))


@pytest.mark.parametrize("version", ["TShark (Wireshark) 2.6.10 (v2)", "nonsense", ""])
def test_a_tshark_that_will_not_do(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, "", version)
    only(monkeypatch, tmp_path)
    with pytest.raises(TsharkError):
        tshark()


def test_lines_in_pieces(tmp_path: Path) -> None:
    body = "for one in b'ab\\ncd\\n\\nlast': sys.stdout.buffer.write(bytes([one])); sys.stdout.flush()"
    with child(tmp_path, body) as running:
        assert [line for line in running.lines() if line is not None] == [b"ab", b"cd", b"", b"last"]
        assert running.finish() == ""


def test_its_last_complaint_is_the_reason(tmp_path: Path) -> None:
    body = (
        'sys.stderr.write(\'Running as user "root" and group "root". This could be dangerous.\\n\''
        " + 'x\\n' * 100000 + 'tshark: bad \\x1b[2J thing\\n\\n'); sys.exit(2)"
    )
    with child(tmp_path, body) as running:
        assert list(running.lines()) == []
        assert running.finish() == "bad \\x1b[2J thing"


def test_a_silent_failure_has_a_reason(tmp_path: Path) -> None:
    with child(tmp_path, "sys.exit(3)") as running:
        assert not list(running.lines())
        assert running.finish() == "status 3"
    with child(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)") as running:
        assert not list(running.lines())
        assert "signal 9" in running.finish()


def test_leaving_ends_it_even_if_it_will_not(tmp_path: Path) -> None:
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(600)"
    with child(tmp_path, body) as running:
        number = int(next(line for line in running.lines() if line))
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_one_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "STALLED", 0.2)
    monkeypatch.setattr(program, "_POLL", 0.1)
    with child(tmp_path, "time.sleep(600)") as running, pytest.raises(TsharkError, match="printed nothing"):
        list(running.lines())


def test_a_line_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_LONGEST_LINE", 1 << 20)
    body = "while True: sys.stdout.write('x' * 65536)"
    with child(tmp_path, body) as running, pytest.raises(TsharkError, match="without an end"):
        list(running.lines())


def test_stopping_while_it_keeps_us_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path / "bin", "time.sleep(600)")
    only(monkeypatch, tmp_path / "bin")
    monkeypatch.setattr(program, "_POLL", 0.05)
    capture = tmp_path / "empty.pcap"
    capture.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    [source] = TsharkEngine(stop=lambda: True)([str(capture)])
    assert list(source.batches()) == []
