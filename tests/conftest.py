"""Makes the byte builders of `support` importable by plain names from all tests, and sets how examples are drawn."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

sys.path.append(str(Path(__file__).parent / "support"))

# The checks of every change must not depend on luck; elsewhere each run tries new examples.
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
