"""Makes the secrets that these tests plant importable by a plain name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
