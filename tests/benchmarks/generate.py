"""Make the captures of the benchmark: ``generate.py OUTDIR [--only NAME] [--scale X]``.

Without ``--only`` the whole set is made but for the very large one. A capture that cannot be made here is skipped with
one line that says why; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from traffic.real import RECORDED_CAPTURES, record
from traffic.repeat import LARGE_NAME, write_large
from traffic.sidecar import CannotGenerate, Sidecar, read_sidecars
from traffic.written import WRITTEN_CAPTURES, write

NAMES = [capture.name for capture in (*RECORDED_CAPTURES, *WRITTEN_CAPTURES)] + [LARGE_NAME]


def generate(name: str, folder: Path, scale: float) -> Sidecar:
    """Make the capture *name* with its sidecar; raises CannotGenerate."""
    for recorded in RECORDED_CAPTURES:
        if recorded.name == name:
            return record(recorded, folder, scale)
    for written in WRITTEN_CAPTURES:
        if written.name == name:
            return write(written, folder, scale)
    return write_large(folder, read_sidecars(folder), scale)


def main() -> int:
    """Make what was asked for."""
    parser = argparse.ArgumentParser(description="Make the captures of the benchmark.")
    parser.add_argument("outdir", type=Path, help="folder outside of the project; the whole set takes 2.4 GB")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--scale", type=float, default=1.0, help="multiply the numbers of calls and messages")
    options = parser.parse_args()
    if not 0 < options.scale <= 10:
        parser.error("--scale must be above 0 and at most 10")
    options.outdir.mkdir(parents=True, exist_ok=True)
    skipped = 0
    for name in options.only or [name for name in NAMES if name != LARGE_NAME]:
        started = time.monotonic()
        try:
            sidecar = generate(name, options.outdir, options.scale)
        except CannotGenerate as problem:
            print(f"{name}: skipped, {problem}", file=sys.stderr)
            skipped += 1
            continue
        sidecar.write(options.outdir)
        took = time.monotonic() - started
        figures = f"{sidecar.packets:,} packets, {sidecar.size:,} bytes, {sidecar.calls:,} calls"
        print(f"{name}: {figures}, port {sidecar.port}, made in {took:.0f} s", flush=True)
    return 1 if skipped else 0


if __name__ == "__main__":
    raise SystemExit(main())
