"""Bundles: written the same twice, verified, and nothing that a stranger sends leads anywhere."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import stat
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wirecase.case import bundle
from wirecase.case.bundle import MANIFEST, Facts, Staged, model
from wirecase.errors import InputError

FACTS = Facts("0.1.0", "wirecase report SOURCE", "One call died", [{"sha256": "ab" * 32}], {"calls": {}}, {})
FILES = {"case.pcapng": "not a case, and nobody looks into it here" * 40, "report.md": "# A report\n"}


def staged(folder: Path, files: dict[str, str] = FILES) -> Staged:
    made = Staged(folder / "bundle")
    made.folder.mkdir()
    for name, text in files.items():
        made.add(name, "text/plain", text)
    made.finish(FACTS)
    return made


def packed(files: dict[str, str] = FILES) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "b.zip"
        bundle.pack(staged(Path(name), files), target)
        return target.read_bytes()


PACKED = packed()


def refused(data: bytes) -> str:
    """Why an archive is not opened; nothing of it may be left behind."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "b.zip"
        path.write_bytes(data)
        with pytest.raises(InputError) as caught, bundle.opened(str(path)):
            pass
        assert os.listdir(name) == ["b.zip"]
        assert "\n" not in str(caught.value)
        return str(caught.value).removeprefix(f"{path}: ")


