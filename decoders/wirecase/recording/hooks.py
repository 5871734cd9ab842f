"""Whoever is to be told of a finding: a command that is run, or an address that is posted to.

Both get one JSON object with the findings as they stand in the case, redacted. A thread tells one after the other;
where it cannot keep up, the rest is counted and not told.
"""

from __future__ import annotations

import os
import queue
import shlex
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

from wirecase.errors import UsageError
from wirecase.recording.cases import Outcome

_WAITING = 100
_TIMEOUT = 10.0
"""Seconds for a post; a command has six times as many."""


class _Unmoved(urllib.request.HTTPRedirectHandler):
    """Goes to no other address than the one given."""

    def redirect_request(self, *_args: object) -> None:
        """Follow nowhere."""


class Hooks:
    """Tells a command, an address, or both."""

    def __init__(self, command: str | None, url: str | None) -> None:
        """Check both. Raises UsageError if the command is not there or the address is none."""
        self._command = shlex.split(command) if command is not None else None
        if self._command is not None and (not self._command or shutil.which(self._command[0]) is None):
            raise UsageError(f"--hook {command}: there is no such command")
        if url is not None and urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise UsageError(f"--webhook {url} is no address: give http://… or https://…")
        self._url = url
        self._queue: queue.Queue[Outcome | None] = queue.Queue(_WAITING)
        self.failed = 0
        """Those that ended with an error, and those that there was no time for."""
        self.told = 0
        self._thread: threading.Thread | None = None
        if self._command is not None or url is not None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="wirecase hooks")
            self._thread.start()

    def tell(self, outcome: Outcome) -> None:
        """Tell of a case."""
        if self._thread is None:
            return
        try:
            self._queue.put_nowait(outcome)
        except queue.Full:
            self.failed += 1

    def close(self) -> None:
        """Tell what waits, and end."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(60)
            self._thread = None

    def _run(self) -> None:
        while (outcome := self._queue.get()) is not None:
            good = True
            if self._command is not None:
                good = self._call(outcome)
            if self._url is not None:
                good = self._post(outcome) and good
            self.told += good
            self.failed += not good

    def _call(self, outcome: Outcome) -> bool:
        assert self._command is not None
        rule = outcome.rules[0] if outcome.rules else ""
        environment = {**os.environ, "WIRECASE_CASE": outcome.case or "", "WIRECASE_RULE": rule}
        try:
            done = subprocess.run(  # noqa: S603 - the command is the user's own, and no shell reads it
                self._command, input=outcome.as_json().encode() + b"\n", env=environment, timeout=6 * _TIMEOUT,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return False
        return not done.returncode

    def _post(self, outcome: Outcome) -> bool:
        assert self._url is not None
        request = urllib.request.Request(  # noqa: S310 - its scheme was checked
            self._url, outcome.as_json().encode(), {"Content-Type": "application/json"}, method="POST"
        )
        # Neither a redirection nor a proxy of the environment leads elsewhere.
        opener = urllib.request.build_opener(_Unmoved, urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT) as answer:
                return bool(200 <= answer.status < 300)
        except (OSError, urllib.error.URLError, ValueError):
            return False
