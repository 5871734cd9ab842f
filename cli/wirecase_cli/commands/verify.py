"""``wirecase verify``: what the recipient of a case runs first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wirecase_cli import output

if TYPE_CHECKING:
    from wirecase.case.verify import Verified

OK = 0
WRONG = 1


def verify(
    case: Annotated[str, typer.Argument(metavar="CASE", help="A case, as extract writes it.", show_default=False)],
) -> int:
    """Check a case: is it whole, does this version find in it what it says, does nothing in it look like a secret.

    Exit status: 0 all is well, 1 something is not, 2 wrong usage, 3 the file is no case or could not be read, 70 a
    defect of wirecase, 130 interrupted.
    """
    from wirecase.case.verify import verify as check

    checked = check(case)
    output.to_stdout(_told(case, checked))
    return OK if checked.sound else WRONG


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
