"""``wirecase report``: everything that goes into a bug report, in one folder or one archive."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import UsageError, WirecaseError
from wirecase_cli import engine, output, running
from wirecase_cli.commands import cutting
from wirecase_cli.commands.options import Keylogs, Ports, Raw, Sources, Where, key_logs, named
from wirecase_cli.reports import formats
from wirecase_cli.reports.job import Job

if TYPE_CHECKING:
    from wirecase.case.bundle import Facts, Staged
    from wirecase.case.extract import Extracted
    from wirecase.case.redact import Redactor

OK = 0
INTERRUPTED = 130

DEFAULT = Path("wirecase-report")
FILES = {"markdown": "report.md", "html": "report.html", "json": "report.json"}
"""The reports of a bundle, and what they are called."""


@dataclass(slots=True)
class _Removed:
    """What redaction removed, without what is a mere word: the reports have words of their own."""

    masks: Redactor

    @property
    def secrets(self) -> list[bytes]:
        return [one for one in self.masks.secrets if not one.isalpha()]


def report(
    sources: Sources,
    target: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR|FILE.zip", help="Where the bundle goes: a folder, or a zip."),
    ] = DEFAULT,
    finding: cutting.Finding = None,
    call: cutting.CallNumber = None,
    where: Where = None,
    context: cutting.Context = 0,
    payloads: cutting.Messages = cutting.Payloads.redact,
    keep_secrets: cutting.KeepSecrets = None,
    show: Annotated[
        bool, typer.Option("--open", help="Open the report in a browser, if standard output is a terminal.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the bundle if it exists.")] = False,
    keylogs: Keylogs = None,
    ports: Ports = None,
    raw: Raw = False,
    unwrap: engine.Engine = engine.Name.native,
    preferences: engine.Preferences = None,
) -> int:
    """Write a bundle to attach to a bug report: the case, redacted, and the reports about it.

    The reports are about the case, as extract writes it: what was removed from it is in none of them. wirecase verify
    checks a bundle.

    Exit status: 0 written, 2 wrong usage, 3 an input could not be read or the fault cannot be shown in a case, 4 the
    verdict did not survive or the bundle could not be written (nothing is), 70 a defect of wirecase, 130 interrupted.
    """
    running.check_stdin(sources, "report")
    choice = cutting.Choice(finding, call, where, context, payloads, keep_secrets)
    engine.check(unwrap, preferences)
    zipped = target.suffix.lower() == ".zip"
    if show and zipped:
        raise UsageError("--open shows a folder: leave .zip out of --output")
    _check_target(target, sources, zipped=zipped, force=force)
    sources = named(sources, raw=raw)
    reading = cutting.Reading(sources, key_logs(keylogs), list(ports or []), unwrap, preferences)

    from wirecase.case import bundle

    try:
        # Within a folder that is there: it may be a mount point, and no rename goes from one file system to another.
        beside = target if target.is_dir() else target.absolute().parent
        with tempfile.TemporaryDirectory(prefix=".wirecase-", dir=beside) as name:
            staged = bundle.Staged(Path(name) / "bundle")
            staged.folder.mkdir()
            made = _fill(staged, choice, reading)
            size = sum(one.size for one in staged.entries)
            if zipped:
                bundle.pack(staged, target)
                size = target.stat().st_size
            else:
                bundle.place(staged, target)
    except KeyboardInterrupt:
        running.tell("interrupted: nothing was written")
        return INTERRUPTED
    except OSError as error:
        raise output.OutputError(f"cannot write {target}: {error.strerror}") from error
    output.to_stdout(_told(target, staged.names, size, made))
    if show:
        _open(target)
    return OK


def _check_target(target: Path, sources: list[str], *, zipped: bool, force: bool) -> None:
    """Raise UsageError if the bundle cannot go to `target`: before the work begins."""
    if zipped or not target.is_dir():
        output.check_file(target, sources, force=force and zipped, device=False)
        return
    from wirecase.case.bundle import MANIFEST

    if not os.access(target, os.W_OK):
        raise UsageError(f"--output {target}: the folder is not writable")
    inside = os.listdir(target)
    if not inside:
        return
    if MANIFEST not in inside:
        raise UsageError(f"--output {target} is a folder with other files in it")
    if not force:
        raise UsageError(f"--output {target} exists (--force replaces it)")


def _fill(staged: Staged, choice: cutting.Choice, reading: cutting.Reading) -> Extracted:
    """Write the case, the reports about it and the manifest."""
    from wirecase.case.bundle import CASE
    from wirecase.case.redact import searching
    from wirecase.pipeline import Options

    forms = [one for one in formats.FORMATS if one.name in FILES]
    listeners = {one.name: one.listener() for one in forms if one.listener is not None}

    def heard(*told: object) -> None:
        for each in listeners.values():
            each.on_call(*told)  # type: ignore[arg-type]

    made, masks = cutting.write(choice, reading, staged.folder / CASE, "report", heard if listeners else None)
    staged.add(CASE, "application/x-pcapng")
    # A path of the folder that the case stands in for the moment tells the reader nothing.
    shown = replace(made.diagnosis, sources=[replace(one, path=CASE) for one in made.diagnosis.sources])
    search = searching(_Removed(masks))
    for form in forms:
        job = Job(
            to_file=True,
            options=Options([str(staged.folder / CASE)], ports=list(reading.ports)),
            listener=listeners.get(form.name),
            folder=staged.folder,
        )
        path = staged.add(FILES[form.name], form.media_type, formats.write(shown, form, job))
        with path.open("rb") as file:
            leaks = search(file, made.texts)
        if leaks:
            raise LeakError(f"a removed secret stands in {FILES[form.name]} ({leaks[0]}): nothing was written")
    staged.finish(_facts(made))
    return made


class LeakError(WirecaseError):
    """A removed secret stands in a report."""

    exit_status = 4


def _facts(made: Extracted) -> Facts:
    """Return what the manifest says beside the files: of the recording nothing but counts and names of rules."""
    from wirecase.case.bundle import Facts

    calls = made.recording.calls
    by_rule: dict[str, int] = {}
    for one in made.recording.findings:
        by_rule[one.rule] = by_rule.get(one.rule, 0) + 1
    counts = {"total": calls.total, "ok": calls.ok, "failed": calls.failed, "unfinished": calls.unfinished}
    manifest = made.manifest
    return Facts(
        manifest["version"], manifest["command"], manifest["headline"], manifest["sources"],
        {"calls": counts, "findings": by_rule}, manifest["redaction"],
    )  # fmt: skip


def _told(target: Path, names: list[str], size: int, made: Extracted) -> str:
    from wirecase_cli.reports.escape import line

    lines = [f"{line(str(target))}: {', '.join(names)}; {size:,} bytes"]
    lines += [
        f"  shows {match.shown.id} {match.shown.rule}: {line(match.shown.title)}"
        for match in made.matches
        if match.shown is not None
    ]
    lines += [
        f"  does not show {match.recorded.rule} ({match.recorded.id} of the capture): {line(match.missing)}"
        for match in made.not_carried
    ]
    lines.append(f"  payloads: {made.manifest['redaction'].get('payloads')}; check it with: wirecase verify BUNDLE")
    return "\n".join(lines) + "\n"


def _open(target: Path) -> None:
    """Show the report to a person; where nobody looks at a screen, nothing is opened."""
    if sys.stdout is None or not sys.stdout.isatty():
        running.tell("--open: standard output is no terminal, so nothing was opened")
        return
    import webbrowser

    page = target / FILES["html"]
    if not webbrowser.open(page.absolute().as_uri()):
        running.tell(f"--open: no browser was found; the report is {page}")
