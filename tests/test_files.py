"""Files that appear whole: with the permissions of any other file, and nothing where the writing failed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wirecase.files import appearing, usual_mode


@pytest.fixture(params=[0o022, 0o077])
def mask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_nothing_is_seen_before_the_end(tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.write_text("earlier")
    with appearing(target) as file:
        file.write(b"later")
        file.flush()
        assert target.read_text() == "earlier"
        file.seek(0)
        assert file.read() == b"later"
    assert target.read_text() == "later"
    assert os.listdir(tmp_path) == ["report"]


def _half(target: Path, failure: BaseException) -> None:
    with appearing(target) as file:
        file.write(b"half")
        raise failure


@pytest.mark.parametrize("failure", [OSError("no space"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "report"
    target.write_text("earlier")
    with pytest.raises(type(failure)):
        _half(target, failure)
    assert target.read_text() == "earlier"
    assert os.listdir(tmp_path) == ["report"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path, mask: int) -> None:
    with appearing(tmp_path / "made") as file:
        file.write(b"x")
    (tmp_path / "plain").write_bytes(b"x")
    assert (tmp_path / "made").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "folder").mkdir()
    assert (tmp_path / "folder").stat().st_mode & 0o777 == usual_mode(0o777) == 0o777 & ~mask


def test_the_mask_is_left_as_it_was(mask: int) -> None:
    usual_mode()
    assert os.umask(mask) == mask
