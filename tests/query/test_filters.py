"""The filter language: what it means, and one line with the place for everything that it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wirecase.errors import UsageError
from wirecase.query import CallRow, compile_filter
from wirecase.query.fields import FIELDS

MS = 1_000_000
T0 = 1_748_779_200_500_000_000  # 2025-06-01T12:00:00.5Z


def row(**values: Any) -> CallRow:
    base: dict[str, Any] = {
        "call": 7, "kind": "grpc", "connection": 2, "stream": 15, "client": "10.0.0.7:41822",
        "server": "[2001:db8::5]:50051", "authority": "shop.example", "path": "/arrow.flight.FlightService/DoGet",
        "status": 14, "http": 200, "content_type": "application/grpc", "source": 0, "packet": 41, "started": T0,
        "ended": T0 + 1500 * MS, "duration": 1500 * MS, "messages_sent": 1, "messages_received": 5, "bytes_sent": 11,
        "bytes_received": 5 << 20, "by": "server", "how": "rst", "error": 2, "flag": None,
        "rules": ("rst-midbody",), "findings": ("F3",),
    }  # fmt: skip
    return CallRow(**{**base, **values})


LOST = row(path=None, status=None, http=None, content_type=None, ended=None, by=None, how="open", error=None, rules=(),
           findings=(), authority=None)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("path~Flight and status!=0 and duration>1s", True),
        ("path~Flight and status!=0 and duration>1.5s", False),
        ("duration>=1.5s", True),
        ("duration<2m and duration>1499ms", True),
        ("status=UNAVAILABLE", True),
        ("status=unavailable", True),
        ("status=14", True),
        ("status=0x0e", True),
        ("status>13 and status<15", True),
        ("status=none", False),
        ("error=INTERNAL_ERROR", True),
        ("error=internal-error", True),
        ("flag", False),
        ("not flag", True),
        ("flag=none", True),
        ("flag!=none", False),
        ("finding", True),
        ("finding=rst-midbody and finding=F3 and finding=f3", True),
        ("finding!=rst-midbody", False),
        ("finding~^rst-", True),
        ("finding!~^http-", True),
        ("bytes.received>4MiB", True),
        ("bytes.received>5.3MB", False),
        ("bytes.received=5242880", True),
        ("bytes.sent<1k", True),
        ("messages.received=5 && messages.sent=1", True),
        ("client=10.0.0.7", True),
        ("client=10.0.0.7:41822", True),
        ("client=10.0.0.70", False),
        ("server=2001:db8::5", True),
        ("server=[2001:db8::5]:50051", True),
        ("host=10.0.0.7 and host=2001:db8::5", True),
        ("host~50051", True),
        ("by=Server and how=RST", True),
        ("service=arrow.flight.FlightService and method=DoGet", True),
        ("started>=2025-06-01T12:00:00.5Z", True),
        ("started>2025-06-01T12:00:00.5Z", False),
        ("started>=2025-06-01T14:00:00+02:00", True),
        ("started<2025-06-02", True),
        ("started=1748779200.5", True),
        ("content-type=application/grpc", True),
        ('path="/arrow.flight.FlightService/DoGet"', True),
        ("path='/arrow'", False),
        ('path~"Do(Get|Put)$"', True),
        ("path~doget", False),
        ("path~'(?i)doget'", True),
        ("authority=shop.example", True),
        # or binds loosest, not strongest
        ("call=7 or call=8 and call=9", True),
        ("(call=7 or call=8) and call=9", False),
        ("not call=8 and call=7", True),
        ("not (call=8 or call=7)", False),
        ("!call=8", True),
        ("not not call=7", True),
        ("NOT call=8 AND (call=7 OR call=8)", True),
        ("call==7||call=9", True),
        ("  call = 7  ", True),
    ],
)  # fmt: skip
def test_meaning(text: str, holds: bool) -> None:
    assert compile_filter(text)(row()) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("status=none", True),
        ("status!=0", True),
        ("status>0", False),
        ("status<99", False),
        ("not status", True),
        ("path~.", False),
        ("path!~.", True),
        ("path=none and authority=none and by=none and finding=none", True),
        ('path="none"', False),
        ("method", False),
        ("ended or error or http or finding", False),
    ],
)
def test_what_is_missing_equals_none_and_nothing_else(text: str, holds: bool) -> None:
    assert compile_filter(text)(LOST) is holds


def test_text_is_compared_as_it_stood_on_the_wire() -> None:
    wire = "/ü".encode().decode("latin-1")
    assert compile_filter("path=/ü")(row(path=wire))
    assert compile_filter("path~ü")(row(path=wire))


def test_a_filter_tells_its_fields() -> None:
    assert compile_filter("status=0 and (FINDING or path~x)").fields == {"status", "finding", "path"}


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("pth~x", 1, "no field pth (did you mean path?)"),
        ("call=1 and statu=3", 12, "did you mean status?"),
        ("status=UNAVAILBLE", 8, "did you mean UNAVAILABLE?"),
        ("status=NOPE", 8, "NOPE is no grpc-status: write its number or its name, such as "),
        ("call=1 and x=2", 12, "(at the ^ in: call=1 and ^x=2)"),
        ("duration>5", 10, "needs a unit"),
        ("bytes.sent>5 and duration>x", 27, "needs a unit"),
        ("by=servr", 4, "client, server"),
        ("status~UNAV", 7, "looks into text"),
        ("path<3", 5, "no order"),
        ("call<none", 5, "no order"),
        ("(call=1", 1, "without its )"),
        ("call=1)", 7, "without its ("),
        ("call=1 call=2", 8, "'and' or 'or' is missing"),
        ("call=1 and", 11, "a field is due"),
        ("call=", 6, "a value is due"),
        ('path="x', 6, "closing quote"),
        ("path~'a(b'", 8, "without its )"),
        ("started>soon", 9, "2025-06-01T12:00:00Z"),
        ("started>2025-02-30", 9, "day is out of range"),
        ("call=\x1b[2J", 6, "\\x1b[2J is no whole number"),
        ("", 0, "empty"),
        ("(" * 60 + "call=1" + ")" * 60, 51, "parentheses"),
    ],
)
def test_errors_name_the_place(text: str, column: int, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        compile_filter(text)
    message = str(caught.value)
    assert says in message
    assert (f"column {column}:" in message) == bool(column)
    assert message.isprintable()


words = st.sampled_from(
    [*FIELDS, "and", "or", "not", "(", ")", "=", "!=", "~", "<", ">=", "&&", "!", "1s", "none", "'", '"', "5"]
)


@given(st.one_of(st.text(max_size=60), st.lists(words, max_size=12).map(" ".join)))
@example("not " * 1000 + "call")
@example("!" * 4000)
@example("(" * 4096)
@example("call=1 or " * 400 + "call=2")
@example("started>9999-12-31T23:59:59-23:59")
@example("path~\udc80")
def test_any_text_is_a_filter_or_one_line(text: str) -> None:
    said = ""
    try:
        found = compile_filter(text)
    except UsageError as error:
        said = str(error)
    if said:
        assert said.isprintable()
        return
    assert found(row()) in (True, False)
    assert found(LOST) in (True, False)
