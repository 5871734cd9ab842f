"""``wirecase verify``: what the recipient of a case runs first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wirecase.errors import InputError
from wirecase_cli import output, running

if TYPE_CHECKING:
    from wirecase.case.bundle import Bundle
    from wirecase.case.verify import Verified

OK = 0
WRONG = 1


def verify(
    case: Annotated[
        str,
        typer.Argument(
            metavar="CASE",
            help="A case, as extract writes it, or a bundle, as report does; - for standard input.",
            show_default=False,
        ),
    ],
) -> int:
    """Check a case: is it whole, does this version find in it what it says, does nothing in it look like a secret.

    Of a bundle (a folder or a zip) every file is held against its manifest first. A zip is unpacked only if nothing in
    it leads elsewhere or is far larger than it looks.

    Exit status: 0 all is well, 1 something is not, 2 wrong usage, 3 the file is no case or bundle, could not be read or
    must not be unpacked, 70 a defect of wirecase, 130 interrupted.
    """
    running.check_stdin([case], "verify")
    with running.rereadable([case]) as (path,):
        return _verify(path, case)


def _verify(path: str, name: str) -> int:
    """Check what stands at `path` and is called `name`; return the exit status."""
    from wirecase.case import bundle
    from wirecase.case.verify import shapes_in
    from wirecase.case.verify import verify as check

    if not bundle.is_bundle(path):
        checked = check(path)
        output.to_stdout(_told(name, checked))
        return OK if checked.sound else WRONG
    with bundle.opened(path) as found:
        try:
            checked = check(str(found.case))
        except InputError as error:  # its path is that of a temporary folder
            reason = str(error).removeprefix(f"{found.case}: ")
            raise InputError(f"{name}: {found.case.name}: {reason}") from error
        for each in found.there:
            if each != found.case.name:
                leaks = shapes_in(str(found.folder / each), checked.manifest)
                checked.secrets += [f"in {each}: {one}" for one in leaks]
        output.to_stdout(_bundle_told(name, found) + _told(found.case.name, checked))
        return OK if checked.sound and not found.problems else WRONG


def _bundle_told(path: str, found: Bundle) -> str:
    from wirecase_cli.reports.escape import line

    manifest = found.manifest
    count = len(found.entries)
    lines = [f"{line(path)}: {manifest['schema']}, written by wirecase {line(manifest['version'])}, {count} files"]
    lines += [f"  damaged: {line(one)}" for one in found.problems]
    if not found.problems:
        lines.append("  all files are as the manifest says")
    return "\n".join(lines) + "\n"


def _told(case: str, checked: Verified) -> str:
    from wirecase import __version__
    from wirecase_cli.reports.escape import line

    manifest = checked.manifest
    written = f"{manifest['schema']}, written by wirecase {line(manifest['version'])}"
    lines = [
        f"{line(case)}: {written}, checked by wirecase {__version__}",
        f"  {line(str(manifest.get('headline', '')))}",
    ]
    for source in manifest["sources"]:
        if isinstance(source, dict):
            lines.append(f"  source: sha256 {line(str(source.get('sha256')))}")
    lines += [f"  damaged: {line(one)}" for one in checked.problems]
    lines += [f"  verdict: {line(one)}" for one in checked.differences]
    lines += [f"  looks like a secret: {line(one)}" for one in checked.secrets]
    if checked.sound:
        count = len(manifest["findings"])
        lines.append(f"  all {count} findings are found again; nothing looks like a secret")
    return "\n".join(lines) + "\n"
