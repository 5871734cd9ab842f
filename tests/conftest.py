"""Makes the byte builders of `support` importable by plain names from all tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "support"))
