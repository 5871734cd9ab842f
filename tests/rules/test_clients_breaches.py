"""What clients say of breaches of HTTP/2, and what is left of consequences behind them."""

from __future__ import annotations

import pytest
from captured import Capture
from h2_bytes import RESPONSE, frame

from wirecase.http2.facts import SETTINGS
from wirecase.model import ClientSees, ConnectionRef, Finding
from wirecase.rules.clients import breach, no_frames
from wirecase.rules.clients.chain import spare_consequences
from wirecase.rules.clients.quoting import go_quoted


def by_client(rows: list[ClientSees]) -> dict[str, tuple[str, str]]:
    return {row.client: (row.code, row.text) for row in rows}


@pytest.mark.parametrize(
    ("data", "quoted"),
    [
        (b'{"ok":true}', r'"{\"ok\":true}"'),
        (b"a\r\n\x00\x7f", r'"a\r\n\x00\x7f"'),
        ("Schlüssel".encode(), '"Schlüssel"'),
        (b"\xff\xfe", r'"\xff\xfe"'),
        ("\u2028".encode(), r'"\u2028"'),
        (b"back\\slash", r'"back\\slash"'),
    ],
)
def test_bytes_as_go_quotes_them(data: bytes, quoted: str) -> None:
    assert go_quoted(data) == quoted


def test_a_breach_before_and_after_the_response_headers() -> None:
    early, late = (by_client(breach("fixed-size", {}, opening=False, head=head)) for head in (True, False))
    assert early["tonic"] == ("INTERNAL", "h2 protocol error: http2 error")
    assert late["tonic"] == ("INTERNAL", "h2 protocol error: error reading a body from connection")
    assert (early["connect-go"][0], late["connect-go"][0]) == ("UNAVAILABLE", "INTERNAL")
    assert early["grpc-go"][1] == "error reading from server: connection error: FRAME_SIZE_ERROR"
    unknown = by_client(breach("fixed-size", {}, opening=False, head=None))
    assert unknown["tonic"] == ("INTERNAL", "h2 protocol error: …")
    assert "connect-go" not in unknown


def test_a_setting_that_is_not_allowed() -> None:
    rows = by_client(breach("settings-value", {"setting": 4, "value": 1 << 31}, opening=True, head=True))
    assert rows["grpc-js"][1] == "No connection established. Last error: Flow control error"
    assert "invalid value 2147483648 passed for INITIAL_WINDOW_SIZE" in rows["grpc-core (C++, Python)"][1]


def test_bytes_that_are_no_frames() -> None:
    rows = by_client(no_frames(b"SSH-2.0-OpenSSH"))
    assert rows["grpc-java"][1].endswith("Hex dump for first 5 bytes: 5353482d32")
    assert rows["grpc-core (C++, Python)"][1].endswith("got frame type 45")
    assert no_frames(b"SSH") == []


def test_a_breach_in_a_capture_carries_the_words() -> None:
    connection = Capture().connect().hello().request().headers(1, RESPONSE)
    connection.server(frame(SETTINGS, 0, 1)).close()
    (found,) = [one for one in connection.capture.diagnose().findings if one.rule == "h2-stream-state-violation"]
    assert by_client(found.client_sees)["grpc-go"][1].endswith("connection error: PROTOCOL_ERROR")


def finding(name: str, rule: str, sees: list[ClientSees], cause: str | None = None, connection: int = 0) -> Finding:
    made = Finding(rule=rule, severity="error", certainty="certain", title="", explanation="", who=["server"])
    made.id, made.caused_by, made.client_sees = name, cause, sees
    made.connection = ConnectionRef(connection, "10.0.0.1:1", "10.0.0.2:2")
    return made


def row(client: str, text: str, version: str = "1") -> ClientSees:
    return ClientSees(client, version, "INTERNAL", text)


def test_behind_a_breach_nothing_is_said_of_consequences() -> None:
    root = finding("F1", "breach", [])
    after = finding("F2", "other", [row("tonic", "b")], "F1")
    elsewhere = finding("F3", "other", [row("tonic", "c")], "F1", connection=1)
    spare_consequences([root, after, elsewhere], ("breach",))
    assert (after.client_sees, len(elsewhere.client_sees)) == ([], 1)


def test_elsewhere_the_words_of_the_cause_stand() -> None:
    root = finding("F1", "reset", [row("tonic", "a"), row("grpc-go", "x")])
    after = finding("F2", "other", [row("tonic", "b"), row("grpc-go", "x"), row("grpc-js", "y")], "F1")
    spare_consequences([root, after], ("breach",))
    assert [one.text for one in after.client_sees] == ["x", "y"]


def test_causes_in_a_circle_end() -> None:
    one, other = finding("F1", "a", [row("tonic", "a")], "F2"), finding("F2", "b", [row("tonic", "a")], "F1")
    spare_consequences([one, other], ("breach",))
    assert one.client_sees and other.client_sees
