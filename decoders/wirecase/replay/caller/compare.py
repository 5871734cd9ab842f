"""The answers of then and now, held against each other."""

from __future__ import annotations

from collections.abc import Iterable

from wirecase.grpc.status import status_name
from wirecase.http2.facts import error_name
from wirecase.replay.caller.model import Answer, CallResult, Comparison, ConnectionResult, Fault, Overall, Sent, Verdict
from wirecase.replay.caller.reading import Seen, SeenCall
from wirecase.replay.plan import Plan

HANGS = frozenset({
    "stream-no-response", "stream-stalled", "fc-stream-stalled", "fc-connection-stalled", "grpc-deadline",
    "max-concurrent-streams-wait",
})  # fmt: skip
"""Rules about answers that never came: a live call without an end shows the same."""


def server_faults(faults: Iterable[Fault]) -> list[Fault]:
    """Return what a server can mend: not what lies in the request, and no remarks."""
    return [one for one in faults if one.severity != "info" and not one.client_side]


def ending(answer: Answer) -> str:
    """Return how an answer ended, in a few plain words."""
    if answer.gave_up:
        return "no end within the time limit"
    by = f" by the {answer.by}" if answer.by else ""
    code = f" {error_name(answer.error)}" if answer.error is not None else ""
    return {
        "trailers": "trailers", "trailers-only": "trailers only", "data": "DATA without trailers",
        "rst": f"RST_STREAM{code}{by}", "goaway": f"GOAWAY{code}{by}", "fin": f"TCP FIN{by}",
        "tcp-rst": f"TCP RST{by}",
    }.get(answer.how, "no end")  # fmt: skip


def status_words(status: int | None) -> str:
    """Return a status as text, also where there was none."""
    return "no status" if status is None else f"{status_name(status)} ({status})"


def differences(before: Answer, after: Answer, *, masked: bool) -> list[str]:
    """Return how two answers differ, a phrase each; with `masked` the recorded bytes are no longer the server's."""
    found = []
    if before.status != after.status:
        found.append(f"status {status_words(before.status)} -> {status_words(after.status)}")
    if (before.message or "") != (after.message or "") and not masked:
        found.append("another grpc-message")
    if before.http != after.http:
        found.append(f"HTTP status {_or_none(before.http)} -> {_or_none(after.http)}")
    if before.messages != after.messages:
        found.append(f"{before.messages} -> {after.messages} messages")
    if before.bytes != after.bytes:
        found.append(f"{before.bytes:,} -> {after.bytes:,} bytes")
    elif before.digest != after.digest and not masked:
        found.append("as many bytes, but others")
    then, now = ending(before), ending(after)
    if then != now:
        found.append(f"ended: {then} -> {now}")
    return found


def _or_none(value: int | None) -> str:
    return "none" if value is None else str(value)


def judge(result: CallResult) -> None:
    """Set the verdict on a call, and say why."""
    before, after = result.before, result.after
    was = [one.rule for one in server_faults(before.faults)]
    if after is None:
        result.verdict = "not-sent"
        return
    now = [one.rule for one in server_faults(after.faults)]
    hung = after.gave_up or (after.how == "open" and not after.complete)
    same = [rule for rule in was if rule in now]
    result.verdict, result.why = _verdict(before, after, was, now, same, hung=hung)


def _verdict(
    before: Answer, after: Answer, was: list[str], now: list[str], same: list[str], *, hung: bool
) -> tuple[Verdict, str]:
    if same:
        return "still-broken", f"{same[0]} is found in the live answer as in the recorded one"
    if hung and (HANGS & set(was) or before.how == "open"):
        return "still-broken", "the call had no end in the recording and has none now"
    if now:
        instead = f"instead of {was[0]}" if was else "where nothing was at fault"
        return "broken-differently", f"{now[0]} {instead}"
    if hung:
        return "broken-differently", "the live call had no end within the time limit"
    if not after.complete:
        if after.by == "client":
            return "same" if before.by == "client" else "changed", "the request was cancelled, as it was recorded"
        return "broken-differently", f"the live answer has no status: {ending(after)}"
    if after.client_code is not None and after.client_code == "OK" and after.status != 0:
        return "broken-differently", "the client was told OK although the server's status is another"
    if was:
        if after.status == 0:
            return "fixed", f"{was[0]} is gone and the status is OK"
        return "changed", f"{was[0]} is gone; the status is {status_words(after.status)}"
    if after.status != before.status:
        return "changed", f"the status is {status_words(after.status)} instead of {status_words(before.status)}"
    return "same", "status and end are the recorded ones"


