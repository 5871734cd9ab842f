"""Making a picture: the sources are read again, and only the connections that are shown are decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from wirecase import pipeline
from wirecase.http2.recorder import FrameRecorder
from wirecase.model import Diagnosis, Mark, Marks, StreamListener, Stretch
from wirecase.picturing.missing import tie
from wirecase.picturing.model import Hop, Limits, Picture
from wirecase.picturing.recorder import PictureRecorder
from wirecase.picturing.wanted import HopWish, faults, links, wishes
from wirecase.session.decoder import ConnectionDecoder
from wirecase.session.session import Session

_UNNAMED_HOPS = 3
"""Connections that are shown where no finding names one."""


class _Deaf:
    """Stands before the decoder of a connection that is not shown: its bytes are not decoded again."""

    def run(self, side: int, data: bytes, marks: Marks) -> None:
        """Bytes of one side."""

    def stretch(self, stretch: Stretch) -> None:
        """Many segments at once."""

    def gap(self, side: int, length: int, reason: str, mark: Mark) -> None:
        """A hole."""

    def ended(self, side: int, how: Literal["fin", "rst"], mark: Mark) -> None:
        """One side closed."""

    def closed(self, reason: Literal["closed", "reused", "idle", "capture-end"]) -> None:
        """It is over."""


def picture(
    options: pipeline.Options,
    diagnosis: Diagnosis,
    *,
    limits: Limits | None = None,
    connections: Sequence[int] = (),
    streams: Sequence[tuple[int, int]] = (),
    progress: pipeline.Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Picture:
    """Read the sources of `diagnosis` again and return the picture of what its findings name.

    `connections` and `streams` (connection, stream) choose what is shown instead. Where nothing is named at all, the
    first connections are shown. Reading stops as soon as all that is shown is over. Raises
    `wirecase.errors.InputError` if nothing can be read any more, as `wirecase.pipeline.diagnose` does.
    """
    limits = limits or Limits()
    wanted = wishes(diagnosis, limits, connections, streams)
    unnamed = not wanted
    if unnamed:
        wanted = {index: HopWish() for index in range(min(_UNNAMED_HOPS, limits.hops))}
    order = list(wanted)
    recorders: dict[int, PictureRecorder] = {}
    hops: dict[int, Hop] = {}

    def record(session: Session) -> FrameRecorder | None:
        wish = wanted.get(session.index)
        if wish is None:
            return None
        recorders[session.index] = PictureRecorder(session, wish, limits)
        return recorders[session.index]

    def listen(session: Session, decoder: ConnectionDecoder) -> StreamListener:
        return decoder if session.index in wanted else _Deaf()

    def closed(session: Session) -> None:
        recorder = recorders.pop(session.index, None)
        if recorder is not None:
            hops[session.index] = recorder.finish()

    def over() -> bool:
        return (stop is not None and stop()) or len(hops) == len(wanted)

    read = pipeline.diagnose(
        replace(options, schema=None), progress=progress, stop=over, record=record, closed=closed, listen=listen
    )
    shown = [hops[index] for index in order if index in hops]
    for hop in shown:
        tie(hop, wanted[hop.connection.index].findings)
    found = Picture(shown, faults(diagnosis, hops), links(diagnosis, hops))
    found.begin = min((hop.begin for hop in shown), default=0)
    found.end = max((hop.end for hop in shown), default=0)
    found.remarks = _remarks(read, diagnosis, found, unnamed=unnamed)
    return found


def _remarks(read: Diagnosis, diagnosis: Diagnosis, found: Picture, *, unnamed: bool) -> list[str]:
    remarks = []
    left = diagnosis.connections - len(found.hops)
    if left > 0:
        why = "" if unnamed else ", the first that findings name or that were asked for"
        remarks.append(f"{len(found.hops)} of {diagnosis.connections:,} connections are shown{why}.")
    for hop in found.hops:
        lanes = len(hop.lanes) - 1
        if lanes < hop.streams_seen:
            remarks.append(f"Connection {hop.connection.index}: {lanes} of {hop.streams_seen:,} streams are shown.")
    if any(source.form is not None and source.form.level == "messages" for source in read.sources):
        remarks.append("The evidence holds messages and no frames: frames and windows were made up from them.")
    return remarks
