"""Measure the HTML report of a capture of many calls: ``page.py [--calls N] [--runs N] [--keep FOLDER]``.

A capture is written (three of a hundred calls fail in different ways), the command makes its page, and a headless
Chromium opens three pages in turns, each in a new tab: an empty one, one that has nothing but the report's data and
parses it (``JSON.parse``), and the report. A page counts as interactive once its scripts have run and a frame was drawn
after them. The yardstick is the page with the data alone: the report may take three times as long.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/support")]

from captured import Capture, Connection  # noqa: E402
from captures import pcap  # noqa: E402
from h2_bytes import END_STREAM, RESPONSE, TRAILERS, data, message, rst  # noqa: E402

CONNECTIONS = 8
EMPTY = "<!DOCTYPE html><html lang=en data-ready><title>empty</title><p>nothing"
METHODS = [f"/shop.v1.{service}/{verb}" for service in ("Cart", "Orders", "Stock") for verb in ("Get", "List", "Put")]
WATCH = """
const told = () => requestAnimationFrame(() => setTimeout(() => { window.interactive = performance.now(); }));
const look = () => document.documentElement && 'ready' in document.documentElement.dataset;
new MutationObserver((_, watcher) => { if (look()) { watcher.disconnect(); told(); } })
  .observe(document, { subtree: true, childList: true, attributes: true });
"""
DATA = re.compile(r'<script type="application/json" id="data">.*?</script>', re.S)
PARSE = "<script>window.parsed = JSON.parse(document.getElementById('data').textContent)</script>"


def capture(calls: int) -> bytes:
    """Write the capture."""
    source = random.Random(10)
    made = Capture()
    connections = [made.connect(f"10.0.0.{i + 1}:{40_000 + i}").hello() for i in range(CONNECTIONS)]
    for number in range(calls):
        one_call(connections[number % CONNECTIONS], 2 * (number // CONNECTIONS) + 1, source)
    for connection in connections:
        connection.close()
    return pcap(made.packets)


def one_call(connection: Connection, stream: int, source: random.Random) -> None:
    """One unary call, of which three of a hundred fail."""
    fields = (
        (":method", "POST"), (":scheme", "http"), (":path", source.choice(METHODS)), (":authority", "shop:50051"),
        ("te", "trailers"), ("content-type", "application/grpc"),
        ("x-request-id", f"{source.getrandbits(128):032x}"),
    )  # fmt: skip
    body = source.randbytes(source.randint(20, 300))
    connection.client(connection.peers[0].headers(stream, fields), data(stream, message(body), END_STREAM), acked=False)
    fate = source.random()
    if fate < 0.01:
        connection.headers(stream, ((":status", "502"), ("content-type", "text/plain")))
        connection.server(data(stream, b"Connection refused by upstream", END_STREAM), acked=False)
    elif fate < 0.02:
        connection.headers(stream).server(data(stream, message(body)), rst(stream, 2), acked=False)
    elif fate < 0.03:
        connection.headers(stream, (*RESPONSE, ("grpc-status", "5"), ("grpc-message", "no such order")), END_STREAM)
    else:
        answer = (connection.peers[1].headers(stream, RESPONSE, 0), data(stream, message(body)))
        connection.server(*answer, connection.peers[1].headers(stream, TRAILERS, END_STREAM), acked=False)


def measure(page: Path, runs: int) -> dict[str, list[float]]:
    """Open both pages in turns; return all times in ms."""
    from playwright.sync_api import sync_playwright

    block = DATA.search(page.read_text(encoding="utf-8"))
    assert block is not None
    pages = {"empty": page.with_name("empty.html"), "data": page.with_name("data.html"), "report": page}
    pages["empty"].write_text(EMPTY, encoding="utf-8")
    pages["data"].write_text(EMPTY + block[0] + PARSE, encoding="utf-8")
    found: dict[str, list[float]] = {name: [] for name in pages}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for run in range(runs + 1):
            for name, path in pages.items():
                tab = browser.new_page()
                tab.add_init_script(WATCH)
                tab.goto(path.as_uri())
                took = interactive(tab)
                tab.close()
                if run:  # the first turn warms the machine up
                    found[name].append(took)
        browser.close()
    return found


def interactive(tab: Any) -> float:
    """Wait for the mark that `WATCH` leaves."""
    while (took := tab.evaluate("window.interactive")) is None:
        time.sleep(0.01)
    return float(took)


def chromium() -> str | None:
    """Where the system's Chromium is; None leaves it to playwright."""
    import shutil

    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def main() -> int:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(description="Measure the HTML report of a capture of many calls.")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--keep", type=Path, help="keep capture and page in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        source, page = folder / "calls.pcap", folder / "calls.html"
        source.write_bytes(capture(options.calls))
        began = time.monotonic()
        command = [sys.executable, "-m", "wirecase_cli", "diagnose", "--format", "html", "--fail-on", "never"]
        subprocess.run([*command, "--force", "--output", str(page), str(source)], check=True)
        took = time.monotonic() - began
        times = {name: statistics.median(each) for name, each in measure(page, options.runs).items()}
        size = page.stat().st_size
    bar = 3 * times["data"]
    print(f"{options.calls:,} calls, {source.name}; page of {size:,} bytes, made in {took:.1f} s")
    told = ", ".join(f"{name} {each:.1f}" for name, each in times.items())
    print(f"interactive after, ms, medians of {options.runs} turns: {told}; three times the data alone is {bar:.1f}")
    return 0 if times["report"] <= bar and size < 5_000_000 else 1


if __name__ == "__main__":
    raise SystemExit(main())
