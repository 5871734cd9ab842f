"""Compare wirecase with tshark: ``compare.py OUTDIR``, after ``generate.py OUTDIR``.

Per capture, alternating pairs of whole processes on the same file; then the start-up, and the first verdict on a tiny
capture. Prints Markdown and writes the same as JSON. ``--require`` makes a figure that is not reached exit status 1;
``--large`` makes the very large capture for its memory figure and deletes it again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measure import ChildFailed, Run, alternate, read_into_cache, run, spread
from traffic.sidecar import Sidecar, read_sidecars

LARGE = "large-4g"

WANTED_RATIO = {
    "unary": 8.0, "huffman": 6.0, "small-frames": 6.0, "flight-1448": 12.0, "flight-64k": 5.0, "tls-unary": 8.0,
    "tls-flight": 8.0,
}  # fmt: skip
"""How many times faster than tshark wirecase is to be, by capture."""
WANTED_COST = 2.0
"""How many times as long TLS may take as the same traffic in cleartext."""
WANTED_PEAK = 150 << 20
"""Bytes of memory that no capture may pass."""
WANTED_STARTUP = 0.050
"""Seconds that ``--version`` may take more than a bare interpreter."""
SHORT_PAIRS = 11
"""Pairs of the start-up and of the tiny capture: short runs scatter more."""
TINY = "tiny"

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Comparison:
    """The runs on one capture, and what they come to."""

    name: str
    size: int
    packets: int
    wall: float
    """Median seconds of wirecase."""
    cpu: float
    peak: int
    """Largest peak memory of wirecase over all runs, in bytes."""
    tshark_wall: float | None = None
    tshark_cpu: float | None = None
    tshark_peak: int | None = None
    ratios: tuple[float, float, float] | None = None
    """tshark's wall time over wirecase's, pair by pair: least, median, most."""
    wanted: float | None = None
    cost: tuple[float, float, float] | None = None
    """Under TLS: the time against that of the same traffic in cleartext, pair by pair: least, median, most."""
    missed: list[str] = field(default_factory=list)
    """What was wanted and not reached, in words."""


class Bench:
    """The commands, their environment and a place for their output."""

    def __init__(self, wirecase: list[str], python: str, scratch: Path) -> None:
        self._wirecase = wirecase
        self._python = python
        self._report = scratch / "report.json"
        self._environment = {**os.environ, "NO_COLOR": "1", "PYTHONPYCACHEPREFIX": str(scratch / "compiled")}
        # An installed wirecase lies there compiled; without this, each run might compile its sources anew.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        paths = [str(PROJECT / "decoders"), str(PROJECT / "cli"), os.environ.get("PYTHONPATH", "")]
        self._wirecase_environment = {**self._environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def diagnose(self, capture: Path, keylog: Path | None = None) -> Run:
        """wirecase on *capture*, with findings and the JSON report."""
        command = [*self._wirecase, "diagnose", "--format", "json", "--fail-on", "never", str(capture)]
        if keylog is not None:
            command += ["--keylog", str(keylog)]
        return run(command, self._wirecase_environment, self._report)

    def last_report(self) -> dict[str, Any]:
        """The report of the last diagnose."""
        report = json.loads(self._report.read_text())
        if not isinstance(report, dict):
            raise ChildFailed("the report is no JSON object")
        return report

    def tshark(self, capture: Path, port: int, keylog: Path | None = None) -> Run:
        """tshark on *capture*, with the stream and length of each message.

        Under TLS the port is told to be TLS (ALPN names HTTP/2): told to be HTTP/2, it would not be decrypted.
        """
        command = ["tshark", "-r", str(capture), "-d", f"tcp.port=={port},{'http2' if keylog is None else 'tls'}"]
        if keylog is not None:
            command += ["-o", f"tls.keylog_file:{keylog.resolve()}"]
        command += ["-Y", "grpc", "-T", "fields", "-e", "http2.streamid", "-e", "grpc.message_length"]
        return run(command, self._environment)

    def version(self) -> Run:
        """``wirecase --version``."""
        return run([*self._wirecase, "--version"], self._wirecase_environment)

    def bare_python(self) -> Run:
        """An interpreter that does nothing."""
        return run([self._python, "-c", ""], self._environment)


def compare_capture(bench: Bench, sidecar: Sidecar, folder: Path, pairs: int) -> Comparison:
    """Measure one capture; a capture for the memory figure alone is run once, without tshark."""
    path = folder / sidecar.file
    keylog = None if sidecar.keylog is None else folder / sidecar.keylog
    read_into_cache(path)
    port = sidecar.port
    if sidecar.memory_only or port is None:
        one = bench.diagnose(path)
        result = Comparison(sidecar.name, sidecar.size, sidecar.packets, one.wall, one.cpu, one.peak)
    else:
        measured = alternate(pairs, lambda: bench.diagnose(path, keylog), lambda: bench.tshark(path, port, keylog))
        ours, theirs = [pair[0] for pair in measured], [pair[1] for pair in measured]
        ratio = spread([other.wall / own.wall for own, other in measured])
        result = Comparison(
            sidecar.name,
            sidecar.size,
            sidecar.packets,
            spread([one.wall for one in ours]).middle,
            spread([one.cpu for one in ours]).middle,
            max(one.peak for one in ours),
            spread([one.wall for one in theirs]).middle,
            spread([one.cpu for one in theirs]).middle,
            max(one.peak for one in theirs),
            (ratio.least, ratio.middle, ratio.most),
            WANTED_RATIO.get(sidecar.name),
        )
        if result.wanted is not None and ratio.middle < result.wanted:
            result.missed.append(f"{ratio.middle:.1f} times as fast, wanted {result.wanted:.0f}")
        if sidecar.clear is not None:
            _weigh_tls(bench, result, (path, keylog), folder / sidecar.clear, pairs)
            bench.diagnose(path, keylog)  # the report to be checked
    if result.peak >= WANTED_PEAK:
        result.missed.append(f"{_mib(result.peak)} of memory, wanted below {_mib(WANTED_PEAK)}")
    result.missed += _checked(bench.last_report(), sidecar)
    return result


def _weigh_tls(
    bench: Bench, result: Comparison, sealed: tuple[Path, Path | None], clear: Path, pairs: int
) -> None:  # fmt: skip
    """Measure what TLS costs: the same traffic sealed and in cleartext."""
    read_into_cache(clear)
    measured = alternate(pairs, lambda: bench.diagnose(*sealed), lambda: bench.diagnose(clear))
    cost = spread([under.wall / plain.wall for under, plain in measured])
    result.cost = (cost.least, cost.middle, cost.most)
    if cost.middle > WANTED_COST:
        result.missed.append(f"{cost.middle:.2f} times the time of cleartext, wanted at most {WANTED_COST:.0f}")


def _checked(report: Mapping[str, Any], sidecar: Sidecar) -> list[str]:
    """What *report* gets wrong about traffic that is known: a run that skips work is no fast run."""
    wrong = []
    calls, accounting = report["calls"], report["accounting"]
    if calls["total"] != sidecar.calls:
        wrong.append(f"{calls['total']:,} calls found of {sidecar.calls:,}")
    elif calls["ok"] != sidecar.calls:
        wrong.append(f"{calls['ok']:,} calls found well of {sidecar.calls:,}")
    if accounting["unbalanced"]:
        wrong.append(f"{len(accounting['unbalanced'])} directions whose bytes do not balance")
    if accounting["decoded"] + sum(skip["bytes"] for skip in accounting["skipped"]) != accounting["captured"]:
        wrong.append("bytes captured are not bytes decoded and skipped")
    return wrong


def compare_short(bench: Bench, tiny: tuple[Path, int] | None) -> dict[str, Any]:
    """The start-up against a bare interpreter, and the first verdict on *tiny* (its path and port) against tshark."""
    bench.version()  # the first run may have to compile
    measured = alternate(SHORT_PAIRS, bench.version, bench.bare_python)
    version, bare = (spread([pair[side].wall for pair in measured]).middle for side in (0, 1))
    result: dict[str, Any] = {"version": version, "bare_python": bare, "missed": []}
    if version - bare > WANTED_STARTUP:
        result["missed"].append(f"--version takes {1000 * (version - bare):.0f} ms more than a bare interpreter")
    if tiny is not None:
        path, port = tiny
        bench.diagnose(path)
        measured = alternate(SHORT_PAIRS, lambda: bench.diagnose(path), lambda: bench.tshark(path, port))
        verdict, tshark = (spread([pair[side].wall for pair in measured]).middle for side in (0, 1))
        result.update(first_verdict=verdict, first_tshark=tshark)
        if verdict > tshark:
            result["missed"].append("the first verdict comes later than tshark ends")
    return result


# --- printing ---------------------------------------------------------------------------------------------------------


def _mib(size: float) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def _table(results: list[Comparison], pairs: int) -> str:
    lines = [
        f"Wall time and processor time are medians, memory is the largest peak; {pairs} alternating pairs.",
        "",
        "| capture | size, packets | tshark | wirecase | ratio: least, median, most | wanted |",
        "|---|---|---|---|---|---|",
    ]
    for one in results:
        ours = f"{one.wall:.2f} s, {one.cpu:.2f} s cpu, {_mib(one.peak)}"
        theirs, ratio = "not run", "-"
        if one.tshark_wall is not None and one.tshark_cpu is not None and one.tshark_peak is not None:
            theirs = f"{one.tshark_wall:.2f} s, {one.tshark_cpu:.2f} s cpu, {_mib(one.tshark_peak)}"
        if one.ratios is not None:
            ratio = f"{one.ratios[0]:.1f}, **{one.ratios[1]:.1f}**, {one.ratios[2]:.1f}"
        wanted = "-" if one.wanted is None else f"{one.wanted:.0f}"
        lines.append(f"| {one.name} | {_mib(one.size)}, {one.packets:,} | {theirs} | {ours} | {ratio} | {wanted} |")
    for one in results:
        if one.cost is not None:
            least, middle, most = one.cost
            lines += ["", f"{one.name}: {least:.2f}, **{middle:.2f}**, {most:.2f} times the time of its cleartext."]
    return "\n".join(lines)


def _short_table(short: Mapping[str, Any]) -> str:
    def milliseconds(key: str) -> str:
        return f"{1000 * short[key]:.0f} ms"

    lines = [f"Medians of {SHORT_PAIRS} pairs.", "", "| | wirecase | against |", "|---|---|---|"]
    against = f"`python -c ''` {milliseconds('bare_python')}"
    lines.append(f"| `--version` | {milliseconds('version')} | {against} |")
    if "first_verdict" in short:
        against = f"tshark {milliseconds('first_tshark')}"
        lines.append(f"| verdict on a tiny capture | {milliseconds('first_verdict')} | {against} |")
    return "\n".join(lines)


def _machine() -> dict[str, str]:
    said = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=False).stdout.split()
    tshark = said[2].rstrip(".") if len(said) > 2 else "unknown"
    return {"python": platform.python_version(), "tshark": tshark, "processors": str(os.cpu_count())}


def _print(whole: Mapping[str, Any], results: list[Comparison], pairs: int) -> None:
    print(", ".join(f"{name} {value}" for name, value in whole["machine"].items()), end="\n\n")
    print(_table(results, pairs), end="\n\n")
    if "version" in whole["short"]:
        print(_short_table(whole["short"]), end="\n\n")
    print("\n".join(f"- not reached: {text}" for text in whole["missed"]) or "Every wanted figure is reached.")


@contextmanager
def _large_capture(folder: Path, wanted: bool) -> Iterator[None]:
    """Have the very large capture in *folder* while the block runs, if it is *wanted* and not there anyway.

    It is made in a process of its own, because making it takes memory (see ``measure.Run.peak``).
    """
    made = wanted and not (folder / f"{LARGE}.json").exists()
    try:
        if made:
            script = Path(__file__).with_name("generate.py")
            command = [sys.executable, str(script), str(folder), "--only", LARGE]
            subprocess.run(command, check=True, stdout=sys.stderr)
        yield
    finally:
        if made:
            for suffix in ("pcap", "json"):
                (folder / f"{LARGE}.{suffix}").unlink(missing_ok=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare wirecase with tshark on the benchmark's captures.")
    parser.add_argument("outdir", type=Path, help="where generate.py put the captures")
    parser.add_argument("--only", action="append", metavar="NAME", help="this capture (may be given several times)")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--wirecase", metavar="CMD", help="the command to measure (default: this checkout's)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: OUTDIR/results/compare.json")
    parser.add_argument("--large", action="store_true", help=f"with {LARGE}: made, measured once, deleted (4 GB)")
    parser.add_argument("--require", action="store_true", help="exit 1 when a wanted figure is not reached")
    options = parser.parse_args()
    if options.pairs < 1:
        parser.error("--pairs must be at least 1")
    if shutil.which("tshark") is None:
        parser.error("tshark is not installed")
    return options


def main() -> int:
    """Measure, print, and judge where asked to."""
    options = _options()
    wirecase = shlex.split(options.wirecase or f"{shlex.quote(sys.executable)} -m wirecase_cli.main")
    results: list[Comparison] = []
    short: dict[str, Any] = {}
    missed: list[str] = []
    with TemporaryDirectory() as scratch, _large_capture(options.outdir, options.large):
        sidecars = read_sidecars(options.outdir)
        if options.only:
            sidecars = [one for one in sidecars if one.name in options.only or (options.large and one.name == LARGE)]
        if not sidecars:
            print(f"no capture to compare in {options.outdir}: make them with generate.py", file=sys.stderr)
            return 2
        bench = Bench(wirecase, sys.executable, Path(scratch))
        tiny = next(((options.outdir / one.file, one.port) for one in sidecars if one.name == TINY and one.port), None)
        try:
            short = compare_short(bench, tiny)
            missed += short["missed"]
        except ChildFailed as problem:
            missed.append(str(problem))
        for sidecar in sidecars:
            if sidecar.name == TINY:
                continue
            print(f"{sidecar.name} ...", file=sys.stderr, flush=True)
            try:
                results.append(compare_capture(bench, sidecar, options.outdir, options.pairs))
                missed += [f"{sidecar.name}: {text}" for text in results[-1].missed]
            except ChildFailed as problem:
                missed.append(f"{sidecar.name}: {problem}")
    whole = {"machine": _machine(), "captures": [asdict(one) for one in results], "short": short, "missed": missed}
    _print(whole, results, options.pairs)
    target = options.json or options.outdir / "results" / "compare.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(whole, indent=2) + "\n")
    return 1 if options.require and missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
