"""The static table of HPACK (RFC 7541 Appendix A)."""

from __future__ import annotations

from typing import TypeAlias

Field: TypeAlias = tuple[bytes | None, bytes | None]
"""Name and value; None for what a late join hides: ``(None, None)`` or ``(None, value)``."""
Entry: TypeAlias = tuple[Field, int]
"""A field and its size in a table or a header list: octets of name and value and 32 (RFC 7541 §4.1)."""

_LINES = b"""\
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
"""
"""Entries 1 to 61 in order: the name, a space, the value where there is one."""


def _entry(line: bytes) -> Entry:
    name, _, value = line.partition(b" ")
    return (name, value), 32 + len(name) + len(value)


UNKNOWN: Entry = ((None, None), 32)
"""What stands for an entry that was inserted before the join; the size is the least that an entry has."""
STATIC: tuple[Entry, ...] = (UNKNOWN, *map(_entry, _LINES.splitlines()))
"""Entries by index; index 0 does not exist, a placeholder keeps its place."""
FIRST_DYNAMIC = len(STATIC)
"""The index of the newest entry of the dynamic table: 62."""
