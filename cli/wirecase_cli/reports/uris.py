"""Names of files as URIs (RFC 3986), for formats that ask for them."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SAFE = "/-._~!$&'()*+,;=:@"
"""What may stand in a path (§3.3); everything else is percent-encoded."""


def artifact_uri(path: str) -> str:
    """Return a source's path as a URI reference: relative where the path is, ``file://`` where it begins at the root.

    Addresses keep their scheme; standard input is called ``stdin``. A lone surrogate stands for the byte that a file
    name had (PEP 383).
    """
    if path == "-":
        return "stdin"
    if _SCHEME.match(path):
        return quote(_bytes(path), safe=_SAFE + "?#[]%")
    coded = quote(_bytes(path), safe=_SAFE)
    if os.path.isabs(path):
        return "file://" + "/" + coded.lstrip("/")
    # A colon in the first part would make a scheme of it (§4.2).
    return f"./{coded}" if ":" in coded.split("/", 1)[0] else coded


def _bytes(path: str) -> bytes:
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return path.encode("utf-8", "backslashreplace")
