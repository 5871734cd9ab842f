"""Measure how faithful replay is: ``run.py [--client NAME …] [--fault GLOB …] [--output FOLDER]``.

Each client meets each fault live, twice; the first session is captured. `wirecase replay` serves the capture to the
same client, and its words are compared under one normalisation (livebench/normalise.py). Where they differ, four more
live sessions tell whether the client is the unsteady one. Writes fidelity.json and fidelity.md; exit 1 if fewer than
98 % of the steady pairs are equal, or a difference has no cause in explained.toml.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from livebench import clients, compare, session
from livebench.faults import ALL
from livebench.replayed import replay
from livebench.server import Fault

MORE = 6
"""Live sessions in all where the first two agree and the replay does not."""
CURRENT = ("grpcio", "grpc-go", "grpc-js", "grpc-java", "tonic")


def sessions(name: str, fault: Fault, folder: Path, fresh: bool, wanted: int = 2) -> tuple[Path, list[session.Said]]:
    """The capture of the first live session, and what the client said in this many; known ones are taken again."""
    recording, said = folder / name / f"{fault.name}.pcap", folder / name / f"{fault.name}.json"
    known = [] if fresh or not said.exists() else json.loads(said.read_text())
    recording.parent.mkdir(parents=True, exist_ok=True)
    while len(known) < wanted:
        one = session.live(name, fault, None if known else recording)
        known.append({"lines": one.raw, "end": one.end})
        said.write_text(json.dumps(known))
    return recording, [session.reported(one["lines"], one["end"]) for one in known]


def measure(name: str, fault: Fault, folder: Path, fresh: bool) -> compare.Pair:
    """One client against one fault."""
    recording, said = sessions(name, fault, folder, fresh)
    replayed = replay(name, fault, recording)
    pair = compare.judge(name, fault.name, said, replayed)
    if pair.verdict == "different":  # or is it the client that says now this, now that?
        _, said = sessions(name, fault, folder, False, wanted=MORE)
        pair = compare.judge(name, fault.name, said, replayed)
    if pair.verdict != "equal":
        print(f"{name} {fault.name}: {pair.verdict}", file=sys.stderr, flush=True)
    return pair


def main() -> int:
    """Measure all that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", action="append", choices=clients.NAMES, help="default: the five current ones")
    parser.add_argument("--fault", action="append", help="a pattern of names; default: all")
    parser.add_argument("--output", type=Path, default=Path("fidelity"), help="where captures and results go")
    parser.add_argument("--reuse", action="store_true", help="take live sessions that are in the folder already")
    parser.add_argument("--live-only", action="store_true", help="only make the live sessions")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if reason := session.capturing():
        print(f"nothing measured: {reason}", file=sys.stderr)
        return 1
    names = options.client or CURRENT
    for name in names:
        if reason := clients.missing(name):
            print(f"{name} is left out: {reason}", file=sys.stderr)
    names = [name for name in names if clients.missing(name) is None]
    faults = [fault for fault in ALL if any(fnmatchcase(fault.name, glob) for glob in options.fault or ["*"])]
    work = [(name, fault) for name in names for fault in faults]
    captures = options.output / "sessions"
    with ThreadPoolExecutor(options.jobs) as pool:
        if options.live_only:
            list(pool.map(lambda one: sessions(*one, captures, not options.reuse), work))
            return 0
        pairs = list(pool.map(lambda one: measure(*one, captures, not options.reuse), work))
    about = {"date": date.today().isoformat(), "system": platform.platform(), "faults": len(faults)}
    about |= {"versions": ", ".join(clients.versions(names))}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "fidelity.json").write_text(json.dumps(compare.as_json(pairs, about), indent=1) + "\n")
    (options.output / "fidelity.md").write_text(compare.as_markdown(pairs, about))
    counted = compare.figures(pairs)
    asked = counted.steady - counted.refused
    print(f"{counted.equal} of {asked} equal ({counted.share:.1%}); {counted.refused} refused,", end=" ")
    print(f"{counted.pairs - counted.steady} unsteady live, {counted.unexplained} unexplained")
    print(f"see {options.output}/fidelity.md")
    return 0 if counted.share >= compare.WANTED and not counted.unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
