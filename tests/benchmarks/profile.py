"""Where the time of one diagnose goes: ``profile.py CAPTURE [--top 40] [--sort tottime]``.

The profiler runs in a process of its own, started in the project's folder: this folder must not be on its import path,
for the name of this very file is also that of a standard module that the profiler imports.
"""

from __future__ import annotations

import argparse
import os
import pstats
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Profile one capture and print the functions that take most."""
    parser = argparse.ArgumentParser(description="Profile wirecase diagnose on one capture.")
    parser.add_argument("capture", type=Path)
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--sort", choices=["tottime", "cumulative", "ncalls"], default="tottime")
    options = parser.parse_args()
    capture = options.capture.resolve()
    if not capture.is_file():
        parser.error(f"{options.capture} is no file")
    paths = [str(PROJECT / "decoders"), str(PROJECT / "cli"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with TemporaryDirectory() as scratch:
        figures = Path(scratch) / "figures"
        command = [sys.executable, "-m", "cProfile", "-o", str(figures), "-m", "wirecase_cli.main", "diagnose"]
        arguments = ["--format", "json", "--fail-on", "never", str(capture)]
        done = subprocess.run(
            [*command, *arguments], cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, check=False
        )
        if not figures.is_file():
            print(f"no profile: diagnose ended with {done.returncode}", file=sys.stderr)
            return 1
        pstats.Stats(str(figures)).strip_dirs().sort_stats(options.sort).print_stats(options.top)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
