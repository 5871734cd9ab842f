"""What the wheel and the source distribution hold: all that is needed, and nothing else.

Built here without a network (``hatchling`` is in the extra ``dev``); the wheel that is made of the source distribution
is the same to the byte.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IN_WHEEL = re.compile(
    r"""(?x)
    (wirecase|wirecase_cli)/([a-z0-9_]+/)*[a-z0-9_]+\.py
    | (wirecase|wirecase_cli)/py\.typed
    | wirecase/replay/gauntlet/([a-z]+/)*[a-z0-9-]+\.(pcap|pcapng|json)
    | wirecase_cli/pages/(rules/)?[a-z0-9-]+\.md
    | wirecase_cli/reports/[a-z0-9_]+\.schema\.json
    | wirecase_cli/reports/html/(assets|templates)/[a-z0-9_.-]+\.(css|js|j2)
    | wirecase-[^/]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)
    | wirecase-[^/]+\.data/data/share/man/man1/wirecase\.1
    """
)
"""The only names that a wheel may hold."""

IN_SDIST = re.compile(
    r"""(?x)
    (cli|decoders)/(wirecase_cli|wirecase)/.+ | cli/man/wirecase\.1
    | tests/([A-Za-z0-9_-]+/)*[A-Za-z0-9_.-]+
    | fixtures/([A-Za-z0-9_-]+/)*[A-Za-z0-9_.-]+
    | CHANGELOG\.md | CONTRIBUTING\.md | Containerfile | LICENSE | Makefile | README\.md
    | PKG-INFO | pyproject\.toml | \.gitignore
    """
)

NEVER = re.compile(
    r"__pycache__|\.py[co]$|\.so$|\.egg-info"
    r"|(^|/)(build|target|node_modules|dist|\.venv|\.git|\.hypothesis|\.[a-z_]+_cache)/"
    r"|\.(pem|key|p12|env|swp|orig|rej|bak|tmp)$|~$"
)
"""What belongs to nobody but the machine that built."""

NEEDED = (
    "wirecase/py.typed", "wirecase_cli/py.typed", "wirecase_cli/pages/first-steps.md", "pages/rules/index.md",
    "wirecase_cli/reports/report_v1.schema.json", "share/man/man1/wirecase.1", "licenses/LICENSE", "entry_points.txt",
    "reports/html/templates/page.html.j2",
)  # fmt: skip

MOST_BYTES = {"whl": 3_000_000, "gz": 6_000_000}
"""A wheel has some 2 MB, a source distribution (fixtures and tests are in it) some 3 MB."""

SECRET = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=]{60}|ghp_[A-Za-z0-9]{36}|AKIA[0-9A-Z]{16}")
PLACES = {str(ROOT), *([sys.prefix] if sys.prefix != sys.base_prefix else []), str(Path.home()) + os.sep}
MACHINE = re.compile("|".join(re.escape(path) for path in PLACES if len(path) > 3).encode())
"""Paths of the machine that built."""


@dataclass(frozen=True, slots=True)
class Built:
    """Files with their contents, by name without the leading folder of the source distribution."""

    path: Path
    files: dict[str, bytes]


def build(source: Path, out: Path, *what: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", *what, "--directory", str(out)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1763800000", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=source, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def of_wheel(path: Path) -> Built:
    with zipfile.ZipFile(path) as archive:
        return Built(path, {name: archive.read(name) for name in archive.namelist()})


def of_sdist(path: Path) -> Built:
    with tarfile.open(path) as archive:
        members = [one for one in archive.getmembers() if one.isfile()]
        assert len(members) == len([one for one in archive.getmembers() if not one.isdir()]), "a link or a device"
        read = {one.name.partition("/")[2]: archive.extractfile(one) for one in members}
        return Built(path, {name: file.read() for name, file in read.items() if file is not None})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: pip install '.[dev]'")
    made = tmp_path_factory.mktemp("dist")
    build(ROOT, made, "-t", "sdist", "-t", "wheel")
    return made


@pytest.fixture(scope="module")
def wheel(out: Path) -> Built:
    return of_wheel(next(out.glob("*.whl")))


@pytest.fixture(scope="module")
def sdist(out: Path) -> Built:
    return of_sdist(next(out.glob("*.tar.gz")))


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def each(request: pytest.FixtureRequest) -> Built:
    found: Built = request.getfixturevalue(request.param)
    return found


def test_only_what_is_meant_to_be_in_it(wheel: Built, sdist: Built) -> None:
    assert [name for name in wheel.files if not IN_WHEEL.fullmatch(name)] == []
    assert [name for name in sdist.files if not IN_SDIST.fullmatch(name)] == []


def test_no_leftovers(each: Built) -> None:
    assert [name for name in each.files if NEVER.search(name)] == []


def test_all_that_is_needed_is_in_it(wheel: Built) -> None:
    assert [name for name in NEEDED if not any(file.endswith(name) for file in wheel.files)] == []
    for folder, package in (("cli", "wirecase_cli"), ("decoders", "wirecase")):
        there = {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder / package).rglob("*.*")
                 if path.is_file() and not NEVER.search(path.as_posix())}  # fmt: skip
        assert there <= wheel.files.keys()


def test_sizes(each: Built) -> None:
    assert each.path.stat().st_size < MOST_BYTES[each.path.suffix.removeprefix(".")]


def test_no_secret_and_no_path_of_this_machine(each: Built) -> None:
    for name, content in each.files.items():
        assert name.startswith("tests/") or not SECRET.search(content), name  # those plant some that are none
        if not name.endswith((".pcap", ".pcapng", ".gz", ".bin")):
            assert not MACHINE.search(content), name


def test_the_description_is_the_readme(wheel: Built) -> None:
    text = next(content for name, content in wheel.files.items() if name.endswith("METADATA")).decode()
    head, _, body = text.partition("\n\n")
    assert body == (ROOT / "README.md").read_text(encoding="utf-8")
    assert "License-Expression: Apache-2.0" in head and "Description-Content-Type: text/markdown" in head
    assert re.search(r"^Requires-Python: >=3\.11$", head, re.M)


def test_the_source_distribution_makes_the_same_wheel(wheel: Built, sdist: Built, tmp_path: Path) -> None:
    unpacked = unpack(sdist, tmp_path)
    build(unpacked, tmp_path / "dist", "-t", "wheel")
    again = next((tmp_path / "dist").glob("*.whl"))
    assert of_wheel(again).files == wheel.files
    assert digest(again) == digest(wheel.path)


def test_its_tests_are_complete(sdist: Built, tmp_path: Path) -> None:
    """They are found without this checkout, and one folder of them runs."""
    unpacked = unpack(sdist, tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    for arguments in (["--collect-only", "-q"], ["tests/query", "tests/listing"]):
        done = subprocess.run([*command, *arguments], cwd=unpacked, env=environment, capture_output=True, text=True,
                              timeout=240, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]


def unpack(sdist: Built, folder: Path) -> Path:
    with tarfile.open(sdist.path) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
