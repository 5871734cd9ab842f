"""Numbers of a log line that are text or codes: flags, lengths, frame lengths and types, error and status codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from wirecase.grpc.status import STATUS_NAMES
from wirecase.http2.facts import ERROR_NAMES
from wirecase.rules.clients.status import reason


class Decoded(NamedTuple):
    """A number and what it stands for."""

    what: str
    """``compression flag``, ``message length``, ``frame length``, ``frame type``, ``HTTP/2 error code``,
    ``gRPC status``, ``HTTP status``, ``first bytes``."""
    value: str
    """As it stands in the line."""
    meaning: str
    """One phrase."""
    text: str = ""
    """The printable bytes that the number is made of, if it is."""


_KNOWN_BYTES = {
    10: "a line feed, or the first tag of a protobuf message: a body without the five-byte prefix",
    8: "the first tag of a protobuf message: a body without the five-byte prefix",
    2: "Connect's end-of-stream envelope",
    21: "a TLS alert record",
    22: "a TLS handshake record",
    31: "0x1f, the first byte of gzip",
    128: "0x80, the trailers frame of gRPC-Web",
    129: "0x81, the compressed trailers frame of gRPC-Web",
}
_KNOWN_TEXT = {
    "<": "HTML or XML: a page", "e": 'Cloudflare\'s "error code: 5xx", among others', "{": "JSON",
    "C": 'plain text, e.g. "Connection refused" or "Client sent an HTTP request to an HTTPS server."',
    "I": 'e.g. "Internal Server Error"', "4": 'e.g. "404 page not found"',
    "u": 'e.g. Envoy\'s "upstream connect error"',
    "n": 'e.g. Envoy\'s "no healthy upstream"', "H": "e.g. HTTP/1 in the body", "A": "e.g. base64 of gRPC-Web-Text",
    " ": "an indented body, or a later byte of it", "T": 'e.g. "There was no service found"',
}  # fmt: skip
_KNOWN_LENGTHS = {
    "html": "<html", "!DOC": "<!DOCTYPE", "rror": "error", "onne": "Connection",
    "lien": "Client sent an HTTP request to an HTTPS server",
    '"err': '{"error"', "nter": "Internal Server Error", "04 p": "404 page not found",
    "pstr": "upstream connect error", "o he": "no healthy upstream", "TTP/": "HTTP/1.1",
}  # fmt: skip
_KNOWN_FRAMES = {
    b"\x15\x03\x01": "a TLS alert record (15 03 01)",
    b"\x15\x03\x03": "a TLS alert record (15 03 03)",
    b"\x16\x03\x01": "a TLS handshake record (16 03 01)",
    b"\x16\x03\x03": "a TLS handshake record (16 03 03)",
}
_FRAME_TYPES = ("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY",
                "WINDOW_UPDATE", "CONTINUATION")  # fmt: skip


def as_text(value: int, size: int) -> str:
    """Return the `size` big-endian bytes of `value` as text if all are printable ASCII, else nothing."""
    if not 0 <= value < 1 << (8 * size):
        return ""
    data = value.to_bytes(size, "big")
    return data.decode("ascii") if all(0x20 <= byte < 0x7F for byte in data) else ""


def flag(value: int) -> str:
    """Say what a byte in the place of the compression flag is."""
    if value in (0, 1):
        return "a valid flag: " + ("compressed" if value else "not compressed")
    if value in _KNOWN_BYTES:
        return _KNOWN_BYTES[value]
    text = as_text(value, 1)
    if not text:
        return "no text, and no flag that gRPC knows"
    known = _KNOWN_TEXT.get(text)
    return f"the character {text!r}" + (f": {known}" if known else ": text where a message prefix is due")


def length(value: int) -> str:
    """Say what a message length is that is no length."""
    text = as_text(value, 4)
    if not text:
        return f"{value} bytes"
    known = _KNOWN_LENGTHS.get(text)
    return f"the text {text!r}" + (f", as in {known!r}" if known else "") + ": the body is text, not messages"


def frame_length(value: int) -> str:
    """Say what an HTTP/2 frame length is that is no length."""
    if not 0 <= value < 1 << 24:
        return f"{value} bytes"
    data = value.to_bytes(3, "big")
    if data in _KNOWN_FRAMES:
        return _KNOWN_FRAMES[data]
    text = as_text(value, 3)
    if text == "HTT":
        return "the text 'HTT': the peer answers in HTTP/1 (HTTP/1.1 …)"
    if text:
        return f"the text {text!r}: the peer does not speak HTTP/2"
    return f"{value} bytes"


def frame_type(value: int) -> str:
    """Say what an HTTP/2 frame type is."""
    if 0 <= value < len(_FRAME_TYPES):
        return _FRAME_TYPES[value]
    text = as_text(value, 1)
    if text == "P":
        return "the character 'P': the fourth byte of 'HTTP/1.1', the peer speaks HTTP/1"
    return f"the character {text!r}: the peer does not speak HTTP/2" if text else "no type of RFC 9113"


def error_code(value: int) -> str:
    """Return the name of an HTTP/2 error code."""
    return ERROR_NAMES[value] if value < len(ERROR_NAMES) else "no code of RFC 9113"


def http_status(value: int) -> str:
    """Return the phrase of an HTTP status."""
    return reason(value) or ("an error between Cloudflare and the origin" if 520 <= value <= 530 else "unknown status")


def first_bytes(digits: str) -> tuple[str, str]:
    """Return what the bytes of a hex dump are, and their text if they are text."""
    data = bytes.fromhex(digits[: len(digits) // 2 * 2])
    text = "".join(chr(byte) for byte in data if 0x20 <= byte < 0x7F)
    text = text if len(text) == len(data) else ""
    if data[:2] == b"\x16\x03":
        return "a TLS handshake: the client speaks TLS to a port without it", text
    if data[:2] == b"\x15\x03":
        return "a TLS alert", text
    if data.startswith(b"HTTP") or data[:4] == b"HTT":
        return "HTTP/1", text
    if text.split(" ")[0] in ("GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "PRI"):
        return f"the text {text!r}: HTTP/1", text
    return (f"the text {text!r}" if text else "no protocol that is known here"), text


_N = r"(?P<n>\d{1,10})(?![\d.])"
_FLAG = re.compile(
    rf"(?:compression |compressed |envelope )?flags?(?: value)?:? {_N}|payload format {_N.replace('<n>', '<m>')}"
)
_HEX_FLAG = re.compile(r"bad grpc frame type 0x(?P<n>[0-9a-f]{1,2})(?![0-9a-z])")
_LENGTH = re.compile(
    r"(?:larger than max \(|length too large: found |message size |promised )(?P<n>\d{1,10})(?!\d)"
    r"|exceeds maximum size \d{1,10}: (?P<m>\d{1,10})(?!\d)"
)
_FRAME = re.compile(rf"(?:frame[ _]length:?|frame_size_error:|too large http2 frame:|payloadlen=|frame size) ?{_N}")
_TYPE = re.compile(rf"(?:frame type:?) {_N}")
_H2CODE = re.compile(
    r"(?:rst_stream with (?:error )?code|rejected request with error|goaway with error|session closed with error code|"
    r"stream closed with error code|error_code:|\"http2_error\":|goaway received; error code:|http2 stream with code) ?"
    rf"{_N}"
)
_STATUS = re.compile(
    rf"(?:error|statuscode|grpc[_-]status\"?|status|code)(?:\[fixnum\])?[:= ]{{1,2}}\(?{_N}(?=[\s,;:)}}\"]|$)"
)
_HTTP = re.compile(
    r"(?:http status(?: code)?:?|http2 header with status:|with status:|status code received from server:|"
    r"got status code:|http2?\.?0?\") (?P<n>[1-5]\d\d)(?!\d)"
)
_HEX = re.compile(r"hex dump for (?:received|first 5) bytes: (?P<n>[0-9a-f]{4,64})")
_NAME = re.compile(r"(?<![a-z_])(" + "|".join(name.lower() for name in ERROR_NAMES) + r")(?![a-z_])")
MOST = 12
"""Numbers of one text that are told."""


def decode(normal: str) -> list[Decoded]:
    """Return the numbers of a `normal` text that mean something, in their order, each once."""
    out: dict[tuple[str, str], Decoded] = {}
    for one in _all(normal):
        out.setdefault((one.what, one.value), one)
        if len(out) >= MOST:
            break
    return list(out.values())


_BARE = re.compile(r"\d{1,10}")


def _bare(value: int) -> Iterator[Decoded]:
    """Say what a number may be that stands alone."""
    digits = str(value)
    if value < 256 and (value in _KNOWN_BYTES or as_text(value, 1)):
        yield Decoded("compression flag", digits, flag(value), as_text(value, 1))
    if as_text(value, 4) and value >= 1 << 24:
        yield Decoded("message length", digits, length(value), as_text(value, 4))
    if 1 << 16 <= value < 1 << 24:
        yield Decoded("frame length", digits, frame_length(value), as_text(value, 3))
    if value < len(ERROR_NAMES):
        yield Decoded("HTTP/2 error code", digits, error_code(value))
    if value < len(STATUS_NAMES):
        yield Decoded("gRPC status", digits, STATUS_NAMES[value])
    if 400 <= value < 600:
        yield Decoded("HTTP status", digits, http_status(value))


def _all(text: str) -> Iterator[Decoded]:
    if _BARE.fullmatch(text):
        yield from _bare(int(text))
        return
    if (name := text.replace(" ", "_").upper()) in STATUS_NAMES:
        yield Decoded("gRPC status", name, f"code {STATUS_NAMES.index(name)}")
    for found in _FLAG.finditer(text):
        digits = found["n"] or found["m"]
        if int(digits) < 256:
            yield Decoded("compression flag", digits, flag(int(digits)), as_text(int(digits), 1))
    for found in _HEX_FLAG.finditer(text):
        value = int(found["n"], 16)
        yield Decoded("compression flag", f"0x{found['n']}", flag(value), as_text(value, 1))
    for found in _LENGTH.finditer(text):
        digits = found["n"] or found["m"]
        yield Decoded("message length", digits, length(int(digits)), as_text(int(digits), 4))
    for found in _FRAME.finditer(text):
        yield Decoded("frame length", found["n"], frame_length(int(found["n"])), as_text(int(found["n"]), 3))
    for found in _TYPE.finditer(text):
        yield Decoded("frame type", found["n"], frame_type(int(found["n"])), as_text(int(found["n"]), 1))
    for found in _HEX.finditer(text):
        meaning, words = first_bytes(found["n"])
        yield Decoded("first bytes", found["n"], meaning, words)
    for found in _H2CODE.finditer(text):
        yield Decoded("HTTP/2 error code", found["n"], error_code(int(found["n"])))
    for found in _NAME.finditer(text):
        name = found[1].upper()
        yield Decoded("HTTP/2 error code", name, f"code {ERROR_NAMES.index(name)}")
    for found in _HTTP.finditer(text):
        yield Decoded("HTTP status", found["n"], http_status(int(found["n"])))
    for found in _STATUS.finditer(text):
        value = int(found["n"])
        if 0 < value < len(STATUS_NAMES):
            yield Decoded("gRPC status", found["n"], STATUS_NAMES[value])
