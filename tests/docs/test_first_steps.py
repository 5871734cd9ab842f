"""The page for newcomers, walked from its first line to its last in one folder, as a newcomer would."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import PAGES, blocks, shell_lines
from stage import FIXTURES, INCIDENT, Stage, free_port
from test_commands import DONE_QUICKLY, run

PAGE = PAGES / "first-steps.md"
STEPS = shell_lines(PAGE)

NOT_RUN = {
    "make demo": "it makes an environment; .ci/run begins with it",
    ". .venv/bin/activate": "that environment",
}

RESULTS = {
    "wirecase --version": (0, r"^wirecase \d"),
    "wirecase doctor": (0, "Python"),
    "wirecase --install-completion": (0, "bash completion installed"),
    "man ": (None, "WIRECASE"),
    "wirecase diagnose fixtures": (1, "8 of 44 gRPC calls are hit"),
    "wirecase calls": (0, "DoGet"),
    "wirecase show": (0, "F3 rst-midbody"),
    "wirecase explain": (0, "compression flag 67 is the character 'C'"),
    "wirecase extract": (0, "shows F3 rst-midbody"),
    "wirecase verify case": (0, r"all \d+ findings are found again; nothing looks like a secret"),
    "naive-python {target}": (1, "The client failed the replay"),
    "patched-python {target}": (0, "The client took the fault as it should"),
    "python -m pytest": (None, "1 passed"),
    "wirecase diagnose mine": (1, "HTTP 502 Bad Gateway"),
    "wirecase report": (0, "case.pcapng"),
    "wirecase verify bundle": (0, "all files are as the manifest says"),
    "wirecase diagnose --format markdown": (1, "HTTP 502 Bad Gateway"),
    "wirecase gauntlet --list": (0, "faults and"),
    "wirecase gauntlet": (1, "score"),
}
"""What a line that holds these words ends with, and says."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    pytest.importorskip("grpc", reason="grpcio is not installed: pip install '.[grpc]'")
    return Stage(tmp_path_factory.mktemp("newcomer"), files=False)


@pytest.fixture(scope="module")
def folder(stage: Stage) -> Path:
    made = stage.folder("checkout", "")
    (made / "fixtures").symlink_to(FIXTURES)
    (made / "cli").symlink_to(FIXTURES.parent / "cli")
    page = next(block for block in blocks(PAGE) if block.language == "python")
    (made / "test_stream.py").write_text(page.text, encoding="utf-8")
    return made


def three_terminals(lines: list[str], stage: Stage, folder: Path) -> None:
    """A server, a capture where one may be taken, and a client; the first two end by Ctrl-C."""
    port = free_port()
    serve, capture, client = (line.replace("50051", str(port)) for line in lines)
    environment = stage.environment(stage.base / "notes-server")
    server = subprocess.Popen(
        ["bash", "-c", f"exec {serve}"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    tcpdump = shutil.which("tcpdump", path="/usr/bin:/usr/sbin:/sbin")
    try:
        assert server.stdout is not None
        assert any("Ctrl-C ends it" in line for line in iter(server.stdout.readline, ""))
        if tcpdump is not None and os.geteuid() == 0:
            words = capture.removeprefix("sudo tcpdump").replace("mine.pcap", "real.pcap")
            taken = subprocess.Popen(
                ["bash", "-c", f"exec {tcpdump} {words}"], cwd=folder, stderr=subprocess.PIPE, text=True
            )
            assert taken.stderr is not None
            begun = any("listening on" in line for line in iter(taken.stderr.readline, ""))
            status, said = run(client, folder, stage.environment(stage.base / "notes-client"), interrupt=False)
            time.sleep(0.3)
            taken.send_signal(signal.SIGINT)
            taken.communicate(timeout=20)
            if begun:
                (folder / "real.pcap").rename(folder / "mine.pcap")
        else:
            status, said = run(client, folder, stage.environment(stage.base / "notes-client"), interrupt=False)
        assert (status, "Received http2 header with status: 502" in said) == (None, True), said
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)
    assert server.returncode == 4  # nobody was there to say how the client took it
    if not (folder / "mine.pcap").exists():
        shutil.copy(INCIDENT, folder / "mine.pcap")


def expectation(text: str) -> Iterator[tuple[int | None, str]]:
    return (result for words, result in RESULTS.items() if words in text)


def test_the_walk(stage: Stage, folder: Path) -> None:
    steps = iter([step.text for step in STEPS if step.text not in NOT_RUN])
    for number, text in enumerate(steps):
        if "--listen" in text:
            three_terminals([text, next(steps), next(steps)], stage, folder)
            continue
        if text.startswith("man ") and shutil.which("man") is None:
            assert (folder / text.split()[-1]).is_file()
            continue
        for pattern, instead in DONE_QUICKLY:
            text = re.sub(pattern, instead, text)
        status, said = run(text, folder, stage.environment(stage.base / f"notes{number}"), interrupt=False)
        wanted, words = next(expectation(text))
        assert status == wanted, f"{text}\n{said}"
        assert re.search(words, " ".join(said.split())), f"{text}\n{said}"


def test_each_step_has_its_result() -> None:
    left = [step for step in STEPS if step.text not in NOT_RUN and not next(expectation(step.text), None)]
    assert [one.text.split()[0] for one in left] == ["wirecase", "sudo", "fixtures/clients/run"], (
        left
    )  # three terminals


def test_what_is_not_run_is_still_there() -> None:
    assert NOT_RUN.keys() <= {step.text for step in STEPS}
