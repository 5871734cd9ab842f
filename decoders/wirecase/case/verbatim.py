"""Whether the header blocks of a connection may travel as they were recorded, when the fault lies in HPACK.

A layer at which the fault lies is kept as it is. That holds for the blocks of a side if all of them are decoded (a hole
or a late join hides fields that nobody can vouch for), nothing in them would be masked, and they are few enough: since
each one builds on those before it, all streams of the connection have to be kept with them.
"""

from __future__ import annotations

from wirecase.case.headers import fault_of, faulty_field, fragments
from wirecase.case.plan import Plan
from wirecase.case.redaction import Masks
from wirecase.http2.facts import CONTINUATION, HEADERS, PUSH_PROMISE, ControlFrame, HeaderBlock
from wirecase.model import CLIENT, SERVER, Mark, Marks
from wirecase.pipeline import Options, diagnose
from wirecase.session.session import Session

_MOST_BLOCKS = 500


class _Trial:
    """Looks at the header blocks of one connection (`wirecase.http2.recorder.FrameRecorder`)."""

    def __init__(self, session: Session, masks: Masks) -> None:
        self._session = session
        self._masks = masks
        self.fit = [True, True]
        """Sides whose blocks may travel as they are."""
        self.blocks = 0
        self._pending: list[list[ControlFrame]] = [[], []]

    def frame(self, frame: ControlFrame) -> None:
        """Collect the frames of a block."""
        pending = self._pending[frame.side]
        if pending and not (frame.kind == CONTINUATION and frame.stream == pending[0].stream):
            self.fit[frame.side] = False  # a block that never became whole
            pending.clear()
        if frame.kind in (HEADERS, PUSH_PROMISE, CONTINUATION):
            pending.append(frame)
            if frame.kind == CONTINUATION and len(pending) == 1:
                self.fit[frame.side] = False

    def data(self, frame: ControlFrame, length: int) -> None:
        """DATA within a block leaves it incomplete."""
        if self._pending[frame.side]:
            self.fit[frame.side] = False

    def more(self, side: int, data: bytes, marks: Marks) -> None:
        """Nothing to do."""

    def block(self, frame: ControlFrame, block: HeaderBlock) -> None:
        """Look at a whole block."""
        side = frame.side
        pending, self._pending[side] = self._pending[side], []
        self.blocks += 1
        fields = [(name, value) for name, value in block.fields if name is not None and value is not None]
        known = self._masks.headers(fields, side=side) == fields and not block.truncated
        fault = fault_of(self._session.h2.violations, frame)
        if fault is not None:  # no more of what stands behind it than a rewritten block would show
            raw = fragments(pending)
            known = known and faulty_field(raw, *fault).endswith(raw[fault[0] :])
        elif block.unknown:
            known = False
        self.fit[side] = self.fit[side] and known

    def gap(self, side: int, length: int, mark: Mark) -> None:
        """Bytes are missing."""
        self.fit[side] = False

    def result(self) -> tuple[bool, bool]:
        """Return which sides (client, server) may keep their blocks."""
        if self.blocks > _MOST_BLOCKS or self._session.h2.halves[CLIENT].preface is None:
            return False, False
        return self.fit[CLIENT] and not self._pending[CLIENT], self.fit[SERVER] and not self._pending[SERVER]


def settle(plan: Plan, options: Options, masks: Masks) -> None:
    """Read the sources once more and decide for each connection with a fault in HPACK; without one, do nothing."""
    wanted = [index for index, kept in plan.connections.items() if kept.plain_headers]
    if not wanted:
        return
    trials: dict[int, _Trial] = {}

    def record(session: Session) -> _Trial | None:
        if session.index not in wanted:
            return None
        trials[session.index] = _Trial(session, masks.fresh())
        return trials[session.index]

    diagnose(options, record=record)
    for index, trial in trials.items():
        kept = plan.connections[index]
        kept.verbatim = trial.result()
        if any(kept.verbatim):
            kept.streams = None
