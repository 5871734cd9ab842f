"""Ctrl-C while grpcio's channel is being closed: the close goes on, and nobody waits for it for ever."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from wirecase.probing import grpcio


class Channel:
    """Its close takes until `may_end`, and is interrupted on the way, if it runs where Ctrl-C arrives."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.closed = threading.Event()

    def close(self) -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert self.may_end.wait(20)
        self.closed.set()


def test_an_interrupted_close_is_finished() -> None:
    channel = Channel()
    with pytest.raises(KeyboardInterrupt):
        grpcio._close(channel)  # type: ignore[arg-type]
    assert not channel.closed.is_set()
    channel.may_end.set()
    assert channel.closed.wait(20)
