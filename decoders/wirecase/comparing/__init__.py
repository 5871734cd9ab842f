"""The same call on both sides of a proxy: what was changed on the way, and which hop is at fault."""

from __future__ import annotations

from wirecase.comparing.model import Comparison
from wirecase.comparing.run import compare

__all__ = ["Comparison", "compare"]
