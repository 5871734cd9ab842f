"""Hold what diagnoses say that clients see against the clients: ``run_sees.py [--client NAME …] [--fault GLOB …]``.

Each client meets each fault live, and the session's capture is diagnosed. Every row of `client_sees` for that client,
in any finding of the session, must be what the client reported: its code, and its words. Where one is not, more
sessions tell whether the client is unsteady. Writes sees.json; exit 1 if a row is wrong.

`--write` makes wirecase/rules/clients/checked.py from the result: the pairs of client and rule whose rows were all
right. It takes a run of all clients and faults.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path

from livebench import clients, sees, session
from livebench.faults import ALL
from livebench.server import Fault
from run import sessions

MORE = 4
"""Live sessions in all where the first does not agree with every row."""


def measure(name: str, fault: Fault, folder: Path, fresh: bool) -> list[sees.Row]:
    """The rows of one client against one fault."""
    fault = sees.patient(name, fault)
    recording, said = sessions(name, fault, folder, fresh, wanted=1)
    found = sees.diagnosed(recording)
    rows = sees.compare(name, fault.name, found, said)
    if any(row.verdict in sees.WRONG for row in rows):
        _, said = sessions(name, fault, folder, False, wanted=MORE)
        rows = sees.compare(name, fault.name, found, said)
    for row in rows:
        if row.verdict in sees.WRONG:
            print(f"{name} {fault.name}: {sees.told(row)}", file=sys.stderr, flush=True)
    return rows


def table(names: Sequence[str], rows: Sequence[sees.Row]) -> str:
    """The figures for people."""
    lines = ["| client | rows | right | code alone | wrong | retried |", "|---|---|---|---|---|---|"]
    for name in (*names, "all"):
        count = Counter(row.verdict for row in rows if name in (row.client, "all"))
        numbers = (count.total(), count["equal"], count["code"], count["different"], count["retried"])
        lines.append(f"| {name} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(lines)


def main() -> int:
    """Measure all that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", action="append", choices=clients.NAMES, help="default: all")
    parser.add_argument("--fault", action="append", help="a pattern of names; default: all")
    parser.add_argument("--output", type=Path, default=Path("fidelity"), help="where captures and results go")
    parser.add_argument("--reuse", action="store_true", help="take live sessions that are in the folder already")
    parser.add_argument("--write", action="store_true", help="write down which pairs of client and rule are checked")
    parser.add_argument("--jobs", type=int, default=4)
    options = parser.parse_args()
    if reason := session.capturing():
        print(f"nothing measured: {reason}", file=sys.stderr)
        return 1
    names = []
    for name in options.client or clients.NAMES:
        if reason := clients.missing(name):
            print(f"{name} is left out: {reason}", file=sys.stderr)
        else:
            names.append(name)
    faults = [fault for fault in ALL if any(fnmatchcase(fault.name, glob) for glob in options.fault or ["*"])]
    if options.write and (len(names) < len(clients.NAMES) or len(faults) < len(ALL)):
        print("--write takes all clients and all faults", file=sys.stderr)
        return 2
    work = [(name, fault) for name in names for fault in faults]
    with ThreadPoolExecutor(options.jobs) as pool:
        found = pool.map(lambda one: measure(*one, options.output / "sessions", not options.reuse), work)
        rows = [row for some in found for row in some]
    options.output.mkdir(parents=True, exist_ok=True)
    about = {"versions": clients.versions(names), "faults": len(faults)}
    (options.output / "sees.json").write_text(
        json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=1) + "\n"
    )
    print(", ".join(clients.versions(names)), table(names, rows), sep="\n\n")
    if options.write:
        sees.write(rows)
    return 1 if any(row.verdict in sees.WRONG for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
