"""Acts of the connection as a whole: SETTINGS, GOAWAY, PING, credit, frames on nobody's stream, the end of TCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirecase.http2.facts import ACK, GOAWAY, PING, SETTINGS, WINDOW_UPDATE, header_bytes
from wirecase.model import CLIENT
from wirecase.replay.plan import Act, Data, End, Frame, Headers, More, Raw
from wirecase.replay.server.rendering import data_frame, frame, framed, goaway
from wirecase.replay.server.rounds import ConnectionState

if TYPE_CHECKING:
    from wirecase.replay.server.connection import Connection

_ALL = (1 << 31) - 1
_ALTSVC, _ORIGIN = 10, 12
_HEADER_TABLE_SIZE, _INITIAL_WINDOW, _MAX_FRAME = 1, 4, 5


class Control:
    """Performs such acts on one live connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._first_client: int | None = None

    def needs_client(self, state: ConnectionState, act: Act) -> bool:
        """Tell whether the recorded client had sent anything before an act."""
        if self._first_client is None:
            orders = (one.order for one in state.recorded.acts if one.side == CLIENT)
            self._first_client = next(orders, 1 << 60)
        return self._first_client < act.order

    def perform(self, state: ConnectionState, act: Act) -> None:
        """Do what the recorded server did."""
        connection = self._connection
        if isinstance(act, End):
            self._end(state, act)
        elif isinstance(act, Raw):
            if not state.recorded.upgraded:
                connection.send(act.data)
        elif isinstance(act, Headers):
            connection.send(framed(connection.stage.blocks.parts(act), self._stream(state, act.stream)))
        elif isinstance(act, Data):
            connection.send(data_frame(act, act.body.read(), self._stream(state, act.stream)))
        elif isinstance(act, More):
            connection.send(act.body.read())
        elif isinstance(act, Frame):
            self._frame(state, act)
        if act.faulty or (isinstance(act, End) and state.recorded.faults):
            self.broke(state)

    def broke(self, state: ConnectionState) -> None:
        """A fault of the connection was served."""
        facts = self._connection.facts
        facts.faults = list(state.recorded.faults)
        facts.broke_at = self._connection.ledger.now()
        if not state.recorded.survivable:
            facts.survivable = False

    def _frame(self, state: ConnectionState, act: Frame) -> None:
        connection, recorded = self._connection, state.recorded
        if act.kind in (SETTINGS, PING) and act.flags & ACK and not act.faulty:
            return  # the live ones are answered as they come
        if self.leads_elsewhere(act):
            return
        if act.kind == SETTINGS:
            self._settings(act.payload)
        if act.kind == WINDOW_UPDATE and not act.stream and act.anchor.needs and not recorded.recorded_credit:
            # Credit follows what the live client sends.
            if act.at_once and connection.spend(int.from_bytes(act.payload, "big")):
                connection.send(frame(act, 0))
            return
        if act.kind == GOAWAY and len(act.payload) >= 8:
            self._goaway(state, act)
            return
        connection.send(frame(act, self._stream(state, act.stream)))

    def leads_elsewhere(self, act: Frame) -> bool:
        """Tell, and note, that a frame names other servers (ALTSVC, RFC 7838 §4; ORIGIN, RFC 8336)."""
        if act.kind not in (_ALTSVC, _ORIGIN):
            return False
        self._connection.ledger.deviate(
            "left-out", "a frame that names other servers (ALTSVC or ORIGIN) would lead the client elsewhere",
            connection=self._connection.facts.number,
        )  # fmt: skip
        return True

    def _settings(self, payload: bytes) -> None:
        """Believe what the client is told from now on."""
        inbound = self._connection.inbound
        for at in range(0, len(payload) - 5, 6):
            name, value = int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big")
            if name == _MAX_FRAME:
                inbound.largest = max(inbound.largest, min(value, (1 << 24) - 1))
            elif name == _INITIAL_WINDOW:
                self._connection.told_window(value)
            elif name == _HEADER_TABLE_SIZE and value > 4096:
                inbound.set_table_size(value)

    def _stream(self, state: ConnectionState, recorded: int) -> int:
        """Return the live stream for a recorded one that is no call of the client's."""
        if not recorded or not recorded & 1:
            return recorded
        highest = self._connection.highest
        beyond = recorded - max((one for one in state.recorded.calls if one < recorded), default=recorded - 2)
        return highest + max(beyond, 2) if highest else recorded

    def _goaway(self, state: ConnectionState, act: Frame) -> None:
        """Send GOAWAY so that the same calls are above its last stream (RFC 9113 §6.8)."""
        connection = self._connection
        recorded_last = int.from_bytes(act.payload[:4], "big") & _ALL
        below: list[int] = []
        above: list[int] = []
        for live in connection.streams.values():
            if live.recorded is None or live.state is None or live.recorded.connection != state.recorded.index:
                continue
            (above if live.recorded.stream > recorded_last else below).append(live.id)
        if above:
            last = min(above) - 2 if min(above) > 2 else 0
            if any(one > last for one in below):
                connection.ledger.deviate(
                    "goaway-order", "the client opened its streams in another order: more of them are above the GOAWAY",
                    connection=connection.facts.number,
                )  # fmt: skip
        elif recorded_last == _ALL:
            last = _ALL
        else:
            asked = any(one <= recorded_last for one in state.recorded.calls)
            last = connection.highest if recorded_last and (asked or not state.recorded.calls) else 0
        connection.send(goaway(act.payload, last))
        if last == _ALL:
            return
        connection.lasts = last
        now = connection.ledger.now()
        for live in list(connection.streams.values()):
            if live.id > last:
                live.call.unprocessed = True
                live.cancel_timer()
                live.finished = live.ended = True
                connection.streams.pop(live.id)
                connection.remember(live)
                if live.state is not None and live.state not in state.calls and not live.place:
                    live.state.made = False  # it is another connection's, and was not answered: its turn comes again
                    continue
                if live.state is not None:
                    live.state.over = True
                if live.recorded is not None:
                    if live.call.faults:
                        live.call.broke_at = now
                    connection.stage.unprocessed(live, live.recorded)

    def _end(self, state: ConnectionState, act: End) -> None:
        connection = self._connection
        connection.flush()
        now = connection.ledger.now()
        open_calls = [live for live in connection.streams.values() if not live.finished]
        for live in open_calls:
            if live.state is not None:
                live.state.over = True
            if live.call.faults:
                live.call.broke_at = now
        if open_calls or state.recorded.faults:
            connection.facts.survivable = False
        state.ended = True
        if act.how == "rst":
            connection.wire.rst()
        else:
            connection.wire.fin()


def greeting(settings: bytes) -> bytes:
    """Return the SETTINGS that a connection without a recorded one begins with."""
    return header_bytes(len(settings), SETTINGS, 0, 0) + settings
