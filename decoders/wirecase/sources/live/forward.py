"""The forwarding loop: bytes of either side go to the other as they are, and into the ring on their way.

One thread, no locks, nothing that waits. A side that cannot take more makes the other one wait by not being read, so
back pressure passes. FIN becomes FIN, RST becomes RST (after what was sent before it was delivered, or a grace of a
second). The ring is never waited for: bytes that find no room in it are passed on and only their number is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from wirecase.sources.live.entrance import LEAST, RECEIVE, Entrance
from wirecase.sources.live.link import Half, Link, Stage
from wirecase.sources.live.poller import ERR, HUP, IN, OUT
from wirecase.sources.live.ring import Kind, Slot

_TICK = 0.25
_GRACE = 1.0
"""Seconds in which what was sent before a RST may still be delivered."""
_LAST_READS = 16
"""Reads at most of what nobody takes any more: a socket's receive buffer holds no more than that."""
_BLOCKED_NS = 1_000_000_000
"""After this time a side that takes nothing is noted as blocked."""
_GREETING = 10.0


class Forwarder(Entrance):
    """Accepts clients and passes bytes on until it is told to stop."""

    def run(self, stopped: Callable[[], bool], lifeline: int | None = None) -> None:
        """Go round until `stopped` says so, or the other end of `lifeline` is closed."""
        poller, halves = self._poller, self._halves
        listening = self._listener.fileno()
        self._accept_more(wanted=True)
        if lifeline is not None:
            poller.register(lifeline, IN)
        due = 0.0
        while True:
            wait = 0.005 if self._ending or self._starved else _TICK
            knocking = False
            for fd, events in poller.wait(wait):
                half = halves.get(fd)
                if half is not None:
                    self._event(half, events)
                elif fd == listening:
                    knocking = True  # later: a new socket may get the number of one that still has an event here
                elif fd == lifeline:
                    return
            if knocking:
                self._accept()
            now = time.monotonic()
            if self._starved:
                self._feed()
            if self._ending:
                self._drain(now)
            if now >= due:
                due = now + _TICK
                self._round(now)
                if stopped():
                    return

    def close(self) -> None:
        """Close everything; that this cut connections is no event of theirs, and is not recorded."""
        for half in list(self._halves.values()):
            half.close()
        self._listener.close()
        self._poller.close()
        self._count()
        self._slots[Slot.ended] = 1

    # ---- once a round ------------------------------------------------------------------------------------------------

    def _count(self) -> None:
        slots = self._slots
        slots[Slot.client_bytes], slots[Slot.server_bytes] = self._traffic
        slots[Slot.cpu] = time.process_time_ns()
        slots[Slot.beat] = time.time_ns()
        slots[Slot.open] = self._open

    def _round(self, now: float) -> None:
        self._count()
        self._accept_more(wanted=self._open < self._most)
        if self._blocked:
            since = time.time_ns() - _BLOCKED_NS
            for half in self._blocked:
                if not half.blocked_told and half.blocked_since < since:
                    half.blocked_told = True
                    self._ring.put(Kind.blocked, half.side, half.link.number, half.blocked_since)
        if self._dialling:
            self._tell_repeated()
        if self._owing:
            self._tell_acknowledged(list(self._owing))
        for link, began in list(self._greeting.items()):
            if now - began > _GREETING:
                self._fail(link, "the client said nothing within 10 s")

    def _feed(self) -> None:
        """Read on from those who waited for room in the ring."""
        if self._ring.room(LEAST, LEAST) is None:
            return
        starved, self._starved = self._starved, set()
        for half in starved:
            if half.link.stage is Stage.open and not half.ended and half.peer.pending is None:
                self._ask(half, max(half.mask, 0) | IN)
                if half.buffered:
                    self._read(half)

    def _drain(self, now: float) -> None:
        """End the links whose last bytes were delivered, or waited for long enough."""
        for link in list(self._ending):
            half = link.client if link.client.mask >= 0 else link.server
            if (half.pending is None and not half.unsent) or now - link.since > _GRACE:
                self._over(link, half)

    # ---- traffic -----------------------------------------------------------------------------------------------------

    def _event(self, half: Half, events: int) -> None:
        link = half.link
        if link.stage is not Stage.open:
            self._unusual(link, half, events)
            return
        if events & OUT and not self._flush(half):
            return
        if events & IN and half.mask & IN:
            self._read(half)
        elif events & (ERR | HUP):
            if half.mask & IN:
                self._read(half)
            elif link.stage is Stage.open and (events & ERR or half.ended or not half.shut):
                self._reset_by(half)
            elif link.stage is Stage.open:
                # Both directions are closed, and what came before the FIN is still to be read: hear no more until then.
                self._poller.unregister(half.fd)
                half.mask = -1

    def _unusual(self, link: Link, half: Half, events: int) -> None:
        if link.stage is Stage.connecting:
            self._connecting(link, half, events)
        elif link.stage is Stage.greeting:
            self._greet(link)
        elif link.stage in (Stage.securing_server, Stage.securing_client):
            if half.mask == 0 and events & (ERR | HUP):
                self._reset_by(half)
            else:
                self._secure(link)
        elif link.stage is Stage.ending:
            if events & (ERR | HUP) or not self._push(half):
                self._over(link, half)

    def _read(self, half: Half) -> None:
        """Take what a side sent, pass it on, and note it."""
        link, peer, ring = half.link, half.peer, self._ring
        side = half.side
        while True:
            view = None
            lost = link.lost[side]
            if not lost or self._tell_lost(link, side):
                view = ring.room(RECEIVE, LEAST)
            if view is None and self._wait:
                self._starved.add(half)
                self._ask(half, max(half.mask, 0) & ~IN)
                return
            target = self._scratch if view is None else view
            try:
                count = half.recv_into(target)
            except BlockingIOError:
                return
            except OSError:
                self._reset_by(half)
                return
            now = time.time_ns()
            if not count:
                self._fin(half, now)
                return
            self._traffic[side] += count
            try:
                sent = peer.send(target[:count])
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = -1
            if sent > 0:
                peer.sent += sent
                self._owing.add(peer)
            if 0 <= sent < count:
                peer.pending = memoryview(bytes(target[sent:count]))
            if view is None:
                link.lost[side] += count
                self._slots[Slot.lost_bytes] += count
            else:
                ring.commit(Kind.data, side, link.number, now, count, half.acknowledged())
            if sent < 0:
                self._reset_by(peer)
                return
            if sent < count:
                self._block(peer, now)
                return
            if not half.buffered:
                return

    def _block(self, half: Half, now: int) -> None:
        """`half` takes no more: do not read what would have to be sent to it."""
        half.blocked_since = now
        self._blocked.add(half)
        self._ask(half, max(half.mask, 0) | OUT)
        self._ask(half.peer, max(half.peer.mask, 0) & ~IN)

    def _push(self, half: Half) -> bool:
        """Send what is pending as far as it goes; False if the socket is broken."""
        pending = half.pending
        if pending is None:
            return True
        try:
            sent = half.send(pending)
        except BlockingIOError:
            return True
        except OSError:
            return False
        half.sent += sent
        self._owing.add(half)
        half.pending = pending[sent:] if sent < len(pending) else None
        if half.pending is None:
            self._ask(half, max(half.mask, 0) & ~OUT)
        return True

    def _flush(self, half: Half) -> bool:
        """A blocked side takes bytes again; False if the link is over."""
        if not self._push(half):
            self._reset_by(half)
            return False
        if half.pending is not None:
            return True
        self._blocked.discard(half)
        half.blocked_since, half.blocked_told = 0, False
        peer = half.peer
        if half.shut_wanted:
            half.shutdown()
            return not self._is_done(half.link)
        if not peer.ended:
            self._ask(peer, max(peer.mask, 0) | IN)
            if peer.buffered:
                self._read(peer)
        return half.link.stage is Stage.open

    # ---- ends --------------------------------------------------------------------------------------------------------

    def _fin(self, half: Half, now: int) -> None:
        link, peer = half.link, half.peer
        half.ended = True
        self._tell(link, Kind.fin, half.side, at=now, acked=half.acknowledged())
        self._ask(half, max(half.mask, 0) & ~IN)
        if peer.pending is not None:
            peer.shut_wanted = True
        else:
            peer.shutdown()
            self._is_done(link)

    def _is_done(self, link: Link) -> bool:
        """End a link both of whose directions are closed."""
        done = link.client.shut and link.server.shut
        if done:
            self._tell_acknowledged((link.client, link.server))
            self._forget(link.client)
            self._forget(link.server)
            link.client.close()
            link.server.close()
            self._bury(link)
        return done

    def _last_words(self, half: Half) -> None:
        """Note what `half` has sent by the time of a reset: nobody takes it any more, but it was on the wire.

        A call that begins in that moment fails, and only these bytes show it. That they end says nothing: reading a
        socket that was reset ends like one that was closed.
        """
        link, side = half.link, half.side
        for _ in range(_LAST_READS):
            view = None if half.ended or link.lost[side] else self._ring.room(RECEIVE, LEAST)
            if view is None:
                return
            try:
                count = half.recv_into(view)
            except OSError:  # nothing more, or the reset
                return
            if not count:
                return
            self._traffic[side] += count
            self._ring.commit(Kind.data, side, link.number, time.time_ns(), count)

    def _reset_by(self, half: Half) -> None:
        """`half` is gone: its peer gets a RST, once it has what was sent before."""
        link, peer = half.link, half.peer
        begun = link.stage not in (Stage.greeting, Stage.securing_client, Stage.securing_server)
        if link.stage is Stage.open:
            self._last_words(half)
            self._last_words(peer)
        self._tell(link, Kind.rst, half.side)
        self._greeting.pop(link, None)
        self._forget(half)
        half.close()
        if link.stage is not Stage.open or not begun or (peer.pending is None and not peer.unsent):
            self._over(link, peer)
            return
        link.stage = Stage.ending
        link.since = time.monotonic()
        self._ask(peer, OUT if peer.pending is not None else 0)
        self._ending.add(link)
