"""What findings say that clients see is what the clients say: a fault for each rule, live, against each client.

`run_sees.py` does it with all faults and all clients.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from livebench import clients, sees, session
from livebench.faults import BY_NAME

from wirecase.model import ClientSees
from wirecase.rules import ALL_RULES
from wirecase.rules.clients import checked
from wirecase.rules.clients.checked import CHECKED, marked
from wirecase.rules.clients.table import CURRENT

LIGHT = ("grpc-go", "tonic", "connect-go")
"""Clients that start in no time meet all of the faults, the others every second one."""
FAULTS = (
    "content-encoding-gzip",
    "content-length-short",
    "continuation-orphan",
    "desync",
    "details-bin-bad",
    "fc-starved",
    "fc-zero-stream",
    "fin-before-settings",
    "flag-1-no-encoding",
    "goaway-internal",
    "goaway-too-many-pings",
    "gzip-garbage",
    "headers-huge",
    "headers-uppercase",
    "hpack-table-too-big",
    "http-103-end",
    "http-200-html",
    "http-502-empty",
    "http-502-flag-67",
    "http1-400",
    "length-is-text",
    "local-reply",
    "message-percent",
    "message-too-large",
    "no-message",
    "rst-before-headers-enhance-your-calm",
    "rst-before-headers-http11-required",
    "rst-before-headers-no-error",
    "rst-midbody-flow-control",
    "rst-midbody-no-error",
    "rst-midbody-protocol-error",
    "rst-midbody-refused",
    "settings-not-first",
    "settings-on-stream",
    "settings-streams-0",
    "settings-window-too-big",
    "ssh-banner",
    "stall-headers",
    "status-in-open-headers-0",
    "status-not-a-number",
    "tls-alert",
    "trailers-not-final",
)


def faults_for(name: str) -> tuple[str, ...]:
    """The faults that a client meets here."""
    return FAULTS if name in LIGHT else FAULTS[clients.NAMES.index(name) % 2 :: 2]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[sees.Row]]:
    """What was found for each client that is here, several sessions at a time."""
    if reason := session.capturing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("sees")
    found: dict[str, list[sees.Row]] = {name: [] for name in clients.NAMES}
    work = [(name, fault) for name in clients.NAMES if not clients.missing(name) for fault in faults_for(name)]
    with ThreadPoolExecutor(4) as pool:
        for some in pool.map(lambda one: sees.met(one[0], BY_NAME[one[1]], folder), work):
            for row in some:
                found[row.client].append(row)
    return found


@pytest.mark.parametrize("name", clients.NAMES)
def test_a_client_says_what_findings_say_it_sees(name: str, request: pytest.FixtureRequest) -> None:
    if reason := clients.missing(name):
        pytest.skip(reason)
    found: list[sees.Row] = request.getfixturevalue("rows")[name]
    assert [f"{row.fault}: {sees.told(row)}" for row in found if row.verdict in sees.WRONG] == []
    assert len([row for row in found if row.verdict == "equal"]) >= len(faults_for(name)) // 2


ROW = ClientSees("grpc-js", CURRENT["grpc-js"], "INTERNAL", "Received RST_STREAM with code …", True)


@pytest.mark.parametrize(
    ("calls", "verdict"),
    [
        ([("INTERNAL", "Received RST_STREAM with code 2 (Internal server error)")], "equal"),
        ([("OK", ""), ("INTERNAL", "13 INTERNAL: Received RST_STREAM with code 2")], "equal"),
        ([("INTERNAL", "Received HTTP status code 502")], "code"),
        ([("UNKNOWN", "Received RST_STREAM with code 2")], "different"),
        ([], "different"),
    ],
)
def test_a_row_is_held_against_code_and_words(calls: list[tuple[str, str]], verdict: str) -> None:
    assert sees.judge(ROW, calls) == verdict


def test_a_row_without_words_wants_none() -> None:
    quiet = ClientSees("tonic", "0", "OK", "nothing: it goes on")
    assert sees.judge(quiet, [("OK", "")]) == "equal"
    assert sees.judge(quiet, [("OK", "a word")]) == "code"


def test_what_is_raised_in_a_status_place_stands_for_the_code() -> None:
    lines = [
        {"call": 0, "code": "", "details": "StreamTerminatedError: Connection lost", "messages": 0},
        {"call": 1, "code": "CODE_NaN", "details": "", "messages": 0},
    ]
    said = session.reported([json.dumps(line) for line in lines], "exit 1")
    assert sees.spoken(said) == [("StreamTerminatedError", "Connection lost"), ("NaN", "NaN undefined: ")]
    assert sees.spoken(session.reported([], "hung")) == [("none", "")]


def test_only_what_was_seen_of_the_current_version_is_marked_as_checked() -> None:
    assert CHECKED.keys() <= CURRENT.keys()
    assert set().union(*CHECKED.values()) <= {rule.id for rule in ALL_RULES}
    rule = min(CHECKED["grpc-js"])
    older = ClientSees("grpc-js", "0.1", "INTERNAL", "…", True)
    remembered = ClientSees("grpc-js", CURRENT["grpc-js"], "INTERNAL", "…", False)
    assert [row.checked for row in marked(rule, [ROW, older, remembered])] == [True, False, False]
    assert [row.checked for row in marked("no-such-rule", [ROW])] == [False]


def test_the_table_is_what_its_writer_makes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "checked.py"
    text = Path(checked.__file__).read_text()
    copy.write_text(text.replace(': "x', ': ".'))
    monkeypatch.setattr(sees, "_CHECKED", copy)
    rows = [
        sees.Row(client, "", rule, "error", "", "", "equal", ()) for client, rules in CHECKED.items() for rule in rules
    ]
    sees.write(rows)
    assert copy.read_text() == text


def test_the_versions_that_rows_name_are_those_of_the_driver_clients() -> None:
    for name in clients.NAMES:
        if name in ("grpcio", "grpclib") and clients.missing(name):
            continue
        version = clients.versions([name])[0].split()[1]
        told = CURRENT[sees.DRIVER.get(name, name)]
        assert version == told or version.startswith(f"{told}."), name
