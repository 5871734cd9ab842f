"""Programs that answer in place of tshark, well or badly."""

from __future__ import annotations

import sys
from pathlib import Path

VERSION = "TShark (Wireshark) 4.0.17 (Git v4.0.17)."


def fake(folder: Path, body: str, version: str = VERSION) -> Path:
    """Write a ``tshark`` into `folder` that runs the Python statements of `body`, with `arguments` at hand."""
    folder.mkdir(exist_ok=True)
    path = folder / "tshark"
    path.write_text(
        f"#!{sys.executable}\n"
        "import os, signal, sys, time\n"
        "arguments = sys.argv[1:]\n"
        "if '--version' in arguments:\n"
        f"    print({version!r})\n"
        "    sys.exit()\n" + body
    )
    path.chmod(0o755)
    return path
