"""What a body is that should be gRPC and is not: a page, a sentence, another protocol.

A gRPC client reads the first byte of such a body as a compression flag and the next four as a length. So a proxy's
page is logged as "invalid compression flag: 60" or "message larger than max (1752460652 …)"; this file turns the bytes
back into what they are.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import Literal

from wirecase.grpc.protobuf import read_fields
from wirecase.grpc.status import decode_bin

ForeignKind = Literal[
    "html", "xml", "json", "text", "grpc-web", "grpc-web-text", "connect", "gzip", "tls", "http1", "http2", "ssh",
    "protobuf", "binary", "empty",
]  # fmt: skip

TEXT_SHOWN = 4096
"""Characters of a foreign body that a finding's details carry."""
POLLS_SHOWN = 8
"""Flags that are predicted for a tonic caller that polls again."""
INFLATED_LIMIT = 64 * 1024

_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body|title|center|h1|p|div|meta|script)\b", re.I)
_TITLE = re.compile(r"<title[^>]{0,80}>([^<]{0,300})", re.I)
_HEADING = re.compile(r"<h1[^>]{0,80}>([^<]{0,300})", re.I)
_HTTP1 = re.compile(
    rb"(?:HTTP/1\.[01] [1-5][0-9]{2}|(?:GET|POST|PUT|HEAD|PATCH|DELETE|OPTIONS) [^ \r\n]{1,2000} HTTP/1)"
)
_LEADING_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]{16,}+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{8,}={0,2}[A-Za-z0-9+/=]*\Z")
_TLS_TYPES = {20: "change_cipher_spec", 21: "alert", 22: "handshake", 23: "application data"}
_TLS_ALERTS = {
    0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure",
    42: "bad_certificate", 45: "certificate_expired", 46: "certificate_unknown", 47: "illegal_parameter",
    48: "unknown_ca", 50: "decode_error", 51: "decrypt_error", 70: "protocol_version", 80: "internal_error",
    112: "unrecognized_name", 116: "certificate_required", 120: "no_application_protocol",
}  # fmt: skip
_CONTROL = {code: None for code in range(32) if code not in (9, 10, 13)}


@dataclass(slots=True, frozen=True)
class Foreign:
    """A foreign body, named."""

    kind: ForeignKind
    name: str
    """For a sentence: ``an HTML page``."""
    text: str
    """It as text where it is text, or what it holds; empty for binary."""
    headline: str = ""
    """The page's title or the first line of the text."""

    @property
    def recognised(self) -> bool:
        """It is something of its own, not just bytes at the wrong place."""
        return self.kind not in ("binary", "protobuf", "empty")

    @property
    def quote(self) -> str:
        """The headline in quotation marks, or what it is where there are no words."""
        return f'"{self.headline}"' if self.headline else self.name


def classify(body: bytes, content_type: str | None = None, *, whole: bool = True) -> Foreign:
    """Name a foreign body; `whole` is False if `body` is only the beginning of it."""
    if not body:
        return Foreign("empty", "nothing", "")
    return _binary_protocol(body, whole) or _text(body, content_type, whole) or _protobuf(body, whole)


def classify_first(data: bytes) -> Foreign:
    """Name what bytes begin with, where something else may follow: a page, and frames behind it."""
    text = _LEADING_TEXT.match(data)
    return classify(text.group() if text else data, whole=False)


def _binary_protocol(body: bytes, whole: bool) -> Foreign | None:
    if body.startswith(b"\x1f\x8b"):
        return _gzip(body)
    if len(body) >= 5 and body[0] in _TLS_TYPES and body[1] == 3 and body[2] <= 4:
        return _tls(body)
    if body[0] in (0x80, 0x81) and len(body) >= 5:
        length = int.from_bytes(body[1:5], "big")
        payload = body[5 : 5 + length]
        if body[0] == 0x81 or b":" in payload:
            text = payload.decode("utf-8", "replace") if body[0] == 0x80 else ""
            return Foreign("grpc-web", "a gRPC-Web trailers frame", text, text.replace("\r\n", ", ").strip(", "))
    if body[0] in (2, 3) and len(body) >= 5:
        length = int.from_bytes(body[1:5], "big")
        if length <= len(body) - 5 and (body[0] == 3 or body[5:6] in (b"{", b"")):
            text = body[5 : 5 + length].decode("utf-8", "replace") if body[0] == 2 else ""
            return Foreign("connect", "a Connect end-of-stream envelope", text, text[:120])
    if body.startswith(b"PRI * HTTP/2.0\r\n"):
        return Foreign("http2", "an HTTP/2 connection preface", "PRI * HTTP/2.0", "PRI * HTTP/2.0")
    if body.startswith(b"SSH-"):
        line = body.split(b"\n")[0].decode("latin-1").strip()
        return Foreign("ssh", "an SSH greeting", line, line)
    if _HTTP1.match(body):
        text = body.decode("latin-1")
        return Foreign("http1", "an HTTP/1 message", text, text.split("\r\n")[0][:120])
    return None


def _gzip(body: bytes) -> Foreign:
    try:
        inner = zlib.decompressobj(31).decompress(body, INFLATED_LIMIT)
    except zlib.error:
        inner = b""
    found = _text(inner, None, False) if inner else None
    if found is None:
        return Foreign("gzip", "gzip data", "")
    return Foreign("gzip", f"gzip data that holds {found.name}", found.text, found.headline)


