"""Freed memory is kept where the C library can be told to."""

from __future__ import annotations

import ctypes

import pytest

from wirecase_cli import allocation


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    allocation.keep_freed()


def test_glibc_is_told_both_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[int, int] = {}

    class Library:
        def mallopt(self, name: int, value: int) -> int:
            told[name] = value
            return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Library())
    allocation.keep_freed()
    assert told == {-1: 64 << 20, -3: 32 << 20}
