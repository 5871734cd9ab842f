"""Running a client: its end, its output, its resources, and that nothing of it is left."""

from __future__ import annotations

import os
import sys
import time

import psutil
import pytest

from wirecase.replay.client import ClientProcess, process
from wirecase.replay.client.output import KEPT


def client(code: str, **environment: str) -> ClientProcess:
    begun = time.monotonic()
    return ClientProcess(
        [sys.executable, "-S", "-c", code], {"PATH": os.environ["PATH"], **environment},
        lambda: time.monotonic() - begun, lambda: (1, 2),
    )  # fmt: skip


def never() -> bool:
    return False


def ran(code: str, timeout: float = 30.0, **environment: str):
    with client(code, **environment) as made:
        made.wait(never, timeout)
        return made.end(timed_out=made.running)


def test_an_exit_status_and_both_outputs():
    run = ran("import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)")
    assert (run.exit, run.signal, run.ended_by_us, run.timed_out) == (3, None, False, False)
    assert run.output == b"out\nerr\n"
    assert run.ended is not None
    assert run.ended >= run.started


def test_a_signal_of_its_own():
    run = ran("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert (run.exit, run.signal, run.ended_by_us) == (None, 11, False)


def test_the_environment_is_the_one_given():
    assert ran("import os; print(os.environ.get('A'), 'HOME' in os.environ)", A="b").output == b"b False\n"


def test_no_shell_and_no_standard_input():
    run = ran("import sys; print(repr(sys.stdin.read()), sys.argv)")
    assert run.output == b"'' ['-c']\n"


def test_what_cannot_be_started():
    with ClientProcess(["/no/such/client"], {}, time.monotonic, lambda: (0, 0)) as made:
        assert not made.running
        assert made.wait(never, 1) is False
        run = made.end()
    assert run.failed_to_start == "No such file or directory"
    assert (run.exit, run.signal) == (None, None)


def test_the_time_limit_ends_it():
    run = ran("import time; time.sleep(60)", timeout=0.3)
    assert run.timed_out and run.ended_by_us and run.signal == 15


def test_one_that_ignores_being_asked_is_killed(monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.3)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"
    with client(code) as made:
        made.wait(lambda: made._output is not None and made._output.total > 0, 30)
        run = made.end(timed_out=True)
    assert run.signal == 9 and run.timed_out


CHILD = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); "


@pytest.mark.parametrize("after", ["time.sleep(60)", "sys.exit(0)"])
def test_its_children_end_with_it(after):
    with client(CHILD + after) as made:
        made.wait(lambda: bool(made._output and made._output.total), 30)
        if after.startswith("sys"):
            made.wait(never, 30)
        run = made.end()
    child = int(run.output)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.02)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_leaving_the_block_ends_it():
    with client("import time; time.sleep(60)") as made:
        assert made.running
    assert not made.running
    assert made.run.ended_by_us and not made.run.timed_out


def test_the_end_of_a_long_output_is_kept():
    run = ran(f"import sys; sys.stdout.write('a' * {4 * KEPT}); sys.stdout.write('end')")
    assert run.output_bytes == 4 * KEPT + 3
    assert len(run.output) == KEPT and run.output.endswith(b"aend")


def test_it_is_sampled():
    code = "import time, threading; b = bytearray(30 << 20); threading.Thread(target=time.sleep, args=(9,)).start()"
    with client(f"{code}; print('x', flush=True); time.sleep(9)") as made:
        made.wait(lambda: made._output is not None and made._output.total > 0, 30)
        sample = made.sample()
        run = made.end()
    assert sample is not None
    assert sample.rss > 30 << 20 and sample.threads == 2 and sample.descriptors >= 3
    assert (sample.connections, sample.open_streams) == (1, 2)
    assert run.samples


def test_children_are_sampled_too():
    inner = "import time; b = bytearray(40 << 20); time.sleep(3)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', '{inner}'])"
    with client(code) as made:
        made.wait(never, 1.5)
        sample = made.sample()
    assert sample is not None
    assert sample.rss > 40 << 20


def test_samples_are_bounded(monkeypatch):
    from wirecase.replay.client import sampling

    monkeypatch.setattr(sampling, "MOST_SAMPLES", 20)
    sampler = sampling.Sampler(os.getpid(), lambda: (0, 0))
    for at in range(200):
        sampler.regular(float(at))
    assert 10 <= len(sampler.samples) <= 21
    assert sampler.every > 1
    assert [one.at for one in sampler.samples] == sorted(one.at for one in sampler.samples)
