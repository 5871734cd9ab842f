"""Small phrases about answers that the reports on a replay to a server share; texts of the wire are escaped here."""

from __future__ import annotations

from wirecase.replay.caller import Answer, CallResult
from wirecase.replay.caller.compare import ending, status_words
from wirecase_cli.reports import escape, masking, words

HEADLINE = {
    "fine": "The answers are fine",
    "broken": "The answers are still broken",
    "untold": "Whether the fault is gone could not be told",
}
SIGN = {
    "fixed": "✓", "same": "✓", "changed": "·", "still-broken": "✗", "broken-differently": "✗", "not-sent": "·",
}  # fmt: skip


def message(answer: Answer) -> str | None:
    """Return a grpc-message as one harmless line, what looks like a credential masked."""
    if answer.message is None:
        return None
    return escape.from_bytes(masking.text(answer.message.encode("utf-8", "replace")))


def answer(one: Answer | None) -> str:
    """Return an answer in one line."""
    if one is None:
        return "none"
    parts = [status_words(one.status)]
    if one.http not in (None, 200):
        parts.append(f"HTTP {one.http}")
    parts += [words.plural(one.messages, "message"), words.size(one.bytes), ending(one), f"{one.seconds * 1000:.0f} ms"]
    said = message(one)
    text = ", ".join(parts) + (f': "{said}"' if said else "")
    if one.client_code is not None:
        details = escape.from_bytes(masking.text((one.client_details or "").encode("utf-8", "replace")))
        text += f"; grpcio: {one.client_code}" + (f' "{details}"' if details else "")
    return text


def rules(result: CallResult) -> str:
    """Return the rules that find something in the live answer."""
    faults = result.after.faults if result.after is not None else []
    return ", ".join(one.rule for one in faults if one.severity != "info" and not one.client_side)
