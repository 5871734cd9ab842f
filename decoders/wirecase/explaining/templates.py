"""Shapes made from the rules' own knowledge of what clients print.

The functions of `wirecase.rules.clients` are asked for their words with values that occur nowhere else; where such a
value comes out again, the shape has a field. So a text stands in one place only: change it there, and what is
recognised changes with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import NamedTuple

from wirecase.explaining.shape import Rules, Shape, longest_literal
from wirecase.model import Certainty, ClientSees
from wirecase.rules import clients

_FLAG, _LENGTH, _GOT, _LIMIT, _STATUS = 8642, 918_273_640, 746_352, 5_647_382, 298
"""Odd values: the flag is even and over 255, the length over every limit, the HTTP status one without a phrase."""
_SMALL, _ENOUGH = 74_635, 746_352
_WORD, _PROSE, _TYPE, _FRAME, _UNIT = "wirecaseword", "wirecaseprose", "wirecase/type", "WIRECASEFRAME", "zqxjk"

_FIELDS: tuple[tuple[str, str, str], ...] = (
    (f"{_STATUS} <unknown status code>", r"(?P<status>\d{3})(?: [^,;}\"]{0,40})?", "<status>"),
    (f"{_STATUS} ()", r"(?P<status>\d{3}) \([^)]{0,40}\)", "<status>"),
    (str(_FLAG), r"(?P<flag>\d{1,3})", "<flag>"),
    (str(_LENGTH), r"(?P<length>\d{1,10})", "<length>"),
    (str(_LENGTH - _GOT), r"\d{1,10}", "<number>"),
    (str(_GOT), r"\d{1,10}", "<number>"),
    (str(_GOT - 4), r"\d{1,10}", "<number>"),
    (str(_LIMIT), r"(?:\d{1,10}|…)", "<limit>"),
    (str(_SMALL), r"\d{1,10}", "<number>"),
    (str(_STATUS), r"(?P<status>\d{3})", "<status>"),
    ("4194304", r"(?:\d{1,10}|…)", "<limit>"),
    (f"'{_WORD}'", r"(?P<word>'[^']{0,200}'|\"[^\"]{0,200}\")", "'<text>'"),
    (f'"{_WORD}"', r"(?P<word>'[^']{0,200}'|\"[^\"]{0,200}\")", '"<text>"'),
    (_WORD, r"(?P<word>[^\s\",;]{0,200})", "<text>"),
    (_PROSE, r".{0,200}?", "<text>"),
    (f'"{_UNIT}"', r"[\"'][^\"']{0,40}[\"']", '"<text>"'),
    (_TYPE, r"(?P<type>[^\s\";,']{1,120})", "<content-type>"),
    ("*http2.WirecaseframeFrame", r"\*http2\.[a-z]{1,20}frame", "*http2.<type>Frame"),
    (": …: ", r".{0,120}?: ", ": …: "),
    ("…", r".{0,120}?", "…"),
)
"""(value in the words, pattern of what stands there in a log, how it is shown), the longest values first."""


class Source(NamedTuple):
    """Words of one kind of fault, and the rules that print them as `client_sees`."""

    rules: Rules
    rows: Callable[[], Iterable[ClientSees]]
    coded: bool = True
    """Whether the rows' status codes hold for every value of the fields."""
    only: str = ""
    """Take only rows whose client has this name."""


def _s(rules: str, rows: Callable[[], Iterable[ClientSees]], **more: object) -> Source:
    """Make a source from ``rule=certainty`` pairs; a rule without one is possible."""
    pairs: list[tuple[str, Certainty]] = []
    levels: dict[str, Certainty] = {"certain": "certain", "probable": "probable"}
    for part in rules.split():
        rule, _, level = part.partition("=")
        pairs.append((rule, levels.get(level, "possible")))
    return Source(tuple(pairs), rows, **more)  # type: ignore[arg-type]


_BY_CODE = {
    1: "rst-protocol-error=certain h2-malformed-headers h2-stream-state-violation",
    3: "rst-flow-control=certain fc-violation",
    7: "rst-refused-stream=certain",
    0: "rst-midbody=probable rst-before-headers grpc-status-missing",
    8: "rst-midbody=probable rst-before-headers rst-cancel-by-client grpc-status-missing",
    11: "rst-enhance-your-calm=certain",
    13: "rst-http11-required=certain",
}
_RST = "rst-midbody=probable rst-before-headers"
_BREACH = (
    "h2-malformed-headers h2-stream-state-violation h2-continuation-violation h2-content-length-mismatch fc-violation "
    "fc-overflow fc-zero-increment h2-first-frame-not-settings http-1xx-end-stream"
)


