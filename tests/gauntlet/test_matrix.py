"""The matrix: complete, written out as its data say, explained where it surprises, and true of grpcio."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase

import matrix
import matrix_pages
import pytest
from livebench import clients

from wirecase.replay.gauntlet import FAULTS
from wirecase.replay.gauntlet.score import SURPRISES, WORDS

DATA = matrix_pages.data()
NAMES = matrix_pages.NAMES
SOME = ["healthy-unary", "healthy-early-hints", "flag-67-status-0", "status-empty", "rst-midbody-cancel", "fin-midbody"]


def pinned(name: str) -> str:
    if name in ("grpcio", "grpclib"):
        return (clients.FOLDER / name / "requirements.txt").read_text().partition("==")[2].strip()
    return clients.versions([name])[0].removeprefix(f"{name} ")


def test_every_client_met_every_fault() -> None:
    assert set(DATA["clients"]) == set(NAMES) == set(clients.NAMES)
    for name in NAMES:
        row = DATA["clients"][name]
        assert set(row["cells"]) == {fault.name for fault in FAULTS}, name
        assert row["runs"] >= 2 and re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"]) and row["runtime"]
        assert {cell["word"] for cell in row["cells"].values()} <= set(WORDS) - {"untold"}, name


@pytest.mark.parametrize("name", NAMES)
def test_the_versions_are_those_of_the_drivers(name: str) -> None:
    assert DATA["clients"][name]["version"] == pinned(name)


def test_the_pages_say_what_the_data_say() -> None:
    assert matrix_pages.PAGE.read_text(encoding="utf-8") == matrix_pages.page(DATA), (
        "make matrix, or matrix.py --render"
    )
    shown = matrix_pages.MARKED.search(matrix_pages.README.read_text(encoding="utf-8"))
    assert shown is not None
    assert shown[0] == f"{shown[1]}{matrix_pages.readme(DATA)}{shown[2]}"


def test_every_surprise_is_explained_and_every_explanation_needed() -> None:
    unexplained = [
        f"{name} {fault}: {cell['word']}"
        for name in NAMES
        for fault, cell in DATA["clients"][name]["cells"].items()
        if cell["word"] in SURPRISES and matrix_pages.explanation(name, fault, cell["word"]) is None
    ]
    assert not unexplained
    names = [fault.name for fault in FAULTS]
    for entry in matrix_pages.surprises():
        assert entry["client"] in NAMES and entry["why"]
        assert all(any(fnmatchcase(name, one) for name in names) for one in entry["faults"]), entry


def test_unsteady_cells_are_explained() -> None:
    for name in NAMES:
        for fault, cell in DATA["clients"][name]["cells"].items():
            if "else" in cell:
                assert any(one["client"] == name and fault in one["faults"] for one in matrix_pages.unsteady()), (
                    f"{name} {fault} is unsteady: say why in surprises.toml"
                )


def test_sources_are_those_of_the_version_that_was_run() -> None:
    for entry in matrix_pages.surprises():
        for link in entry.get("source", []):
            version = DATA["clients"][entry["client"]]["version"]
            if "golang/go" in link:
                version = DATA["clients"][entry["client"]]["runtime"].removeprefix("Go ")
            assert version in link and re.search(r"#L\d+(-L\d+)?$", link), link


def test_grpcio_does_what_the_matrix_says() -> None:
    """A part of it; all of it where WIRECASE_GAUNTLET says ``whole``."""
    if reason := clients.missing("grpcio"):
        pytest.skip(reason)
    recorded = DATA["clients"]["grpcio"]
    installed = clients.versions(["grpcio"])[0].removeprefix("grpcio ")
    if installed != recorded["version"]:
        pytest.skip(f"grpcio {installed} is installed, the matrix has {recorded['version']}")
    whole = os.environ.get("WIRECASE_GAUNTLET") == "whole"
    rows = matrix.gauntlet("grpcio", [] if whole else SOME, jobs=2)
    steady = {fault: cell for fault, cell in recorded["cells"].items() if "else" not in cell}
    other = {
        fault: (matrix.key(matrix.cell(row)), matrix.key(steady[fault]))
        for fault, row in rows.items()
        if fault in steady and matrix.key(matrix.cell(row)) != matrix.key(steady[fault])
    }
    assert not other
