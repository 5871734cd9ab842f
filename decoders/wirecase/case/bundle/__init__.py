"""Bundles: a case together with the reports about it, in a folder or in one archive.

``MANIFEST.json`` (``wirecase/bundle/1``) names every file with its size and SHA-256. `write` makes one, `opened` checks
one that somebody else made and gives the case in it to be read. The hashes tell damage; they are no signature.
"""

from __future__ import annotations

from wirecase.case.bundle.model import CASE, MANIFEST, SCHEMA, Bundle, Entry, Facts
from wirecase.case.bundle.reading import is_bundle, opened
from wirecase.case.bundle.writing import Staged, pack, place

__all__ = [
    "CASE", "MANIFEST", "SCHEMA", "Bundle", "Entry", "Facts", "Staged", "is_bundle", "opened", "pack", "place",
]  # fmt: skip
