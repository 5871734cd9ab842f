"""Small phrases about a replay that its reports share; what comes from the client or the capture is escaped here."""

from __future__ import annotations

from wirecase.http2.facts import error_name
from wirecase.replay.model import ClientRun, LiveCall, LiveConnection, Outcome
from wirecase.replay.result import ReplayResult
from wirecase_cli.reports import escape, masking

HEADLINE: dict[Outcome, str] = {
    "pass": "The client took the fault as it should",
    "fail": "The client failed the replay",
    "untold": "Whether the client took the fault well could not be told",
}
CLOSED = {
    "client-fin": "closed by the client",
    "client-rst": "reset by the client (TCP RST)",
    "server-fin": "closed by the server, as recorded",
    "server-rst": "reset by the server (TCP RST), as recorded",
    "stopped": "open until the replay was stopped",
}
OUTPUT_LINES = 12


def command(argv: list[str]) -> str:
    """Return a command as one would type it, what looks like a credential masked."""
    import shlex

    return masked(shlex.join(argv).encode("utf-8", "surrogateescape"))


def masked(data: bytes) -> str:
    """Return bytes of the client as one harmless line, what looks like a credential masked."""
    return escape.from_bytes(masking.text(data))


def ending(run: ClientRun) -> str:
    """Say how a run came to its end."""
    if run.failed_to_start is not None:
        return f"could not be started: {escape.line(run.failed_to_start)}"
    took = f" after {seconds(run.ended - run.started)}" if run.ended is not None else ""
    if run.timed_out:
        return f"did not end and was ended by wirecase{took}"
    if run.ended_by_us:
        return f"was ended by wirecase{took}"
    if run.signal is not None:
        return f"was ended by signal {run.signal}{took}"
    return f"ended with status {run.exit}{took}" if run.exit is not None else "was still running"


def seconds(value: float) -> str:
    """Write a length of time."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def served(call: LiveCall) -> str:
    """Say what a live call was answered with."""
    if call.role == "problem":
        number = f"recorded call {call.recorded}" if call.recorded is not None else "the recorded problem"
        faults = f" ({', '.join(call.faults)})" if call.faults else ""
        return escape.line(f"{number}{faults}")
    return {
        "healthy": "a recorded healthy answer",
        "fallback": "UNIMPLEMENTED, as the recording has no answer for it",
        "housekeeping": "an answer of the server's own",
    }[call.role]


def reaction(call: LiveCall) -> str:
    """Say what became of a live call on the wire."""
    parts = []
    if call.completed is not None:
        parts.append(f"completed with grpc-status {call.status}" if call.status is not None else "completed")
    elif call.broke_at is not None:
        parts.append(f"broke {seconds(max(call.broke_at - call.at, 0))} after the request")
    if call.reset_by_client is not None:
        parts.append(f"the client reset the stream with {error_name(call.reset_by_client)}")
    if call.unprocessed:
        parts.append("told as not processed")
    if call.previous_attempts:
        parts.append(f"attempt {call.previous_attempts + 1}")
    return ", ".join(parts) or "no end was seen"


def connection(one: LiveConnection) -> str:
    """Say what became of a live connection."""
    parts = [CLOSED[one.closed_by]] if one.closed_by is not None else ["open"]
    if one.goaway is not None:
        parts.append(f"the client sent GOAWAY {error_name(one.goaway)}")
    if one.tls_error:
        parts.append(f"TLS failed: {escape.line(one.tls_error)}")
    if one.not_http2:
        parts.append(f"no HTTP/2 came from the client: {masked(one.not_http2)}")
    if one.faults:
        parts.append(f"given {escape.line(', '.join(one.faults))}")
    return ", ".join(parts)


def output_lines(run: ClientRun) -> list[str]:
    """Return what was kept of the client's output; masked as a whole, as a key has several lines."""
    return [escape.from_bytes(line) for line in masking.text(run.output).splitlines()]


def output_tail(run: ClientRun) -> list[str]:
    """Return the last lines of what the client printed."""
    return [line for line in output_lines(run) if line.strip()][-OUTPUT_LINES:]


def evidence(value: object) -> object:
    """Return evidence with what looks like a credential masked in its texts."""
    if isinstance(value, str):
        return masked(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, dict):
        return {key: evidence(item) for key, item in value.items()}
    return [evidence(item) for item in value] if isinstance(value, list) else value


def resources(run: ClientRun) -> str:
    """Say how much the client took at most."""
    if not run.samples:
        return ""
    rss = max(one.rss for one in run.samples)
    most = [
        f"{rss / (1 << 20):.1f} MiB",
        f"{max(one.cpu for one in run.samples):.1f} s CPU",
        f"{max(one.threads for one in run.samples)} threads",
        f"{max(one.descriptors for one in run.samples)} descriptors",
    ]
    return f"{', '.join(most)} at most"


def rounds(result: ReplayResult) -> str:
    """Say how many rounds were done; empty without a loop."""
    if result.rounds == 1:
        return ""
    done = f"{result.rounds_done} of {result.rounds} rounds"
    return f"{done}; shown is round {result.round_shown + 1}"
