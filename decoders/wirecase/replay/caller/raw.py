"""All recorded connections, played at once: frames and bytes as they were recorded."""

from __future__ import annotations

import asyncio

from wirecase.model import CLIENT
from wirecase.replay.caller.address import Target, Tls
from wirecase.replay.caller.connection import Caller, Manner
from wirecase.replay.caller.model import Sent
from wirecase.replay.caller.script import play_of
from wirecase.replay.caller.tap import Recorder
from wirecase.replay.plan import End, Plan, RecordedConnection


def send(plan: Plan, target: Target, tls: Tls | None, recorder: Recorder, manner: Manner) -> Sent:
    """Send the requests of `plan`; return once all calls are over or given up."""
    sent = Sent(recorder.path)
    try:
        asyncio.run(_send(plan, target, tls, recorder, manner, sent))
    except KeyboardInterrupt:
        sent.interrupted = True
    return sent


async def _send(plan: Plan, target: Target, tls: Tls | None, recorder: Recorder, manner: Manner, sent: Sent) -> None:
    over: dict[int, asyncio.Event] = {made.index: asyncio.Event() for made in plan.connections}

    async def one(made: RecordedConnection) -> None:
        play = play_of(made, plan.findings)
        try:
            if play.speaks:
                await Caller(play, target, tls, recorder, sent, manner).run()
            else:
                sent.deviate("nothing-to-send", "the recorded client sent nothing", connection=made.index)
        finally:
            over[made.index].set()

    before: RecordedConnection | None = None
    closed = sorted((_closed(made), made.index) for made in plan.connections if _closed(made))
    async with asyncio.TaskGroup() as tasks:
        for made in sorted(plan.connections, key=lambda one: (one.started, one.index)):
            if before is not None:
                latest = before.started
                for time, index in closed:  # what was over by then
                    if time <= made.started:
                        await over[index].wait()
                        latest = max(latest, time)
                await asyncio.sleep(manner.pause(max(made.started - latest, 0)))
            tasks.create_task(one(made))
            before = made


def _closed(made: RecordedConnection) -> int:
    """Return when the client had closed a connection, 0 if it had not."""
    return max((act.time for act in made.acts if isinstance(act, End) and act.side == CLIENT), default=0)