def _reset(code: int, *, headers: bool) -> Source:
    own = _BY_CODE.get(code, _RST if headers else "rst-before-headers=probable rst-midbody")
    return _s(own, partial(clients.rst_midbody if headers else clients.rst_before_headers, code))


def _goaway(code: int) -> list[ClientSees]:
    return [*clients.goaway_error(code, _PROSE), *clients.goaway_error(code, "")]


_SOURCES: tuple[Source, ...] = (
    _s("grpc-message-too-large=probable grpc-length-is-text grpc-invalid-compression-flag grpc-message-truncated",
       lambda: [*clients.message_too_large(_LENGTH, _LIMIT), *clients.message_too_large(_LENGTH, None)]),
    _s("http-error-with-body=probable grpc-invalid-compression-flag=probable http-200-wrong-content-type "
       "grpc-http-content-encoding grpc-unframed-protobuf grpc-desync-midstream grpc-web-on-grpc",
       lambda: clients.bad_flag(_FLAG, _LENGTH, _GOT, http_status=_STATUS, content_type=None), coded=False),
    _s("grpc-invalid-compression-flag=probable grpc-desync-midstream grpc-http-content-encoding",
       lambda: [*clients.bad_flag(_FLAG, _SMALL, _ENOUGH), *clients.bad_flag(_FLAG, _LENGTH, _GOT, on_data=True)]),
    _s("grpc-flag-without-encoding=certain", clients.flag_without_encoding),
    _s("grpc-encoding-unsupported=certain", lambda: clients.encoding_unsupported(_WORD)),
    _s("grpc-decompress-failed=certain", lambda: clients.decompress_failed(_WORD, http_status=_STATUS)),
    _s("grpc-decompress-failed=certain", lambda: clients.decompress_failed(_WORD, zlib_error=False)),
    _s("grpc-decompress-failed=probable",
       lambda: [*clients.decompress_failed("gzip", cut=True), *clients.decompress_failed("gzip", cut=False)]),
    _s("http-1xx-end-stream=certain", lambda: clients.interim_end(_STATUS)),
    _s("grpc-decompression-bomb=probable grpc-message-too-large", clients.bomb),
    _s("grpc-message-truncated=probable body-cut-connection http-error-with-body",
       lambda: [*clients.truncated(_LENGTH, _GOT, 0), *clients.truncated(None, 0, None)]),
    _s("grpc-cardinality=probable", clients.no_message),
    _s("http-error-empty=probable http-error-with-body", lambda: clients.http_error(_STATUS, None), coded=False,
       only="tonic"),
    _s("http-error-with-body=probable http-error-empty",
       lambda: [*clients.http_error(_STATUS, _TYPE, b"<", 9), *clients.http_error(_STATUS, None),
                *clients.http_error(_STATUS, "application/grpc")], coded=False),
    _s("http-200-wrong-content-type=certain",
       lambda: [*clients.wrong_content_type(_TYPE, b"<html>", 9), *clients.wrong_content_type(None)], coded=False),
    _s("grpc-status-missing=probable rst-midbody",
       lambda: [*clients.missing_status("data"), *clients.missing_status("data", last_data_empty=True),
                *clients.missing_status("trailers")]),
    _s("grpc-status-malformed=certain", lambda: clients.malformed_status(_WORD)),
    _s("grpc-metadata-bad-bin=certain",
       lambda: [*clients.malformed_bin(_WORD), *clients.malformed_bin("grpc-status-details-bin")]),
    _s("grpc-timeout-malformed=certain",
       lambda: [*clients.malformed_timeout("1"), *clients.malformed_timeout(_WORD),
                *clients.malformed_timeout(_UNIT)]),
    _s("body-cut-connection=probable close-without-goaway tls-truncated",
       lambda: [*clients.body_cut("fin"), *clients.body_cut("fin", headers=False)]),
    _s("body-cut-connection=probable tcp-reset idle-cut",
       lambda: [*clients.body_cut("rst"), *clients.body_cut("rst", headers=False)]),
    *(_reset(code, headers=True) for code in (2, 0, 8, 1, 7, 11, 3, 13, 4, 5, 6, 9, 10, 12)),
    *(_reset(code, headers=False) for code in (2, 0, 8, 1, 7, 11, 3, 13, 4, 5, 6, 9, 10, 12)),
    _s("goaway-race=probable goaway-single-shot goaway-max-requests",
       lambda: [*clients.goaway_race(0, _PROSE), *clients.goaway_race(0, "")]),
    *(_s(("goaway-race=probable goaway-error" if not code else "goaway-error=probable"),
         partial(_goaway, code)) for code in range(14)),
    *(_s("goaway-error=probable goaway-race", partial(clients.goaway_race, code, _PROSE)) for code in range(1, 14)),
    _s("grpc-trailers-not-final=certain", clients.trailers_not_final),
    _s("http-missing-status=probable", clients.missing_http_status),
    _s("goaway-too-many-pings=certain", clients.too_many_pings),
    _s("keepalive-unanswered=probable tcp-peer-silent idle-cut", clients.keepalive),
    _s("tcp-refused=certain", lambda: clients.refused(_WORD)),
    _s("tcp-connect-timeout=probable", lambda: clients.connect_timeout(_WORD)),
    _s("grpc-deadline=probable stream-no-response stream-stalled fc-stream-stalled fc-connection-stalled "
       "max-concurrent-streams-wait tcp-peer-silent", clients.deadline),
    _s("h2-peer-speaks-http1=certain",
       lambda: [*clients.peer_speaks_http1(None), *clients.peer_speaks_http1(_STATUS)]),
    _s("tls-plaintext-mismatch=certain", clients.tls_to_plaintext),
    _s("h2-first-frame-not-settings=certain h2-not-http2", lambda: clients.first_frame_not_settings(_FRAME)),
    _s("close-before-settings=probable tls-plaintext-mismatch", clients.closed_before_settings),
    _s("h2-header-list-too-large=probable h2-continuation-flood hpack-bomb", clients.header_list_too_large),
    _s("h2-hpack-decode-error h2-hpack-size-ignored", lambda: clients.h2_violation(9)),
    _s("h2-not-http2", lambda: clients.h2_violation(6)),
    _s(_BREACH, lambda: [*clients.h2_violation(), *clients.h2_violation(headers=True)]),
    _s("client-rejects-legal-frame=probable h2-padded-data",
       lambda: clients.legal_frames_rejected(_GOT, padded=True, unknown=True)),
    _s("tls-no-alpn-h2=certain", clients.no_alpn),
    _s("tls-alert=certain",
       lambda: [*clients.alert_from_server(_SMALL, _PROSE, complete=True),
                *clients.alert_from_server(_SMALL, _PROSE, complete=False)]),
    _s("tls-handshake-failed=probable tls-plaintext-mismatch", clients.handshake_cut),
)  # fmt: skip


