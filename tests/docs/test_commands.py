"""Every command of the documentation runs, and ends as the documentation says."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
from documents import DOCUMENTS, PAGES, Line, arguments, commands, mentions
from live_servers import H2Server, grpc_answer, serving
from stage import Stage

from wirecase.replay.tls import Tls
from wirecase.sources.tshark.program import find as find_tshark
from wirecase_cli.app import build

Outcome = Future[tuple[int | None, str]]
"""The exit status of wirecase on a line, and all that was printed."""

WALKED = PAGES / "first-steps.md"
"""Its steps build on each other: `test_first_steps.py` walks them."""

FOUND = [line for document in DOCUMENTS if document != WALKED for line in commands(document)]
LINES = list({line.text: line for line in FOUND}.values())

NOT_RUN = {
    "run tonic": "the client over tonic needs a Rust compiler; where there is one, tests/replay runs it",
}
"""Commands that are parsed and no more, and why."""

RUN = [line for line in LINES if not any(words in line.text for words in NOT_RUN)]

INTERRUPTED = re.compile(r"--follow|--listen|watch -i eth0|--idle 900|--for 3600")
"""These go on until Ctrl-C, or for too long."""

STATUS = [
    (r"diagnose --since", {0}),  # the ring is older than a quarter of an hour
    (r"diagnose .*trace\.pcapng", {0, 1}),
    (r"diagnose .*--fail-on never", {0}),
    (r"diagnose --follow", {130}),
    (r"diagnose", {1}),
    (r"compare", {1}),
    (r"replay .*--before", {0}),
    (r"replay .*--listen", {4}),
    (r"probe .*--(for|idle)", {130}),
    (r"probe", {0}),
    (r"watch --list", {0}),
    (r"watch (-i any|-$)", {1}),  # --duration ends it, or the end of the pipe
    (r"watch", {130}),
    (r"gauntlet .*--", {0, 1, 4}),  # as the client is
    (r"doctor", {0, 1}),
]
"""What a command ends with, by the first pattern that fits; the others with 0. Everything that is diagnosed here has
faults in it."""

KNOWN = ("/pkg.Svc/M", "/pkg.Service/Method", "/demo.v1.Echo/Unary")

DONE_QUICKLY = [
    (r"--loop 500", "--loop 3"),
    (r"--duration 600", "--duration 1"),
    (r"gauntlet (?!.*--only)(?=.*-- )", "gauntlet --only flag-2 "),
    (r"gauntlet --only 'rst-\*' --only http", "gauntlet --only 'flag-*' --only flag-2"),
]
"""The same, with less to do."""


@dataclass
class Servers:
    """Ports of a gRPC server on loopback, in the clear and over TLS, and the authority of the latter."""

    clear: int
    tls: int
    ca: str


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed: pip install grpcio-tools")
    return Stage(tmp_path_factory.mktemp("documents"))


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    made = Tls()
    with serving(H2Server(answer)) as clear, serving(H2Server(answer), made.context) as tls:
        yield Servers(clear, tls, made.ca)
    made.close()


def answer(path: str) -> tuple[list[tuple[str, str]], bytes, list[tuple[str, str]] | None]:
    """As `grpc_answer`, and sound ones to the methods that the documents and the case call."""
    return grpc_answer("/demo.Echo/Unary" if path in KNOWN else path)


def on_loopback(text: str, servers: Servers) -> str:
    """The line with addresses that can be reached here: free ports, and one server for all of its names."""
    text = re.sub(r"--listen \S+", "--listen 127.0.0.1:0", text)
    text = re.sub(r"(server|server\.example|localhost|127\.0\.0\.1):50051", f"127.0.0.1:{servers.clear}", text)
    trusted = {
        "probe": f" --tls --ca {servers.ca}",
        "replay": f" --ca {servers.ca}",
        "terminate": f" --server-ca {servers.ca}",
    }
    more = next((option for word, option in trusted.items() if word in text), "")
    text = re.sub(r"(server|api)\.example:443", f"127.0.0.1:{servers.tls}{more}", text)
    for pattern, instead in DONE_QUICKLY:
        text = re.sub(pattern, instead, text)
    return text


def run(text: str, folder: Path, environment: dict[str, str], *, interrupt: bool) -> tuple[int | None, str]:
    """Run a line in a shell, with Ctrl-C for wirecase when it is up; its own exit status, and all that was printed."""
    notes = Path(environment["WIRECASE_NOTES"])
    notes.touch()
    printed = notes.with_suffix(".out")
    with printed.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", "-c", text], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        if interrupt:
            os.kill(up(notes, printed, shell, patient="--listen" in text), signal.SIGINT)
        shell.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    statuses = re.findall(r"^status (\d+)$", notes.read_text(), re.M)
    return (int(statuses[-1]) if statuses else None), printed.read_text("utf-8", "replace")


def up(notes: Path, printed: Path, shell: subprocess.Popen[bytes], *, patient: bool) -> int:
    """Wait until wirecase has begun (and, where it says so, until it listens); return its process."""
    until = time.monotonic() + 30
    while time.monotonic() < until and shell.poll() is None:
        time.sleep(0.05)
        found = re.search(r"^process (\d+)$", notes.read_text(), re.M)
        if found and (not patient or b"Ctrl-C ends it" in printed.read_bytes()):
            time.sleep(0 if patient else 0.5)
            return int(found[1])
    pytest.fail(f"wirecase did not begin: {printed.read_text('utf-8', 'replace')}")


def expected(text: str) -> set[int]:
    return next((statuses for pattern, statuses in STATUS if re.search(rf"wirecase .*{pattern}", text)), {0})


def why_not(text: str) -> str | None:
    """Why this command is not run here: what is missing."""
    if re.search("--engine tshark|--cross-check|--dissect", text) and find_tshark() is None:
        return "tshark is not installed"
    if "--dissect" in text and find_spec("pyshark") is None:
        return "pyshark is not installed"
    return None


@pytest.fixture(scope="module")
def outcomes(stage: Stage, servers: Servers, request: pytest.FixtureRequest) -> Iterator[dict[str, Outcome]]:
    """The lines that were chosen, each running: a few at a time, as most of them wait for something."""

    def one(number: int, line: str) -> tuple[int | None, str]:
        text = on_loopback(line, servers)
        environment = stage.environment(stage.base / f"notes{number}")
        return run(text, stage.folder(f"run{number}", text), environment, interrupt=bool(INTERRUPTED.search(line)))

    chosen = {item.callspec.params["line"].text for item in request.session.items
              if isinstance(item, pytest.Function) and item.originalname == "test_it_runs"}  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        todo = [text for text in sorted(chosen) if not why_not(text)]
        yield {text: pool.submit(one, number, text) for number, text in enumerate(todo)}


@pytest.mark.parametrize("line", RUN, ids=str)
def test_it_runs(line: Line, outcomes: dict[str, Outcome]) -> None:
    if reason := why_not(line.text):
        pytest.skip(reason)
    status, said = outcomes[line.text].result()
    assert status in expected(line.text), said
    assert "Traceback" not in said and "defect" not in said, said


@pytest.fixture(scope="module")
def group() -> Any:
    return typer.main.get_command(build([]))


@pytest.mark.parametrize("line", [line for document in DOCUMENTS for line in commands(document)], ids=str)
def test_the_command_line_takes_it(line: Line, group: Any) -> None:
    """Also those that are not run: no option and no value of one is unknown."""
    words = arguments(line)
    if words[0].startswith("-"):
        assert words[0] in {option for parameter in group.params for option in parameter.opts}
        return
    command = group.commands[words[0]]
    command.make_context(f"wirecase {words[0]}", words[1:])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_the_text_exist(document: Path, group: Any) -> None:
    for name, *words in mentions(document):
        if name.startswith("-"):
            continue
        assert name in group.commands, name
        options = {option for parameter in group.commands[name].params for option in parameter.opts} if words else set()
        end = words.index("--") if "--" in words else len(words)
        assert {word for word in words[:end] if word.startswith("--")} <= options | {"--help"}, (name, words)


def test_what_is_not_run_is_still_there() -> None:
    texts = [line.text for line in LINES]
    assert all(any(words in text for text in texts) for words in NOT_RUN)
