"""Shapes of log lines that no rule's text holds, written down one by one."""

from __future__ import annotations

from wirecase.explaining.shape import Shape
from wirecase.explaining.shapes import codes, managed, native, proxies

SHAPES: tuple[Shape, ...] = (*codes.SHAPES, *native.SHAPES, *managed.SHAPES, *proxies.SHAPES)

__all__ = ["SHAPES"]
