"""Windows over time against another implementation: what h2's two ends believe after every exchange."""

from __future__ import annotations

import tempfile
from pathlib import Path

import h2.config
import h2.connection
import h2.settings
from captures import Conversation, pcap
from h2_bytes import REQUEST, RESPONSE
from hypothesis import given, settings
from hypothesis import strategies as st

from wirecase import pipeline
from wirecase.model import CLIENT, SERVER
from wirecase.picturing import picture
from wirecase.picturing.model import Series

STREAMS = (1, 3, 5)
INITIAL = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
STEP = st.tuples(
    st.sampled_from(("data", "data", "data", "stream window", "connection window", "settings", "end")),
    st.sampled_from(STREAMS), st.sampled_from((CLIENT, SERVER)), st.integers(1, 40_000),
)  # fmt: skip


class Ends:
    """Two ends of h2 that talk, a capture of it, and what they believed at which packet."""

    def __init__(self) -> None:
        self.ends = [
            h2.connection.H2Connection(h2.config.H2Configuration(client_side=side == CLIENT))
            for side in (CLIENT, SERVER)
        ]
        self.talk = Conversation().open()
        self.expected: list[tuple[int, dict[tuple[int, int], int]]] = []
        """(packets so far, windows by (stream, sender))."""
        for end in self.ends:
            end.initiate_connection()
        self.flush()
        for stream in STREAMS:
            self.ends[CLIENT].send_headers(stream, REQUEST)
            self.flush()
            self.ends[SERVER].send_headers(stream, RESPONSE)
            self.flush()
        self.open = {(stream, side) for stream in STREAMS for side in (CLIENT, SERVER)}

    def flush(self) -> None:
        """Carry what each end has to say to the other until both are silent."""
        while True:
            said = [end.data_to_send() for end in self.ends]
            if not any(said):
                break
            for side, bytes_ in enumerate(said):
                if bytes_:
                    self.talk.send(side, bytes_)
                    self.ends[1 - side].receive_data(bytes_)
        self._note()

    def _note(self) -> None:
        known = {(0, side): end.outbound_flow_control_window for side, end in enumerate(self.ends)}
        for stream in STREAMS:
            for side, end in enumerate(self.ends):
                held = end.streams.get(stream)
                if held is not None and not held.closed:
                    known[stream, side] = held.outbound_flow_control_window
        self.expected.append((len(self.talk.packets), known))

    def step(self, what: str, stream: int, side: int, size: int) -> None:
        """Do one thing, if it is allowed."""
        end = self.ends[side]
        if what == "data" and (stream, side) in self.open:
            room = min(end.local_flow_control_window(stream), 16_384)
            if room > 0:
                end.send_data(stream, bytes(min(size, room)))
        elif what == "stream window" and (stream, 1 - side) in self.open and (stream, side) in self.open:
            end.increment_flow_control_window(size, stream)
        elif what == "connection window":
            end.increment_flow_control_window(size)
        elif what == "settings":
            end.update_settings({INITIAL: size})
        elif what == "end" and (stream, side) in self.open and end.local_flow_control_window(stream) >= 0:
            end.end_stream(stream)  # below 0 h2 refuses even DATA of no bytes, which RFC 9113 §6.9.1 allows
            self.open.discard((stream, side))
        self.flush()


def value_at(series: Series, packet: int) -> int | None:
    """What the picture says at a packet: the last point up to there."""
    before = [point for point in series.points if point.packet <= packet]
    return before[-1].value if before else None


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_windows_are_what_both_ends_believe(steps: list[tuple[str, int, int, int]]) -> None:
    ends = Ends()
    for step in steps:
        ends.step(*step)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.pcap"
        path.write_bytes(pcap(ends.talk.fin(CLIENT, SERVER).packets))
        options = pipeline.Options([str(path)])
        drawn = picture(options, pipeline.diagnose(options), streams=[(0, stream) for stream in STREAMS])
    (hop,) = drawn.hops
    found = {(one.stream, one.sender): one for one in hop.series if one.what != "stream slots"}
    compared = 0
    for packet, known in ends.expected:
        for place, window in known.items():
            series = found[place]
            if series.points[0].packet <= packet:
                assert value_at(series, packet) == window, (packet, place)
                compared += 1
    assert compared >= 6
    assert not any(one.violations for one in hop.series)
    for one in found.values():
        assert one.unknown_since is None
        values = [point.value for point in one.points]
        assert one.lowest is not None
        assert one.lowest.value == min(value for value in values if value is not None)
