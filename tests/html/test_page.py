"""The page as text: its parts stand in it without any script, and the capture writes none of its markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys

import pytest
from captured import Capture
from captures import pcap
from h2_bytes import RESPONSE, data, message
from html_pages import FIXTURES, Outline, data_of, samples, write_page

from wirecase.model import Diagnosis, Evidence
from wirecase_cli.reports import masking
from wirecase_cli.reports.html import blocks, hexes, page, shown

SAMPLES = samples()
healthy, hostile, incident = SAMPLES.healthy, SAMPLES.hostile, SAMPLES.incident


@pytest.fixture(scope="module")
def incident_text(incident_page) -> str:
    return incident_page.read_text(encoding="utf-8")


def test_is_whole_html_with_everything_to_read(incident_text: str) -> None:
    found = Outline(incident_text)
    for part in (
        "The server closed the connection (TCP FIN) after 5 messages",
        "Causes and consequences",
        "RST_STREAM, error code 2: INTERNAL_ERROR",
        "00 00 00 02",
        "h2 protocol error: error reading a body from connection",
        "SHA-256",
        "3414c0b7431f686a8564a9ec0baa390e10aa4e6033e964e05b0b23d93e343c22",
        "Where every captured byte went",
        "/arrow.flight.protocol.FlightService/DoGet",
    ):
        assert part in found.text, part


def test_asks_for_nothing_from_anywhere(incident_text: str) -> None:
    found = Outline(incident_text)
    for tag, attributes in found.tags:
        assert (
            tag not in ("img", "iframe", "object", "embed", "base", "audio", "video", "source", "form") or tag == "form"
        )
        assert "src" not in attributes and "action" not in attributes and "style" not in attributes, (tag, attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        if tag == "link":
            assert attributes == {"rel": "icon", "href": "data:,"}
        if tag == "a":
            assert re.match(
                r"#|https://www\.rfc-editor\.org/rfc/|https://github\.com/grpc/|https://www\.cve\.org/",
                attributes["href"],
            )
    assert "url(" not in re.sub(r"url\(#plot\)", "", incident_text) and "@import" not in incident_text


def test_the_policy_lets_only_its_own_parts_run(incident_text: str) -> None:
    policy = Outline(incident_text).tags[3][1]["content"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and "unsafe" not in policy
    for element, name in (("script", "script-src"), ("style", "style-src")):
        bodies = re.findall(rf"<{element}>(.*?)</{element}>", incident_text, re.S)
        digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
        assert [f"'sha256-{digest}'" for digest in digests] == rules[name].split()


# In the others, findings stand together in one card, with consequences that only one of them has.
@pytest.mark.parametrize("name", ["incident", "goaway-race", "grpc-unframed-protobuf", "proxy-legs-disagree"])
def test_every_inner_link_leads_somewhere(pages, name: str) -> None:
    text = write_page(FIXTURES / name / "capture.pcapng", pages / f"links-{name}.html").read_text(encoding="utf-8")
    found = Outline(text)
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    inner = {attributes["href"][1:] for tag, attributes in found.tags if tag == "a" and attributes["href"][0] == "#"}
    inner |= {one for text in data_of(text)["calls"]["texts"] for one in text.split() if re.fullmatch(r"F\d+", one)}
    assert inner <= set(ids), inner - set(ids)
    named = [
        attributes[name] for _, attributes in found.tags for name in ("aria-labelledby", "for") if name in attributes
    ]
    assert set(named) <= set(ids)


def test_columns_of_calls_are_as_long_as_there_are_calls(incident_text: str) -> None:
    calls = data_of(incident_text)["calls"]
    assert calls["count"] == calls["seen"] == 121
    for name, column in calls["columns"].items():
        assert isinstance(column, int) or len(column) == calls["count"], name


UNSAFE = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))} - {"\n"} | set(
    "\u202e\u2066\u2067\u2068\u2069\u200b\u2028\u2029"
)


def test_hostile_text_stays_text() -> None:
    text = page.render(hostile())
    found = Outline(text)
    assert not set(text) & UNSAFE
    assert "<script>alert" not in text and "javascript:" not in str([a for _, a in found.tags if "href" in a])
    ours = {tag for tag, _ in Outline(page.render(incident())).tags}
    assert {tag for tag, _ in found.tags} <= ours
    assert "<script>alert(1)</script>" in found.text  # as text


def test_hostile_text_in_the_data_stays_a_string() -> None:
    block = shown.data_block({"a": "</script><script>alert(1)</script><!--", "b": "\u2028\u2029&"})
    assert not set(block) & set("<>&\u2028\u2029")
    assert json.loads(block)["a"].startswith("</script>")


def test_a_healthy_capture_says_so() -> None:
    found = Outline(page.render(healthy()))
    assert "No fault found in 40 gRPC calls" in found.text
    assert "Causes and consequences" not in found.text


TOKEN = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


def test_credentials_are_masked_wherever_they_stand() -> None:
    found = incident()
    one = found.findings[0]
    one.title += f" authorization: {TOKEN}"
    one.details["text"] = f"seen {TOKEN} there"
    one.evidence[0].note = TOKEN
    one.evidence[0].data = b"authorization: " + TOKEN.encode()
    one.ids["x-session-token"] = "5f2b9c1d7e8a4b6f"
    text = page.render(masking.diagnosis(found), unmasked=found)
    assert "dozjgNryP4J3" not in text and "5f2b9c1d7e8a4b6f" not in text
    assert TOKEN[-9:].encode().hex(" ") not in text
    assert "(masked jwt)" in text and "\u00b7\u00b7" in text
    assert "dozjgNryP4J3" not in page.render(found)


def test_nothing_of_ours_is_masked_by_mistake(incident_text: str) -> None:
    assert "(masked" not in incident_text


def test_a_secret_in_a_coded_header_block_is_masked() -> None:
    capture = Capture()
    connection = capture.connect().hello()
    fields = (
        (":method", "POST"), (":scheme", "http"), (":path", "/demo.Echo/Unary"), (":authority", "demo"),
        ("te", "trailers"), ("content-type", "application/grpc"), ("authorization", TOKEN),
        ("x-api-key", "abcdefgh12345"), ("user-agent", "plain/1"),
    )  # fmt: skip
    frame = connection.peers[0].headers(1, fields)
    hidden = blocks.hidden(frame, len(frame))
    assert len(hidden) == 2
    kept = bytearray(frame)
    for start, stop in hidden:
        kept[start:stop] = bytes(stop - start)
    assert sum(stop - start for start, stop in hidden) > len(TOKEN) // 2
    evidence = Evidence("primary", "request headers", 0, "client", 1, 0, len(frame), frame)
    drawn = hexes.draw(incident().findings[0], evidence)
    assert drawn is not None and drawn.masked
    cells = "".join(run.text for row in drawn.rows for run in row.hex).replace("\u00b7\u00b7", "00")
    assert bytes.fromhex(cells) == bytes(kept)[: len(bytes.fromhex(cells))]


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_cut_or_foreign_block_never_raises(cut: int) -> None:
    capture = Capture()
    frame = capture.connect().hello().peers[0].headers(1, ((":method", "POST"), ("authorization", TOKEN)))
    for piece in (frame[:cut], frame[:9] + frame[9:][::-1], frame[:9] + b"\xff" * 40, b"\x00" * cut):
        for start, stop in blocks.hidden(piece, len(frame)):
            assert 0 <= start <= stop <= len(piece)


def test_marks_of_bytes_are_told_without_colour() -> None:
    found: Diagnosis = incident()
    drawn = hexes.draw(found.findings[1], found.findings[1].evidence[0])
    assert drawn is not None
    first = drawn.rows[0]
    assert [(run.kind, run.text) for run in first.hex if run.kind] == [("decisive", "43"), ("second", "6f 6e 6e 65")]
    assert first.hex_signs.startswith("^^ ~~ ~~ ~~ ~~") and first.text_signs == "^~~~~"
    assert [(kind, sign) for kind, sign, _ in drawn.legend] == [("decisive", "^"), ("second", "~")]


def test_a_call_in_a_damaged_stream_is_listed(tmp_path) -> None:
    capture = Capture()
    connection = capture.connect().hello()
    connection.request(1).headers(1, RESPONSE).server(data(1, message(b"x")))
    source = tmp_path / "open.pcap"
    source.write_bytes(pcap(capture.packets))
    text = write_page(source, tmp_path / "open.html").read_text(encoding="utf-8")
    columns = data_of(text)["calls"]["columns"]
    assert columns["open"] == 1 and columns["status"] == -1


def test_the_page_costs_nothing_where_it_is_not_asked_for() -> None:
    code = "import sys, wirecase_cli.commands.diagnose; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
