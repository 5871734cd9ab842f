"""Opening a bundle that somebody else made: nothing is believed, nothing leaves the folder that it is unpacked into.

A folder may hold plain files only. An archive is a plain zip: one disk, no zip64, no comment, no encryption, stored or
deflated, with the directory right before its end, where its size is known before it is read. Sizes are counted while
they are unpacked; what the archive says of them is only held against that.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from wirecase.case.bundle.model import (
    MANIFEST,
    MOST_BYTES,
    MOST_ENTRIES,
    MOST_MANIFEST,
    MOST_RATIO,
    Bundle,
    Entry,
    is_safe_name,
    parse_manifest,
)
from wirecase.errors import InputError

_LOCAL = b"PK\x03\x04"
_END = struct.Struct("<4s4H2LH")
"""End of central directory record (APPNOTE 4.3.16)."""
_END_MAGIC = b"PK\x05\x06"
_ZIP64_LOCATOR, _ZIP64_LOCATOR_SIZE = b"PK\x06\x07", 20
_MOST_DIRECTORY = MOST_ENTRIES * 1024
"""Bytes of the central directory: 46 for an entry, its name, and what some tools add."""
_PIECE = 1 << 20
_ENCRYPTED = 0x1


def is_bundle(path: str) -> bool:
    """Tell whether `path` looks like a bundle: a folder, or a zip by its first bytes."""
    if os.path.isdir(path):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(4) in (_LOCAL, _END_MAGIC)
    except OSError:
        return False


@contextlib.contextmanager
def opened(path: str) -> Iterator[Bundle]:
    """Check the files of the bundle at `path` and give it; an archive is unpacked into a temporary folder.

    Raises InputError, in one line, for what is no bundle or must not be unpacked.
    """
    if os.path.isdir(path):
        yield _folder(path)
        return
    with tempfile.TemporaryDirectory(prefix="wirecase-") as name:
        try:
            bundle = _archive(path, Path(name))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        yield bundle


# ---- folders ------------------------------------------------------------------------------------------------------


def _folder(path: str) -> Bundle:
    names: list[str] = []
    try:
        with os.scandir(path) as found:
            for each in found:
                if not stat.S_ISREG(each.stat(follow_symlinks=False).st_mode):
                    raise InputError(f"{path}: {each.name} is no plain file: that is no bundle of wirecase")
                names.append(each.name)
                if len(names) > MOST_ENTRIES:
                    raise InputError(f"{path}: has more than {MOST_ENTRIES} files: that is no bundle of wirecase")
        if MANIFEST not in names:
            raise InputError(f"{path}: is no bundle: it has no {MANIFEST}")
        folder = Path(path)
        with _plain(folder / MANIFEST) as file:
            data = file.read(MOST_MANIFEST + 1)
        if len(data) > MOST_MANIFEST:
            raise InputError(f"{path}: its {MANIFEST} is too large")
        manifest, entries = parse_manifest(path, data)
        bundle = Bundle(path, folder, folder / manifest["case"], manifest, entries)
        there = {}
        for one in entries:
            if one.name in names:
                with _plain(folder / one.name) as file:
                    there[one.name] = _read(file, one.size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    _compare(bundle, there, [name for name in names if name != MANIFEST])
    return bundle


def _plain(path: Path) -> IO[bytes]:
    """Open a file that is no link; it was a plain file a moment ago."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb")


def _read(file: IO[bytes], most: int) -> tuple[int, str]:
    """Return size and SHA-256 of a file; of one that is longer than `most`, those of its first bytes and one more."""
    found = hashlib.sha256()
    size = 0
    while size <= most and (piece := file.read(min(_PIECE, most + 1 - size))):
        found.update(piece)
        size += len(piece)
    return size, found.hexdigest()


def _compare(bundle: Bundle, there: dict[str, tuple[int, str]], names: list[str]) -> None:
    bundle.there = list(there)
    for one in bundle.entries:
        if one.name not in there:
            bundle.problems.append(f"{one.name} is missing")
        elif there[one.name] != (one.size, one.sha256):
            bundle.problems.append(f"{one.name} is not as the manifest says: its size or SHA-256 differs")
    known = {one.name for one in bundle.entries}
    bundle.problems += [f"{name} is not in the manifest" for name in sorted(names) if name not in known]
    if bundle.case.name not in there:
        raise InputError(f"{bundle.path}: its case {bundle.case.name} is missing")


# ---- archives -----------------------------------------------------------------------------------------------------


