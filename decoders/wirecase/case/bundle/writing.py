"""Writing a bundle: the files are made in a folder of their own and put into place when all of them are there.

An archive of the same files has the same bytes: times are fixed, the order is that of the manifest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from wirecase.case.bundle.model import (
    MANIFEST,
    MOST_BYTES,
    MOST_ENTRIES,
    MOST_MANIFEST,
    MOST_RATIO,
    Entry,
    Facts,
    is_safe_name,
    manifest_json,
    parse_manifest,
)
from wirecase.errors import InputError, WirecaseError
from wirecase.files import appearing, usual_mode

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can say."""
_PIECE = 1 << 20
_READABLE = 0o644


class TooLargeError(WirecaseError):
    """The files are more than a bundle may hold."""

    exit_status = 4


@dataclass(slots=True)
class Staged:
    """The files of a bundle in a folder, before they are put into place."""

    folder: Path
    entries: list[Entry] = field(default_factory=list)

    def add(self, name: str, media_type: str, text: str | None = None) -> Path:
        """Take a file: with `text` it is written first, without it stands in the folder already."""
        assert is_safe_name(name)
        path = self.folder / name
        if text is not None:
            path.write_bytes(text.encode("utf-8", "backslashreplace"))
        size, digest = _digest(path)
        self.entries.append(Entry(name, media_type, size, digest))
        return path

    def finish(self, facts: Facts) -> None:
        """Write the manifest. Raises TooLargeError if the bundle could not be verified again."""
        data = manifest_json(facts, self.entries)
        if sum(one.size for one in self.entries) + len(data) > MOST_BYTES or len(self.entries) >= MOST_ENTRIES:
            raise TooLargeError(f"a bundle holds at most {MOST_BYTES >> 30} GiB: choose fewer calls")
        (self.folder / MANIFEST).write_bytes(data)

    @property
    def names(self) -> list[str]:
        """All files, the manifest first."""
        return [MANIFEST, *(one.name for one in self.entries)]


def pack(staged: Staged, target: Path) -> None:
    """Write the staged files as a zip to `target`, which appears when it is whole."""
    with appearing(target) as file, zipfile.ZipFile(file, "w") as archive:
        for each in staged.names:
            _pack_one(archive, staged.folder / each)


def _pack_one(archive: zipfile.ZipFile, path: Path) -> None:
    """Put one file into the archive; what deflate shrinks to next to nothing is stored: a bomb would look the same."""
    size = path.stat().st_size
    info = zipfile.ZipInfo(path.name, _EPOCH)
    info.create_system = 3  # Unix, wherever it is written
    info.external_attr = (0o100000 | _READABLE) << 16
    info.file_size = size
    info.compress_type = zipfile.ZIP_DEFLATED if _deflated(path) * MOST_RATIO > size else zipfile.ZIP_STORED
    with path.open("rb") as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, _PIECE)


def _deflated(path: Path) -> int:
    """Return how many bytes a file takes when it is deflated as the archive would."""
    import zlib

    coder = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -15)
    count = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            count += len(coder.compress(piece))
    return count + len(coder.flush())


def place(staged: Staged, target: Path) -> None:
    """Put the staged files into the folder `target`, the manifest last; a bundle that is there is replaced.

    Files in it that are not of the earlier bundle are left alone.
    """
    if not target.exists():
        os.chmod(staged.folder, usual_mode(0o777))
        for each in staged.names:
            os.chmod(staged.folder / each, usual_mode())
        os.rename(staged.folder, target)
        return
    for stale in _listed(target) - set(staged.names):
        if (target / stale).is_file() and not (target / stale).is_symlink():
            (target / stale).unlink()
    for each in [*staged.names[1:], MANIFEST]:
        os.chmod(staged.folder / each, usual_mode())
        os.replace(staged.folder / each, target / each)


def _listed(folder: Path) -> set[str]:
    """Return the files that the manifest of a folder names; none where it has no sound one."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            _, entries = parse_manifest(str(folder), file.read(MOST_MANIFEST))
    except (OSError, InputError):
        return set()
    return {one.name for one in entries}


def _digest(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
