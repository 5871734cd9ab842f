"""How far a call had come when it ended: the words and the typed facts that several rules share."""

from __future__ import annotations

from typing import Any

from wirecase.model import CLIENT, SERVER, Evidence, Mark, RetrySafe
from wirecase.rules.base import point, show
from wirecase.rules.limits import span
from wirecase.session.call import Call


def far(call: Call, side: int = SERVER) -> str:
    """Return how much of one side's body had arrived, for a sentence."""
    body = call.response_body if side == SERVER else call.request_body
    what = "response" if side == SERVER else "request"
    if side == SERVER and call.response is None:
        return "before any response headers" if call.session.can_be_read(SERVER) else "with the response unseen"
    if body is None or body.lost:
        got = call.stream.data_bytes[side]
        return f"after {got:,} bytes of the {what} body" if got else f"after the {what} headers, before any of its body"
    done = f"after {body.messages:,} {'message' if body.messages == 1 else 'messages'}"
    pending = body.pending()
    if pending is None or body.bad is not None:
        return done if body.messages or body.bytes else f"after the {what} headers, before any of its body"
    if pending.declared is None:
        return f"{done}, inside the prefix of the next ({len(pending.prefix)} of 5 bytes)"
    if not body.messages:
        return f"after {pending.got:,} of {pending.declared:,} bytes of the first message"
    return f"{done} and {pending.got:,} of {pending.declared:,} bytes of the next"


def far_details(call: Call, side: int = SERVER) -> dict[str, Any]:
    """Return the same as typed facts."""
    body = call.response_body if side == SERVER else call.request_body
    details: dict[str, Any] = {"body_bytes": call.stream.data_bytes[side]}
    if side == SERVER:
        details["headers_seen"] = call.response is not None
    if body is None or body.lost:
        return details
    details["after_messages"] = body.messages
    pending = body.pending()
    if pending is not None and body.bad is None:
        details["got"] = pending.got
        details["declared"] = pending.declared
    return details


def inside_message(call: Call, side: int) -> bool:
    """Tell whether a side's body stops inside a message."""
    body = call.response_body if side == SERVER else call.request_body
    return body is not None and not body.lost and body.bad is None and body.pending() is not None


def around(call: Call, side: int = SERVER) -> list[Evidence]:
    """Return the context of an ending: the unfinished message, and the response (or request) headers."""
    found = []
    body = call.response_body if side == SERVER else call.request_body
    pending = body.pending() if body is not None and not body.lost and body.bad is None else None
    if pending is not None:
        got, declared = pending.got, pending.declared
        length = "its prefix is cut" if declared is None else f"{got:,} of {declared:,} bytes came"
        found.append(show(pending.excerpt, f"the unfinished message: {length}", role="context"))
    headers = call.response if side == SERVER else call.request
    if headers is not None:
        found.append(show(headers.excerpt, f"{'response' if side == SERVER else 'request'} HEADERS", role="context"))
    return found


def last_heard(call: Call, side: int) -> list[Evidence]:
    """Return the last DATA or HEADERS frame of a side as context."""
    mark = call.stream.last_mark(side)
    who = "server" if side == SERVER else "client"
    return point(mark, f"the {who}'s last frame on the stream", side=side, role="context")


def age(call: Call, mark: Mark | None) -> float:
    """Return the seconds from the call's first frame to `mark`."""
    return max(0, mark.time - call.started.time) / 1e9 if mark else 0.0


def aged(call: Call, mark: Mark | None) -> str:
    """Return the call's age at `mark`, for a sentence."""
    return span(age(call, mark))


def retry(call: Call) -> tuple[RetrySafe, str]:
    """Return whether a call that broke off may be repeated, and why."""
    if not call.stream.ended[CLIENT] and inside_message(call, CLIENT):
        return (
            "unknown",
            "The server had not got the whole request, but may have handled earlier messages of the stream.",
        )
    if call.response is None:
        return "unknown", "The server had the request and sent nothing back: whether it acted on it is not on the wire."
    if call.response_body is not None and call.response_body.messages:
        return "no", (
            "The server had begun to answer: repeating the call delivers messages twice. Resume from the last message "
            "if the API allows it, or repeat only what is idempotent."
        )
    return "unknown", "The server had accepted the call: repeat it only if it is idempotent."
