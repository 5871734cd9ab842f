"""The page in a real headless Chromium: search, filter, sort, zoom, keyboard, themes, and that no capture gets in.

Each page is opened with a watch on it: a console message, an uncaught error or a request to anywhere fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import WAITED, at, extent, glyphs, opened, rows, said, settled, until
from captured import Capture
from captures import pcap
from h2_bytes import RESPONSE, data, goaway, message, rst
from html_pages import FIXTURES, samples, write_page

from wirecase.query import CallRow
from wirecase_cli.reports.html.gather import Gathered
from wirecase_cli.reports.html.page import render


@pytest.fixture
def tab(browser: Any, incident_page: Path) -> Iterator[Any]:
    with opened(browser, incident_page) as tab:
        yield tab


@pytest.fixture
def table(tab: Any) -> Any:
    """The page, looked at where the calls are."""
    return at(tab, "#calls", "#rows .more")


@pytest.fixture
def picture(tab: Any) -> Any:
    """The page, looked at where the picture is."""
    return at(tab, "#lanes", "#lanes .mark")


# ---- the table of calls ---------------------------------------------------------------------------------------------


def test_the_rows_of_the_page_are_those_of_its_script(browser: Any, incident_page: Path) -> None:
    with opened(browser, incident_page, java_script_enabled=False) as plain, opened(browser, incident_page) as tab:
        assert rows(plain) == rows(at(tab, "#calls", "#rows .more"))
        assert len(rows(tab)) == 50


def test_search_takes_words_statuses_and_numbers(table: Any) -> None:
    tab = table
    tab.fill("#search", "doget")
    found = rows(tab)
    assert found and all("DoGet" in row[4] for row in found) and said(tab).endswith("of 121 calls")
    tab.fill("#search", "doget rst_stream")
    assert 0 < len(rows(tab)) < len(found) and all("RST_STREAM" in row[6] for row in rows(tab))
    tab.fill("#search", "F1")
    assert [row[0] for row in rows(tab)] and all("F1" in row[5].split() for row in rows(tab))
    tab.fill("#search", "nothing like this")
    assert rows(tab) == [["No call fits."]] and said(tab) == "0 of 121 calls"
    assert tab.get_attribute("#count", "role") == "status"


def test_filters_join_and_are_reset(table: Any) -> None:
    tab = table
    tab.select_option("#outcome", "failed")
    failed = rows(tab)
    assert failed and all(row[3] != "OK" for row in failed)
    tab.select_option("#finding", "F15")
    assert rows(tab) and all("F15" in row[5] for row in rows(tab))
    tab.click("#filter button[type=reset]")
    until(tab, "document.querySelector('#count').textContent === '121 calls'")


def test_a_finding_leads_to_its_calls(tab: Any) -> None:
    tab.click("#F1 > .meta .to-calls")
    assert tab.input_value("#finding") == "F1" and all("F1" in row[5].split() for row in rows(tab))


def test_a_call_leads_to_its_finding_even_if_it_is_folded(tab: Any) -> None:
    tab.select_option("#finding", "F3")
    assert not tab.evaluate("document.getElementById('F3').open")
    tab.click("#rows a[href='#F3']")
    until(tab, "document.getElementById('F3').open")


def test_every_column_sorts_both_ways(table: Any) -> None:
    tab = table
    for head in tab.locator("#table th[data-sort]").all():
        button = head.locator("button")
        before = head.get_attribute("aria-sort")
        button.click()
        first, way = rows(tab), head.get_attribute("aria-sort")
        button.click()
        assert {way, head.get_attribute("aria-sort")} == {"ascending", "descending"} and before != way
        assert tab.locator("#table th[aria-sort]").count() == 1
        assert first != rows(tab) or head.get_attribute("data-sort") == "status"
    tab.click("#table th[data-sort=took] button")
    times = [float(row[2].split()[0].lstrip(">").replace(",", "")) for row in rows(tab)]
    assert times == sorted(times)


def test_pages_turn(table: Any) -> None:
    tab = table
    assert tab.is_disabled("#pager [data-page=previous]")
    tab.click("#pager [data-page=next]")
    assert rows(tab)[0][0] == "50" and tab.text_content("#shown") == "51\u2013100 of 121"
    tab.click("#pager [data-page=last]")
    assert len(rows(tab)) == 21 and tab.is_disabled("#pager [data-page=next]")
    tab.select_option("#per-page", "250")
    assert len(rows(tab)) == 121


def test_a_row_unfolds_by_keyboard_and_keeps_the_focus(table: Any) -> None:
    tab = table
    tab.focus("#rows .more >> nth=2")
    tab.keyboard.press("Enter")
    assert "wirecase show --call 2" in tab.text_content("#rows .detail")
    assert tab.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    tab.keyboard.press("Space")
    assert tab.locator("#rows .detail").count() == 0


# ---- the picture ----------------------------------------------------------------------------------------------------


def test_buttons_zoom_and_pan(picture: Any) -> None:
    tab = picture
    whole = extent(tab)
    tab.click("#picture [data-view=in]")
    settled(tab)
    near = extent(tab)
    assert near != whole and near[0] != whole[0]
    tab.click("#picture [data-view=left]")
    settled(tab)
    assert extent(tab) != near
    tab.click("#windows [data-view=whole]")  # both have one time axis
    at(tab, "#lanes", "#lanes .mark")
    assert extent(tab) == whole
    tab.click("#picture [data-view=fault]")
    settled(tab)
    assert extent(tab) != whole and "F1: TCP FIN" in tab.text_content("#readout")


def test_the_mouse_zooms_pans_and_picks(picture: Any) -> None:
    tab = picture
    box = tab.locator("#lanes").bounding_box()
    x, y = box["x"] + box["width"] * 0.6, box["y"] + 80
    whole = extent(tab)
    tab.mouse.move(x, y)
    tab.keyboard.down("Control")
    tab.mouse.wheel(0, -400)
    tab.keyboard.up("Control")
    settled(tab)
    near = extent(tab)
    assert near != whole
    tab.mouse.down()
    tab.mouse.move(x + 150, y, steps=4)
    tab.mouse.up()
    settled(tab)
    assert extent(tab) != near
    tab.click("#picture [data-view=whole]")
    at(tab, "#lanes", "#lanes .ring")
    ring = tab.locator("#lanes .ring").first.bounding_box()
    tab.mouse.click(ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2)
    settled(tab)
    assert "packet" in tab.text_content("#readout") and tab.locator("#lanes .choice").count() == 1


def test_the_wheel_alone_scrolls_the_page(picture: Any) -> None:
    tab = picture
    box = tab.locator("#lanes").bounding_box()
    tab.mouse.move(box["x"] + 300, box["y"] + 40)
    whole = extent(tab)
    tab.mouse.wheel(0, 120)
    settled(tab)
    assert extent(tab) == whole


def test_keys_walk_zoom_and_find_faults(picture: Any) -> None:
    tab = picture
    tab.focus("#lanes")
    heard = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "End", "f", "f", "Shift+F", "Home"):
        tab.keyboard.press(key)
        settled(tab)
        heard.append(tab.text_content("#readout"))
    assert heard[0] != heard[1] != heard[2] != heard[3]
    assert "F1" in heard[4] and heard[4] == heard[6] and heard[5] != heard[4]
    assert tab.get_attribute("#readout", "role") == "status"
    whole = extent(tab)
    tab.keyboard.press("+")
    settled(tab)
    assert extent(tab) != whole
    near = extent(tab)
    tab.keyboard.press("Shift+ArrowRight")
    settled(tab)
    assert extent(tab) != near
    tab.keyboard.press("0")
    settled(tab)
    assert extent(tab) == whole
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") != "lanes"


def test_frames_that_would_hide_each_other_come_apart_when_zoomed(browser: Any, pages: Path) -> None:
    page = write_page(FIXTURES / "fc-stream-stalled/capture.pcapng", pages / "stalled.html")
    with opened(browser, page) as tab:
        whole = glyphs(at(tab, "#lanes", "#lanes .mark"))
        tab.focus("#lanes")
        tab.keyboard.press("ArrowRight")
        for _ in range(7):
            tab.keyboard.press("+")
        settled(tab)
        assert glyphs(tab) != whole
        at(tab, "#charts", "#charts .level")
        assert tab.locator("#charts .stall.telling").count() == 1
        assert "WINDOW_UPDATE missing" in " ".join(tab.locator("#charts text").all_text_contents())


# ---- reading --------------------------------------------------------------------------------------------------------


def test_the_page_is_readable_without_scripts(browser: Any, incident_page: Path) -> None:
    with opened(browser, incident_page, java_script_enabled=False) as plain:
        text = plain.text_content("main")
        for part in ("after 5 messages", "Causes and consequences", "00 00 00 02", "DoGet", "Sources and bytes"):
            assert part in text, part
        assert not plain.is_visible("#filter") and not plain.is_visible("#lanes") and not plain.is_visible("#theme")
        plain.click("#picture .alternative summary")
        assert plain.locator("#picture .alternative tbody tr").count() > 20


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_theme_follows_the_system_and_the_button(browser: Any, incident_page: Path, system: str) -> None:
    with opened(browser, incident_page, color_scheme=system) as tab:
        background = "getComputedStyle(document.body).backgroundColor"
        before = tab.evaluate(background)
        assert tab.get_attribute("#theme", "aria-pressed") == str(system == "dark").lower()
        tab.click("#theme")
        after = tab.evaluate(background)
        assert after != before
        assert tab.get_attribute("#theme", "aria-pressed") == str(system == "light").lower()
        tab.reload()
        tab.wait_for_selector("html[data-ready]", timeout=WAITED)
        assert tab.evaluate(background) == after


def test_the_keyboard_reaches_everything_from_the_skip_link_on(tab: Any) -> None:
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(120):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("(e => e.id || e.dataset.view || e.tagName)(document.activeElement)"))
        seen = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert seen != "none", reached
        if {"lanes", "in", "search", "finding"} <= reached:
            break
    assert {"lanes", "in", "search", "finding"} <= reached


def test_nothing_is_wider_than_a_telephone(browser: Any, incident_page: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    tab = context.new_page()
    tab.goto(incident_page.as_uri())
    tab.wait_for_selector("html[data-ready]", timeout=WAITED)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_print_shows_what_is_folded(tab: Any) -> None:
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("details:not([open])").count() == 0
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator("details[open]").count() == 0


def test_axe_finds_nothing_that_matters_in_either_theme(browser: Any, pages: Path) -> None:
    base = pytest.importorskip(
        "axe_playwright_python.base", reason="axe-playwright-python is not installed (pip install '.[browser]')"
    )
    page = write_page(FIXTURES / "fc-stream-stalled/capture.pcapng", pages / "axe.html")
    with opened(browser, page, color_scheme="light") as tab:
        tab.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        at(tab, "#charts", "#charts .level")
        at(tab, "#calls", "#rows .more").click("#rows .more >> nth=0")
        tab.evaluate(base.AXE_SCRIPT)  # by the debugger: the page's policy would let no script in
        for theme in ("light", "dark"):
            if theme == "dark":
                tab.click("#theme")
            found = tab.evaluate("axe.run()")
            grave = [one for one in found["violations"] if one["impact"] != "minor"]
            assert not [(theme, one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in grave]
            assert len(found["passes"]) > 20


def test_ten_thousand_calls_stay_small_and_quick_to_search(browser: Any, tmp_path: Path) -> None:
    calls = [row(number) for number in range(10_000)]
    page = tmp_path / "many.html"
    text = render(samples().healthy(), Gathered(calls, len(calls)))
    page.write_text(text, encoding="utf-8")
    assert len(text) < 2_000_000
    with opened(browser, page) as tab:
        at(tab, "#calls", "#rows .more")
        assert len(rows(tab)) == 50 and said(tab) == "10,000 calls"
        tab.fill("#search", "9999")
        assert [one[0] for one in rows(tab)] == ["4999", "9999"]  # a stream, a call
        tab.fill("#search", "method7")
        assert said(tab) == "500 of 10,000 calls"
        tab.fill("#search", "")
        tab.click("#table th[data-sort=took] button")
        tab.click("#table th[data-sort=took] button")
        assert rows(tab)[0][2] == "99.9 ms"
        assert tab.locator("#rows tr").count() == 50


def row(number: int) -> CallRow:
    """One of many calls, none like the next."""
    return CallRow(
        call=number, kind="grpc", connection=0, stream=2 * number + 1, client="10.0.0.1:40000", server="10.0.0.2:50051",
        authority="demo", path=f"/demo.Service/Method{number % 20}x", status=0, http=200, content_type=None,
        source=0, packet=3 * number + 100_000, started=1_700_000_000_000_000_000 + number * 1_000_000,
        ended=1_700_000_000_000_000_000 + number * 1_000_001, duration=number * 7919 % 1000 * 100_000, messages_sent=1,
        messages_received=1, bytes_sent=number % 300, bytes_received=number % 500, by="server", how="trailers",
        error=None, flag=None,
    )  # fmt: skip


# ---- hostile captures -----------------------------------------------------------------------------------------------

NASTY = (
    "</script><script>window.hit=1</script><img src=x onerror=window.hit=2><svg onload=window.hit=3>"
    "\"'><a href=javascript:window.hit=4>{{7*7}}</style><style>*{display:none}</style><!--\u202e\u2066\x00\x1b[31m\r\n"
)


def hostile(path: Path) -> Path:
    """A capture that writes markup wherever a peer can write anything."""
    raw = NASTY.encode("utf-8")
    capture = Capture()
    connection = capture.connect().hello()
    fields = (
        (":method", "POST"), (":scheme", "http"), (b":path", b"/demo." + raw), (b":authority", raw), ("te", "trailers"),
        ("content-type", "application/grpc"), (b"user-agent", raw), (b"x-request-id", raw), (b"traceparent", raw),
    )  # fmt: skip
    for stream in (1, 3):
        connection.client(connection.peers[0].headers(stream, fields), data(stream, message(raw), 1))
    connection.headers(1, ((":status", "502"), (b"content-type", b"text/" + raw), (b"server", raw), (b"via", raw)))
    connection.server(data(1, b"C" + raw, 1))
    connection.headers(3, RESPONSE).server(data(3, message(b"x")), rst(3, 2))
    connection.request(5).headers(5).trailers(5, (("grpc-status", "13"), (b"grpc-message", raw)))
    connection.server(goaway(5, 11, raw)).close()
    path.write_bytes(pcap(capture.packets))
    return path


def test_a_hostile_capture_runs_nothing_and_makes_no_element(browser: Any, tmp_path: Path) -> None:
    page = write_page(hostile(tmp_path / "hostile.pcap"), tmp_path / "hostile.html")
    with opened(browser, page) as tab:
        at(tab, "#calls", "#rows .more").click("#rows .more >> nth=0")
        tab.fill("#search", "<img")
        at(tab, "#lanes", "#lanes .mark").click("#picture [data-view=fault]")
        for key in ("f", "f", "f", "ArrowRight"):
            tab.focus("#lanes")
            tab.keyboard.press(key)
        settled(tab)
        assert tab.evaluate("window.hit") is None
        made = "img, iframe, object, [onerror], [onload], body script:not([id]) ~ script, a[href^='javascript']"
        assert tab.locator(made).count() == 0
        assert tab.locator("script").count() == 3 and tab.locator("style").count() == 1
        text = tab.text_content("main")
        assert "<img src=x onerror=window.hit=2>" in text and "{{7*7}}" in text  # told, as text
        assert not set(text) & set("\u202e\u2066\x00\x1b")
    assert b"window.hit=1</script>" not in page.read_bytes()


def test_the_policy_holds_even_if_markup_got_in(browser: Any, incident_page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    text = incident_page.read_text(encoding="utf-8")
    broken.write_text(text.replace("<main", "<script>window.hit=1</script><img src=x onerror=window.hit=2><main", 1))
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(broken.as_uri())
    tab.wait_for_selector("html[data-ready]", timeout=WAITED)
    assert tab.evaluate("window.hit") is None
    context.close()