def _tls(body: bytes) -> Foreign:
    kind = _TLS_TYPES[body[0]]
    if body[0] == 21 and body[3:5] == b"\x00\x02" and len(body) >= 7:
        alert = _TLS_ALERTS.get(body[6], str(body[6]))
        return Foreign("tls", f"a TLS alert ({alert})", "", f"TLS alert {alert}")
    return Foreign("tls", f"a TLS {kind} record", "", f"TLS {kind}")


def printable(body: bytes, *, whole: bool = True) -> str | None:
    """Return bytes as text if they are text: UTF-8, no control characters but tab, CR and LF."""
    if not whole:  # a character may be cut in two
        for _ in range(3):
            if body and body[-1] >= 0x80:
                body = body[:-1]
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        if any(byte >= 0x80 for byte in body[:16]):
            return None
        text = body.decode("latin-1")
        if sum(char >= "\x80" for char in text) * 10 > len(text):
            return None
    return text if text.translate(_CONTROL) == text and "\x7f" not in text else None


def _text(body: bytes, content_type: str | None, whole: bool) -> Foreign | None:
    text = printable(body.removeprefix(b"\xef\xbb\xbf"), whole=whole)
    if text is None:
        return None
    start = body[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    line = first_line(text)
    if _HTML.match(start) or (start.startswith(b"<") and _HTML.search(start)):
        found = _TITLE.search(text) or _HEADING.search(text)
        return Foreign("html", "an HTML page", text, " ".join(found.group(1).split()) if found else line)
    if start.startswith(b"<"):
        return Foreign("xml", "XML", text, line)
    if start[:1] in (b"{", b"[") and _is_json(text, whole):
        return Foreign("json", "JSON", text, " ".join(text.split())[:120])
    inner = _web_text(body)
    if inner is not None:
        return Foreign("grpc-web-text", "gRPC-Web text (base64 of gRPC frames)", text, "")
    if content_type and "json" in content_type and start[:1] == b'"':
        return Foreign("json", "JSON", text, line)
    return Foreign("text", "plain text", text, line)


def first_line(text: str) -> str:
    """Return the first line that is not blank, cut to 120 characters."""
    for line in text[:4096].splitlines():
        if line.strip():
            return line.strip()[:120]
    return ""


def _is_json(text: str, whole: bool) -> bool:
    if whole:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return True
    return re.match(r'\s*(?:\{\s*(?:"|\}|\Z)|\[\s*(?:["{\[\]0-9tfn-]|\Z))', text) is not None


def _web_text(body: bytes) -> bytes | None:
    """Return the first bytes of a base64 body whose content begins like gRPC frames, or None."""
    if len(body) < 8 or not _BASE64.match(body[:4096]):
        return None
    head = decode_bin(body[:8])
    if head is None or len(head) < 5 or head[0] not in (0, 1, 0x80):
        return None
    return head if int.from_bytes(head[1:5], "big") <= len(body) else None


def _protobuf(body: bytes, whole: bool) -> Foreign:
    fields = read_fields(body, cut=not whole)
    if fields and len(body) >= 2 and max(field.number for field in fields) < 2048:
        strings = [field.value for field in fields if isinstance(field.value, bytes) and field.value]
        shown = [text for text in (printable(value) for value in strings[:8]) if text]
        name = f"protobuf without a gRPC prefix ({len(fields)} field{'s' if len(fields) != 1 else ''})"
        return Foreign("protobuf", name, "\n".join(shown)[:TEXT_SHOWN], first_line(shown[0]) if shown else "")
    return Foreign("binary", "binary data", "")


def show_byte(value: int) -> str:
    """Return a byte for a sentence: ``67 'C'`` or ``128 (0x80)``."""
    return f"{value} '{chr(value)}'" if 32 <= value < 127 else f"{value} ({value:#04x})"


def ascii_of(value: int) -> str | None:
    """Return the character of a printable ASCII byte, or None."""
    return chr(value) if 32 <= value < 127 else None


def length_text(prefix: bytes) -> str | None:
    """Return the four length bytes of a prefix as text if all of them are printable ASCII."""
    length = prefix[1:5]
    return length.decode("ascii") if len(length) == 4 and all(32 <= byte < 127 for byte in length) else None


def tonic_polls(body: bytes, limit: int = 4 * 1024 * 1024) -> list[int]:
    """Return the flags that a tonic caller prints when it polls again after each error, at most `POLLS_SHOWN`.

    tonic's decoder takes one byte off its buffer before it looks at it and stays where it was, so the next poll reads
    the next byte as a flag. It needs five bytes to look at all. A byte 0 or 1 makes it read a length instead: one over
    the limit is an error of another text (five bytes gone), a smaller one makes it wait for a message.
    """
    flags: list[int] = []
    at = 0
    while len(body) - at >= 5 and len(flags) < POLLS_SHOWN:
        flag = body[at]
        if flag > 1:
            flags.append(flag)
            at += 1
        elif int.from_bytes(body[at + 1 : at + 5], "big") > limit:
            at += 5
        else:
            break
    return flags
