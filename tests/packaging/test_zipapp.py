"""The one-file program that ``make zipapp`` makes, in an environment that has never heard of wirecase."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(os.environ.get("WIRECASE_ZIPAPP", ROOT / "dist" / "wirecase.pyz"))
FAULT = str(ROOT / "fixtures" / "grpc-invalid-compression-flag" / "capture.pcapng")
PYTHON = str(getattr(sys, "_base_executable", sys.executable))

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="make zipapp makes the program that is tested here")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    base = tmp_path_factory.mktemp("host")
    made = {"PATH": os.defpath, "HOME": str(base), "SHIV_ROOT": str(base / "unpacked")}
    bare = subprocess.run([PYTHON, "-I", "-c", "import wirecase"], env=made, capture_output=True, check=False)
    assert bare.returncode != 0, f"{PYTHON} has wirecase installed: nothing would be proved"
    return made


def run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [PYTHON, "-I", str(PROGRAM), *arguments], env=environment, cwd=environment["HOME"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert not done.stderr or done.stderr.startswith("wirecase: "), done.stderr
    return done.returncode, done.stdout


def test_version(environment: dict[str, str]) -> None:
    from wirecase import __version__

    assert run(environment, "--version") == (0, f"wirecase {__version__}\n")


def test_diagnose(environment: dict[str, str]) -> None:
    status, said = run(environment, "diagnose", "--format", "json", FAULT)
    assert status == 1
    assert json.loads(said)["findings"][0]["rule"] == "grpc-invalid-compression-flag"
    assert (
        run(environment, "diagnose", "--format", "html", "--output", "page.html", FAULT)[0] == 1
    )  # needs its templates


def test_files_that_come_with_it(environment: dict[str, str]) -> None:
    assert run(environment, "guide", "first-steps")[1].startswith("# First steps")
    assert run(environment, "explain", "rst-midbody")[0] == 0
    assert "faults and" in run(environment, "gauntlet", "--list")[1]


def test_replay_with_itself_as_the_client(environment: dict[str, str]) -> None:
    assert run(environment, "extract", FAULT, "--finding", "F1", "-o", "case.pcapng")[0] == 0
    client = [PYTHON, "-I", str(PROGRAM), "replay", "case.pcapng", "--to", "{target}"]
    status, said = run(environment, "replay", "case.pcapng", "--expect", "exit=1", "--format", "json", "--", *client)
    assert (status, json.loads(said)["checks"]["as_expected"]["outcome"]) == (0, "pass")


def test_record_starts_its_other_process(environment: dict[str, str]) -> None:
    status, _ = run(
        environment, "record", "--listen", "0", "--to", "127.0.0.1:9", "-o", "all.pcapng", "--duration", "0.5"
    )
    assert status == 0
    assert Path(environment["HOME"], "all.pcapng").stat().st_size > 0
