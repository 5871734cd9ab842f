"""The folder's scripts import each other by plain names; the tests here do so too."""

from __future__ import annotations

import sys
from pathlib import Path

# At the end: profile.py here must not stand before the standard module of that name.
sys.path.append(str(Path(__file__).parent))
