from __future__ import annotations

import sys
from pathlib import Path

# servers.py beside this file is imported by name, as under tests/support
sys.path.insert(0, str(Path(__file__).parent))