def _archive(path: str, folder: Path) -> Bundle:
    with open(path, "rb") as file:
        size = _check_end(path, file)
        try:
            with zipfile.ZipFile(file) as archive:
                infos = _checked(path, archive, size)
                data = _unpacked(archive, infos[MANIFEST], MOST_MANIFEST)
                manifest, entries = parse_manifest(path, data)
                bundle = Bundle(path, folder, folder / manifest["case"], manifest, entries)
                there = {
                    one.name: _unpack(archive, infos[one.name], folder, one) for one in entries if one.name in infos
                }
        # What zipfile raises on damaged and strange archives: NotImplementedError for encryption, and for a compression
        # method or a version that it does not know.
        except (
            zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error,
            KeyError, IndexError, OverflowError,
        ) as error:  # fmt: skip
            raise InputError(f"{path}: is damaged: {_reason(error)}") from error
    _compare(bundle, there, [name for name in infos if name != MANIFEST])
    return bundle


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "it ends too early"
    return str(error) if isinstance(error, zipfile.BadZipFile) else "it cannot be unpacked"


def _check_end(path: str, file: IO[bytes]) -> int:
    """Look at the end of the archive before anybody reads its directory, whose size decides what that costs.

    Return the size of the archive.
    """
    size = file.seek(0, os.SEEK_END)
    if size < _END.size:
        raise InputError(f"{path}: is damaged: it ends too early")
    if size > MOST_BYTES:
        raise InputError(f"{path}: is larger than {MOST_BYTES >> 30} GiB: that is no bundle of wirecase")
    start = max(0, size - _END.size - _ZIP64_LOCATOR_SIZE)
    file.seek(start)
    tail = file.read()
    magic, disk, first_disk, here, entries, length, offset, comment = _END.unpack(tail[-_END.size :])
    if magic != _END_MAGIC or comment or disk or first_disk or here != entries:
        raise InputError(f"{path}: is damaged or no bundle: its last bytes are not the end of a plain zip")
    if tail.startswith(_ZIP64_LOCATOR) or entries > MOST_ENTRIES or length > _MOST_DIRECTORY:
        raise InputError(f"{path}: has more than {MOST_ENTRIES} files: that is no bundle of wirecase")
    if offset + length + _END.size != size:
        raise InputError(f"{path}: is damaged or no bundle: its directory is not where a plain zip has it")
    file.seek(0)
    return size


def _checked(path: str, archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the files of the archive, which has `size` bytes, by name.

    Raises InputError if one of them must not be unpacked.
    """
    infos: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    total = packed = 0
    for one in archive.infolist():
        if not is_safe_name(one.filename) or one.filename != one.orig_filename:
            raise InputError(f"{path}: has a file with an unsafe name ({_shown(one.orig_filename)}): not unpacked")
        if one.filename.lower() in seen:
            raise InputError(f"{path}: has two files called {one.filename}: not unpacked")
        kind = stat.S_IFMT(one.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise InputError(f"{path}: {one.filename} is no plain file: not unpacked")
        if one.flag_bits & _ENCRYPTED or one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{path}: {one.filename} is encrypted or compressed in an unknown way: not unpacked")
        total += one.file_size
        if total > MOST_BYTES or one.file_size > max(one.compress_size, 1) * MOST_RATIO:
            raise InputError(f"{path}: {one.filename} would unpack to far more than a bundle holds: not unpacked")
        packed += one.compress_size
        if packed > size:
            raise InputError(f"{path}: is damaged: its files are said to be longer than it is")
        seen.add(one.filename.lower())
        infos[one.filename] = one
    if len(infos) > MOST_ENTRIES:
        raise InputError(f"{path}: has more than {MOST_ENTRIES} files: that is no bundle of wirecase")
    if MANIFEST not in infos:
        raise InputError(f"{path}: is no bundle: it has no {MANIFEST}")
    return infos


def _shown(name: str) -> str:
    return ascii(name[:60])


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    with archive.open(info) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise zipfile.BadZipFile(f"{info.filename} is too large")
    return data


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path, entry: Entry) -> tuple[int, str]:
    """Write one file into the folder, at most as long as the manifest says and a byte; return its size and SHA-256."""
    found = hashlib.sha256()
    size = 0
    with archive.open(info) as source, open(folder / entry.name, "xb") as target:
        while size <= entry.size and (piece := source.read(min(_PIECE, entry.size + 1 - size))):
            found.update(piece)
            target.write(piece)
            size += len(piece)
    return size, found.hexdigest()
