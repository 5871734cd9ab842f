"""A diagnosis of what is still going on: packets are fed as they come, findings and counters can be read at any time.

`LivePipeline` drives the same pipeline as a file does, and adds what an open end needs: time passes although no packet
comes, connections expire, closed calls are judged soon, old findings are let go, and what is open and seems to hang is
told as a *hint* (`hints`), which is no verdict. `board` holds the counters of a live screen.
"""

from wirecase.live.board import Board, OpenCall, SlowCall, Window
from wirecase.live.hints import Hint, Patience
from wirecase.live.pipeline import LivePipeline, News
from wirecase.live.watching import Setup, Watch

__all__ = ["Board", "Hint", "LivePipeline", "News", "OpenCall", "Patience", "Setup", "SlowCall", "Watch", "Window"]