def rewritten(change: Any = None, *, manifest: dict[str, Any] | None = None) -> bytes:
    """An archive like a good one, with what `change` adds to it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(PACKED)) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename == MANIFEST and manifest is not None:
                data = json.dumps({**json.loads(data), **manifest}).encode()
            target.writestr(info, data)
        if change is not None:
            change(target)
    return out.getvalue()


def test_what_was_packed_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(PACKED)
    assert bundle.is_bundle(str(path))
    with bundle.opened(str(path)) as found:
        assert found.problems == []
        assert found.case.read_text() == FILES["case.pcapng"]
        assert {one.name for one in found.entries} == set(FILES)
        kept = found.folder
    assert not kept.exists()
    assert rewritten() and packed() == PACKED


def test_archives_are_the_same_bytes(tmp_path: Path) -> None:
    assert packed() == PACKED
    with zipfile.ZipFile(io.BytesIO(PACKED)) as archive:
        assert archive.namelist() == [MANIFEST, "case.pcapng", "report.md"]
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}


def test_what_shrinks_too_much_is_stored() -> None:
    data = packed({"case.pcapng": "x" * 3_000_000})
    assert len(data) > 3_000_000
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.getinfo("case.pcapng").compress_type == zipfile.ZIP_STORED


def test_folders(tmp_path: Path) -> None:
    bundle.place(staged(tmp_path), tmp_path / "out")
    with bundle.opened(str(tmp_path / "out")) as found:
        assert found.problems == []
    (tmp_path / "out" / "report.md").write_text("# Another")
    (tmp_path / "out" / "more.txt").write_text("more")
    with bundle.opened(str(tmp_path / "out")) as found:
        assert found.problems == [
            "report.md is not as the manifest says: its size or SHA-256 differs", "more.txt is not in the manifest",
        ]  # fmt: skip
    (tmp_path / "out" / "report.md").unlink()
    with bundle.opened(str(tmp_path / "out")) as found:
        assert "report.md is missing" in found.problems
    (tmp_path / "out" / "case.pcapng").unlink()
    with pytest.raises(InputError, match="is missing"), bundle.opened(str(tmp_path / "out")):
        pass


def test_a_bundle_is_replaced_and_other_files_are_left(tmp_path: Path) -> None:
    target = tmp_path / "out"
    bundle.place(staged(tmp_path, {**FILES, "report.html": "<p>"}), target)
    (target / "notes.txt").write_text("mine")
    (tmp_path / "second").mkdir()
    bundle.place(staged(tmp_path / "second"), target)
    assert sorted(os.listdir(target)) == [MANIFEST, "case.pcapng", "notes.txt", "report.md"]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "manifest link"])
def test_folders_with_more_than_plain_files(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    bundle.place(staged(tmp_path), target)
    if kind == "manifest link":
        os.rename(target / MANIFEST, tmp_path / "m")
        os.symlink(tmp_path / "m", target / MANIFEST)
    elif kind == "link":
        (target / "case.pcapng").unlink()
        os.symlink("/etc/passwd", target / "case.pcapng")
    elif kind == "fifo":
        os.mkfifo(target / "x.md")
    else:
        (target / "sub").mkdir()
    with pytest.raises(InputError, match="is no plain file"), bundle.opened(str(target)):
        pass


def test_folders_with_too_many_files(tmp_path: Path) -> None:
    for number in range(model.MOST_ENTRIES + 1):
        (tmp_path / f"{number}.md").touch()
    with pytest.raises(InputError, match="more than"), bundle.opened(str(tmp_path)):
        pass


# ---- archives of strangers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "a/b", "a\\b", "..", ".", "", ".hidden", "C:evil", "con", "NUL.md", "a\nb",
     "e\u0301", "x" * 200, "\u202egnp.md", "a.b.c.d.e"],
)  # fmt: skip
def test_unsafe_names(name: str) -> None:
    assert not model.is_safe_name(name)
    if name:
        assert "unsafe name" in refused(rewritten(lambda archive: archive.writestr(zipfile.ZipInfo(name), b"x")))


def test_a_name_that_ends_early_for_some() -> None:
    data = rewritten(lambda archive: archive.writestr("extra_md", b"x"))
    assert "unsafe name" in refused(data.replace(b"extra_md", b"extra\0md"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["report.md", "REPORT.md"])
def test_two_files_of_one_name(name: str) -> None:
    assert "two files" in refused(rewritten(lambda archive: archive.writestr(name, b"x")))


def test_links_and_devices() -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFDIR, stat.S_IFIFO):
        info = zipfile.ZipInfo("link.md")
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        assert "no plain file" in refused(rewritten(lambda archive, info=info: archive.writestr(info, b"/etc/passwd")))


def test_bombs() -> None:
    def bomb(archive: zipfile.ZipFile) -> None:
        archive.writestr("big.md", bytes(20_000_000), zipfile.ZIP_DEFLATED)

    assert "far more" in refused(rewritten(bomb))

    def many(archive: zipfile.ZipFile) -> None:
        for number in range(model.MOST_ENTRIES):
            archive.writestr(f"{number}.md", b"")

    assert "more than" in refused(rewritten(many))

    # Small entries, whose names and extras make the directory long.
    def long(archive: zipfile.ZipFile) -> None:
        for number in range(10):
            info = zipfile.ZipInfo(f"{number}.md")
            info.comment = bytes(60_000)
            archive.writestr(info, b"")

    assert "more than" in refused(rewritten(long))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_compress(method: int) -> None:
    assert "unknown way" in refused(rewritten(lambda archive: archive.writestr("a.md", b"x" * 100, method)))


def directory(data: bytes, name: bytes) -> int:
    """Offset of a file's entry in the central directory."""
    at = data.rindex(name) - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    return at


@pytest.mark.parametrize(("declared", "compressed"), [(1, None), (10**6, None), (None, 3), (0, None), (None, 10**7)])
def test_lying_sizes(declared: int | None, compressed: int | None) -> None:
    data = bytearray(PACKED)
    at = directory(PACKED, b"case.pcapng")
    if compressed is not None:
        struct.pack_into("<L", data, at + 20, compressed)
    if declared is not None:
        struct.pack_into("<L", data, at + 24, declared)
    try:
        reason = refused(bytes(data))
    except pytest.fail.Exception:
        # A shorter size may be taken at its word: what comes out is then not what the manifest says.
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "b.zip"
            path.write_bytes(data)
            with bundle.opened(str(path)) as found:
                assert found.problems
        return
    assert reason


