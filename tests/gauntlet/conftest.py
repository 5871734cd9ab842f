"""The helpers of this folder and of the fault server are imported by plain names."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "fidelity"))
sys.path.append(str(Path(__file__).parents[1] / "replay" / "cli"))
sys.path.append(str(Path(__file__).parents[2] / "fixtures" / "clients"))
