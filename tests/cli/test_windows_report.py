"""Windows in the reports: where findings about them stand, in plain characters, and only there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from captures import Conversation, http2, pcap
from h2_bytes import END_STREAM, RESPONSE, TRAILERS, Script, data, message, window_update
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from wirecase.model import CLIENT, SERVER
from wirecase.picturing.model import Point, Series, Stall, Violation
from wirecase_cli.main import main
from wirecase_cli.reports.windows_axis import axis
from wirecase_cli.reports.windows_chart import chart, since

ROOT = Path(__file__).parents[2]
T0 = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def fixture(name: str) -> str:
    return str(ROOT / "fixtures" / name / "capture.pcapng")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, status: int) -> str:
    assert main([*arguments]) == status
    out, err = capsys.readouterr()
    assert err == ""
    return out


def series(*steps: tuple[int, int | None], end: int = 0, **more: Any) -> Series:
    points = [Point(T0 + time, value, "DATA") for time, value in steps]
    last = max(points[-1].time, T0 + end)
    return Series(
        0, 1, SERVER, "stream window", points, len(points), points[0].time, last, **more
    )  # fmt: skip


# ---- the chart ----------------------------------------------------------------------------------------------------


def test_a_chart_of_a_stall() -> None:
    steps = [(number * SECOND // 10, 60 - 10 * number) for number in range(7)]
    one = series(*steps, end=SECOND, stalls=[Stall(T0 + 6 * SECOND // 10, T0 + SECOND, 0, 9, 0, "reset")])
    assert chart(one, 41) == [
        "            60 │██░",
        "               │█████░",
        "               │███████░",
        "               │██████████░",
        "               │████████████░",
        "               │███████████████░",
        "             0 ┼───────────────××××××××××",
        "               +0                +1.00 s",
        "                × nothing left   ░ changed within",
    ]


def test_the_same_for_a_terminal_that_has_letters_only() -> None:
    one = series((0, 100), (SECOND, -7), (2 * SECOND, 50), end=3 * SECOND, violations_seen=1)
    one.violations = [Violation("over", T0 + SECOND, 0, 4, 1, SERVER, 7)]
    lines = chart(one, 40, unicode=False)
    assert all(line.isascii() for line in lines)
    zero, below = lines[6], lines[7]
    assert zero.startswith("             0 +")
    assert "!" in zero
    assert below.startswith("            -7 |")
    assert below.count("v") >= 8
    assert lines[0].startswith("           100 |########")


def test_what_is_unknown_is_not_drawn() -> None:
    lines = chart(series((0, 100), (SECOND, 60), (2 * SECOND, None), end=3 * SECOND), 40)
    unknown = lines[6].index("?")
    assert set(lines[6][unknown:]) == {"?"}
    assert all(len(line) <= unknown for line in lines[:6])
    assert "? unknown" in lines[-1]
    only = chart(series((0, None)), 40)
    assert "█" not in "".join(only)
    assert "?" in only[0]


def test_a_long_wait_breaks_the_axis_and_says_so() -> None:
    one = series((0, 100), (1_000_000, 50), (2_000_000, 0), end=10 * SECOND)
    scale = axis(one, 60)
    assert len(scale.segments) == 2
    assert scale.column(T0 + 1_000_000) > 10
    lines = chart(one, 75)
    assert "+2.0 ms" in lines[-2]
    assert "+10.00 s" in lines[-2]
    assert "the time scale changes" in lines[-1]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-1000, 10**13), st.one_of(st.none(), st.integers(-(2**31), 2**33))),
        min_size=1, max_size=40,
    ),
    st.integers(1, 200),
    st.booleans(),
)  # fmt: skip
def test_any_series_is_drawn_within_its_width(steps: list[tuple[int, int | None]], width: int, unicode: bool) -> None:
    time, made = 0, []
    for step, value in steps:
        time += step
        made.append((time, value))
    one = series(*made)
    lines = chart(one, width, unicode=unicode)
    assert lines
    most = max(width, 14 + 2 + 24)
    assert all(cell_len(line) <= most for line in lines[:-1])
    scale = axis(one, 50)
    assert [segment.first for segment in scale.segments] == sorted({segment.first for segment in scale.segments})
    assert sum(segment.count for segment in scale.segments) == 50
    for point in one.points:
        assert 0 <= scale.column(point.time) < 50


def test_times_since_the_beginning() -> None:
    assert [since(ns) for ns in (-5, 0, 999, 1_500, 12_500_000, 3 * SECOND, 190 * SECOND)] == [
        "+0", "+0", "+999 ns", "+2 us", "+12.5 ms", "+3.00 s", "+3 min 10 s",
    ]  # fmt: skip


# ---- reports ------------------------------------------------------------------------------------------------------


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_the_terminal_report_shows_where_the_window_went(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "diagnose", fixture("fc-stream-stalled"), status=1)
    assert max(cell_len(line) for line in out.splitlines()) <= 80
    assert out.count("Bytes that the client may still send") == 1
    assert "65,535 │" in out
    assert "0 ┼" in out
    told = words(out)
    assert "nothing left for 3.0 s, from 8.5 ms (packet 30) until the stream was reset (packet 33)" in told
    assert "should have come (certain): WINDOW_UPDATE on stream 1 from the server" in told
    assert "an increment of at least 1 would have let the client go on, 6,607 would have let it finish" in told


def test_the_markdown_report_has_the_same_in_a_block(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "diagnose", fixture("fc-violation"), "--format", "markdown", status=1)
    block = out[out.index("Bytes that the server may still send on stream 1") :]
    block = block[block.index("```text") :].split("```")[1]
    assert "65,535 │" in block
    assert "-2,024 │" in block
    assert "should have come" in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_terminal_without_blocks_gets_letters(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wirecase_cli", "diagnose", fixture("fc-window-leak")],
        capture_output=True, timeout=60, check=False, env={"PYTHONIOENCODING": encoding, "PYTHONPATH": _path()},
    )  # fmt: skip
    text = done.stdout.decode("ascii")
    assert "           65,535 |" in text or "65,535 |" in text
    assert "###" in text
    assert "\\u" not in text


def _path() -> str:
    return f"{ROOT / 'cli'}:{ROOT / 'decoders'}"


@pytest.mark.parametrize("shape", ["terminal", "markdown"])
def test_standard_input_is_not_read_twice_which_is_told_once(shape: str) -> None:
    with open(fixture("fc-stream-stalled"), "rb") as capture:
        done = subprocess.run(
            [sys.executable, "-m", "wirecase_cli", "diagnose", "-", "--format", shape], stdin=capture,
            capture_output=True, timeout=60, check=False, env={"PYTHONPATH": _path(), "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
    assert done.returncode == 1
    assert b"fc-stream-stalled" in done.stdout
    assert b"Bytes that the client" not in done.stdout
    assert words(done.stdout.decode()).count("No windows are drawn: that takes a second reading") == 1


def test_no_word_of_windows_where_no_finding_is_about_one() -> None:
    with open(fixture("rst-midbody"), "rb") as capture:
        done = subprocess.run(
            [sys.executable, "-m", "wirecase_cli", "diagnose", "-"], stdin=capture, capture_output=True, timeout=60,
            check=False, env={"PYTHONPATH": _path(), "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
    assert done.returncode == 1
    assert b"windows are drawn" not in done.stdout


@pytest.mark.parametrize("name", ["healthy-grpcjs-gzip", "rst-refused-stream", "incident"])
def test_a_report_without_such_findings_imports_nothing(name: str) -> None:
    code = (
        "import sys; from wirecase_cli.main import main;"
        f"main(['diagnose', {fixture(name)!r}, '-o', '/dev/null']);"
        "sys.exit(any('pictur' in one for one in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False, env={"PYTHONPATH": _path()}
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_json_report_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(printed(capsys, "diagnose", fixture("fc-violation"), "--format", "json", status=1))
    assert "windows" not in document
    assert all("windows" not in one for one in document["findings"])


# ---- show ---------------------------------------------------------------------------------------------------------


def healthy(tmp_path: Path) -> str:
    script = Script().hello().request(1, message(b"ask"))
    peer = script.peers[SERVER]
    script.server(peer.headers(1, RESPONSE), data(1, message(bytes(9_995))))
    script.client(window_update(1, 5_000)).server(peer.headers(1, TRAILERS, END_STREAM))
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(http2(script).packets))
    return str(path)


def test_show_draws_the_windows_of_any_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = healthy(tmp_path)
    assert "may still send" not in printed(capsys, "show", path, status=0)
    out = printed(capsys, "show", path, "--windows", status=0)
    assert max(cell_len(line) for line in out.splitlines()) <= 80
    titles = re.findall(r"Bytes that the (\w+) may still send on (stream 1|all)", out)
    assert titles == [("client", "all"), ("server", "all"), ("client", "stream 1"), ("server", "stream 1")]
    assert "should have come" not in out


def test_show_gives_the_windows_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((ROOT / "cli/wirecase_cli/reports/timeline_v1.schema.json").read_text(encoding="utf-8"))
    path = healthy(tmp_path)
    document = json.loads(printed(capsys, "show", path, "--windows", "--format", "json", status=0))
    jsonschema.validate(document, schema)
    (timeline,) = document["timelines"]
    (server,) = [
        one for one in timeline["windows"] if (one["stream"], one["sender"], one["unit"]) == (1, "server", "bytes")
    ]
    assert [point["value"] for point in server["points"]] == [65_535, 55_535, 60_535]
    assert [point["by"] for point in server["points"]] == ["open", "DATA", "WINDOW_UPDATE"]
    assert [point["sender"] for point in server["points"][1:]] == ["server", "client"]
    assert (server["lowest"], server["highest"], server["missing"], server["stalls"]) == (55_535, 65_535, [], [])
    plain = json.loads(printed(capsys, "show", path, "--format", "json", status=0))
    assert "windows" not in plain["timelines"][0]
    for name in ("fc-stream-stalled", "fc-violation", "fc-window-leak", "fc-overflow", "obs-midconnection"):
        out = printed(capsys, "show", fixture(name), "--connection", "0", "--windows", "--format", "json", status=0)
        jsonschema.validate(json.loads(out), schema)


def test_show_says_that_windows_are_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = Script().hello()
    for stream in (1, 3, 5):
        script.request(stream, message(b"ask")).response(stream, message(b"answer"))
    talk = Conversation().open().play(script).fin(CLIENT, SERVER)
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(talk.packets[14:]))
    out = printed(capsys, "show", str(path), "--connection", "0", "--windows", status=0)
    assert "unknown from 0 on: the capture begins in the middle of the connection" in words(out)
    assert "█" not in out