def test_encrypted_and_foreign_archives() -> None:
    data = bytearray(PACKED)
    struct.pack_into("<H", data, directory(PACKED, b"case.pcapng") + 8, 1)
    assert "encrypted" in refused(bytes(data))
    assert refused(PACKED + b"tail")
    assert refused(b"head" + PACKED)
    assert refused(b"PK\x05\x06" + bytes(18))
    assert refused(b"PK\x03\x04")
    commented = bytearray(PACKED + b"comment")
    struct.pack_into("<H", commented, len(PACKED) - 2, 7)
    assert refused(bytes(commented))
    # zip64: its locator would lead zipfile to a directory of any size
    end = len(PACKED) - 22
    assert refused(PACKED[:end] + b"PK\x06\x07" + bytes(16) + PACKED[end:])


@pytest.mark.parametrize(
    "manifest",
    [
        {"schema": "wirecase/bundle/2"},
        {"files": 3},
        {"files": [{"name": "../a", "size": 1, "sha256": "ab" * 32, "media_type": "text/plain"}]},
        {"files": [{"name": "case.pcapng", "size": -1, "sha256": "ab" * 32, "media_type": "text/plain"}]},
        {"files": [{"name": "case.pcapng", "size": True, "sha256": "ab" * 32, "media_type": "text/plain"}]},
        {"files": [{"name": "case.pcapng", "size": 1, "sha256": "AB" * 32, "media_type": "text/plain"}]},
        {"files": [{"name": "case.pcapng", "size": 1 << 62, "sha256": "ab" * 32, "media_type": "text/plain"}]},
        {"files": [{"name": "case.pcapng", "size": 1, "sha256": "ab" * 32, "media_type": "text/plain"}] * 2},
        {"files": [None]},
        {"case": "report.txt"},
        {"case": "../../etc/passwd"},
        {"case": ["case.pcapng"]},
        {"version": None},
    ],
)
def test_manifests_that_make_no_sense(manifest: dict[str, Any]) -> None:
    assert refused(rewritten(manifest=manifest))


def test_a_manifest_that_is_no_json() -> None:
    out = io.BytesIO()
    for data in (b"", b"[" * 100_000, b"\xff", b"[]", b"null"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(MANIFEST, data)
        assert "is no bundle" in refused(out.getvalue())


def test_a_changed_file_is_told(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(PACKED)) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            target.writestr(info, data + b"!" if info.filename == "report.md" else data)
        target.writestr("extra.md", b"x")
    path = tmp_path / "b.zip"
    path.write_bytes(out.getvalue())
    with bundle.opened(str(path)) as found:
        assert found.problems == [
            "report.md is not as the manifest says: its size or SHA-256 differs", "extra.md is not in the manifest",
        ]  # fmt: skip


def check_any(data: bytes) -> None:
    """Whatever the bytes: they are refused in one line, or what was unpacked is in one folder and is told apart."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "b.zip"
        path.write_bytes(data)
        try:
            with bundle.opened(str(path)) as found:
                inside = sorted(found.folder.iterdir())
                assert all(file.is_file() and not file.is_symlink() for file in inside)
                assert {file.name for file in inside} <= {one.name for one in found.entries}
                if not found.problems:
                    for one in found.entries:
                        assert hashlib.sha256((found.folder / one.name).read_bytes()).hexdigest() == one.sha256
        except InputError as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said
        assert os.listdir(name) == ["b.zip"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32), st.integers(1, 8))
@example(0, 1)
def test_mutated_archives(seed: int, count: int) -> None:
    chance = random.Random(seed)
    data = bytearray(PACKED)
    for _ in range(count):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at : at + chance.randrange(1, 30)]
            case _:
                start = chance.randrange(len(data))
                data[at:at] = data[start : start + chance.randrange(1, 60)]
        if not data:
            return
    check_any(bytes(data))


@pytest.mark.parametrize("length", range(0, len(PACKED), 7))
def test_truncated_archives(length: int) -> None:
    if length >= 4:
        assert refused(PACKED[:length])
    check_any(PACKED[:length])