def compare(plan: Plan, sent: Sent, before: Seen, after: Seen, comparison: Comparison) -> None:
    """Fill `comparison` with a result for each call and each connection, and the verdict on the whole."""
    recorded = {one.number: one for one in before.calls}
    live = _matched(plan, sent, after)
    masked = comparison.redacted
    for call in plan.calls():
        then = recorded.get(call.number)
        if then is None:
            continue
        now = live.get(call.number)
        answer = now.answer if now is not None else None
        result = CallResult(call.number, call.path, call.connection, then.answer, answer)
        if answer is not None:
            answer.gave_up = call.number in sent.gave_up
            told = sent.told.get(call.number)
            if told is not None:
                answer.client_code, answer.client_details = told
            result.differences = differences(then.answer, answer, masked=masked)
        else:
            reason = sent.skipped.get(call.number) or sent.errors.get(call.connection)
            result.why = reason or ("interrupted" if sent.interrupted else "the request could not be sent")
        judge(result)
        if result.verdict == "same" and _differs(then.answer, answer, masked=masked):
            result.verdict = "changed"
            result.why = "the status is the recorded one, the messages are others"
        comparison.calls.append(result)
    _connections(plan, sent, before, after, comparison)
    comparison.deviations = sent.deviations
    _conclude(comparison)


def _differs(before: Answer, after: Answer | None, *, masked: bool) -> bool:
    return after is not None and (
        before.messages != after.messages
        or (not masked and (before.bytes != after.bytes or before.digest != after.digest))
    )


def _matched(plan: Plan, sent: Sent, after: Seen) -> dict[int, SeenCall]:
    """Return the live call of each recorded one: by its stream; through grpcio, by its place among its path's."""
    if sent.streams:
        found: dict[int, SeenCall] = {}
        for one in after.calls:
            number = sent.streams.get((one.client, one.stream))
            if number is not None:
                found.setdefault(number, one)
        return found
    asked: dict[tuple[int, str], list[int]] = {}
    for call in sorted(plan.calls(), key=lambda one: (one.started, one.number)):
        if call.number in sent.told:
            asked.setdefault((call.connection, call.path), []).append(call.number)
    matched: dict[int, SeenCall] = {}
    for one in sorted(after.calls, key=lambda one: (one.started, one.number)):
        connection = sent.connections.get(one.client)
        waiting = asked.get((connection, one.path), []) if connection is not None else []
        if waiting:
            matched[waiting.pop(0)] = one
    for waiting in asked.values():  # grpcio answered them without asking the server
        for number in waiting:
            sent.skipped[number] = "grpcio gave up before the request reached the server"
    return matched


def _connections(plan: Plan, sent: Sent, before: Seen, after: Seen, comparison: Comparison) -> None:
    live: dict[int, list[int]] = {}
    for index, client in after.clients.items():
        recorded = sent.connections.get(client)
        if recorded is not None:
            live.setdefault(recorded, []).append(index)
    for made in plan.connections:
        indexes = live.get(made.index, [])
        result = ConnectionResult(
            made.index, len(indexes), before.connections.get(made.index, []),
            [fault for index in indexes for fault in after.connections.get(index, [])],
            error=sent.errors.get(made.index),
        )  # fmt: skip
        was = [one.rule for one in server_faults(result.before)]
        now = [one.rule for one in server_faults(result.after)]
        if result.error is not None or (not indexes and was):
            result.verdict = "not-sent"
        elif set(was) & set(now):
            result.verdict = "still-broken"
        elif now:
            result.verdict = "broken-differently"
        elif was:
            result.verdict = "fixed"
        comparison.connections.append(result)


def _conclude(comparison: Comparison) -> None:
    """Say what it all comes to."""
    counts: dict[str, int] = {}
    for one in comparison.calls:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    verdicts = [one.verdict for one in comparison.calls] + [one.verdict for one in comparison.connections]
    doubtful = [
        one
        for one in comparison.calls
        if one.verdict == "changed" and one.after is not None and one.after.status not in (0, one.before.status)
    ]
    overall: Overall = "fine"
    if "still-broken" in verdicts or "broken-differently" in verdicts:
        overall = "broken"
    elif doubtful or "not-sent" in verdicts:
        overall = "untold"
    comparison.overall = overall
    told = ", ".join(f"{counts[name]} {name}" for name in _ORDER if counts.get(name))
    total = len(comparison.calls)
    if overall == "broken":
        begin = "The fault is there again" if "still-broken" in verdicts else "The answers are broken in another way"
    elif overall == "untold":
        begin = "It cannot be told whether the fault is gone"
        if doubtful:
            comparison.notes.append(
                "An error status in place of the recorded answer says that the request was refused: it may never have "
                "come to where the fault arose" + (", as its payloads are masked" if comparison.redacted else "") + "."
            )
    elif "fixed" in verdicts:
        begin = "The fault is gone"
    else:
        begin = "Nothing is wrong with the answers"
    calls = f"{total} call{'s' if total != 1 else ''}" + (f": {told}" if told else "")
    comparison.summary = f"{begin}. {calls}."


_ORDER: tuple[Verdict, ...] = ("fixed", "same", "changed", "still-broken", "broken-differently", "not-sent")