_SPLIT = re.compile("|".join(re.escape(value) for value, _, _ in _FIELDS))
_BY_VALUE = {value: (pattern, shown) for value, pattern, shown in _FIELDS}


def shape_of(row: ClientSees, rules: Rules, *, coded: bool = True) -> Shape | None:
    """Turn a client's words into a shape; None where it says nothing."""
    if not row.text or row.text.startswith(("nothing", "the grpc-message")):
        return None
    pattern, shown, literals, at = "", "", [], 0
    names: set[str] = set()
    text = row.text.partition("\ndata: ")[0].rstrip(".")  # older versions do not quote the body
    for found in _SPLIT.finditer(text):
        literal = text[at : found.start()]
        field, display = _BY_VALUE[found.group()]
        named = re.search(r"\?P<(\w+)>", field)
        if named is not None:
            if named[1] in names:
                field = field.replace(named.group(), "?:")
            names.add(named[1])
        pattern += _literal(literal) + field
        shown += literal + display
        literals.append(literal)
        at = found.end()
    literals.append(text[at:])
    pattern += _literal(text[at:])
    weight = sum(len(part.strip()) for part in literals)
    hint = longest_literal([part for literal in literals for part in re.split(r"[\s\"']+", literal.lower())])
    if weight < 5 or not hint:
        return None
    compiled = re.compile(rf"(?<![a-z0-9_]){pattern}(?![0-9a-z_])")
    return Shape(
        pattern=compiled, hint=hint, client=row.client, version=row.version, code=row.code if coded else "",
        text=shown + text[at:], rules=rules, weight=weight, checked=row.checked,
    )  # fmt: skip


def _literal(text: str) -> str:
    """Return a pattern for words of a client: any run of white space, either kind of quotes or none."""
    escaped = re.escape(text.lower())
    escaped = re.sub(r"(?:\\\s|\s)+", r"\\s+", escaped)
    return re.sub(r"[\"']", "[\"'`]?", escaped)


@cache
def shapes() -> tuple[Shape, ...]:
    """Return the shapes of all words that the rules know; the same words with the same code once for each source."""
    out: list[Shape] = []
    seen: set[tuple[str, str, str, Rules]] = set()
    for source in _SOURCES:
        for row in source.rows():
            if source.only and row.client != source.only:
                continue
            shape = shape_of(row, source.rules, coded=source.coded)
            if shape is None:
                continue
            key = (shape.pattern.pattern, shape.client, shape.code, shape.rules)
            if key not in seen:
                seen.add(key)
                out.append(shape)
    return tuple(out)
