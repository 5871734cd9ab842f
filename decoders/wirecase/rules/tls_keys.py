"""The observer's limits under TLS: connections that could not be decrypted and why, and key logs that are damaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wirecase.rules.base import Match, Rule
from wirecase.session.run import Hidden, Run

_GET = (
    "Give the TLS keys (--keylog, or SSLKEYLOGFILE): tonic with use_key_log(), Go with tls.Config.KeyLogWriter, Node "
    "with --tls-keylog, Java with the extract-tls-secrets agent, Envoy with key_log in its TLS context; grpcio writes "
    "none, so take its peer's (wirecase guide capturing). Or capture where the traffic is plain: behind the proxy that "
    "ends TLS, or between sidecar and application."
)


class _Reason(NamedTuple):
    words: str
    """Why, as a phrase."""
    text: str
    fix: str


_REASONS: dict[str, _Reason] = {
    "no-keys": _Reason("no keys", "No keys were given.", _GET),
    "no-match": _Reason(
        "no keys for them",
        "The key log has keys, but none for the client random of these connections: it is from another process or "
        "another time, or it was started after they began.",
        "Take the key log of the very process that made these connections, from before they began. " + _GET,
    ),
    "partial": _Reason(
        "their keys are incomplete",
        "The key log names these connections, but lacks secrets of a side. What the other side sent was read where "
        "its secrets are there.",
        "Copy the key log again when the connections have ended; some writers log handshake secrets only.",
    ),
    "wrong-keys": _Reason(
        "the keys do not decrypt them",
        "The key log has secrets for the client random of these connections, but their records do not open with them: "
        "the lines are damaged or from something else.",
        "Copy the key log again, and check that it was not edited or merged line by line.",
    ),
    "no-client-hello": _Reason(
        "their beginning is not in the capture",
        "Keys are found by the random of the ClientHello, which the capture does not hold.",
        "Start the capture before the client connects, or make the client reconnect while it runs.",
    ),
    "no-server-hello": _Reason(
        "the server's part of the handshake is not in the capture",
        "The cipher suite stands in the ServerHello, which the capture does not hold.",
        "Capture both directions, from the beginning of the connections.",
    ),
    "version": _Reason(
        "their TLS version is not supported",
        "Only TLS 1.2 and 1.3 are decrypted; gRPC requires one of them (RFC 9113 §9.2).",
        "Read the capture with Wireshark, or let the peers speak TLS 1.2 or later.",
    ),
    "cipher": _Reason(
        "their cipher suite is not supported",
        "AES-GCM, AES-CCM, AES-CBC and ChaCha20-Poly1305 are decrypted, nothing else.",
        "Let the peers choose a suite with AES-GCM or ChaCha20-Poly1305.",
    ),
    "lost": _Reason(
        "records were lost in holes of the capture",
        "After a hole the next record could not be found, so the rest of that side was not read.",
        "Raise the capture's buffer (tcpdump -B 65536), capture whole packets (-s 0).",
    ),
    "overflow": _Reason(
        "their keys came too late",
        "More was captured before their keys than can be held back.",
        "Give the key log as a file (--keylog), or put the secrets in front: editcap --inject-secrets tls,FILE.",
    ),
}
_WHOLE = frozenset(("no-keys", "no-match", "no-client-hello", "no-server-hello", "version", "cipher"))
_SHOWN = 5


def reason(problem: str) -> str:
    """Return why connections were not read, as a phrase: ``no keys``."""
    return _REASONS[problem].words


def check_encrypted(run: Run) -> Iterator[Match]:
    """TLS that could not be decrypted."""
    for problem, hidden in sorted(run.hidden.items()):
        yield _encrypted(problem, hidden)


def _encrypted(problem: str, hidden: Hidden) -> Match:
    words, why, fix = _REASONS[problem]
    total = hidden.count
    servers = hidden.servers.most_common(20)
    named = ", ".join(f"{address} ({count:,})" for address, count in servers[:_SHOWN])
    what = "not inspected" if problem in _WHOLE else "not inspected in full"
    return Match(
        severity="info",
        certainty="certain",
        who=["capture"],
        title=f"{total:,} TLS {'connection was' if total == 1 else 'connections were'} {what}: {words}",
        explanation=f"{why} Encrypted, and so not looked into: {named}{' …' if len(servers) > _SHOWN else ''}. Nothing "
        "is said about the calls hidden there, neither good nor bad.",
        evidence=[],
        details={
            "reason": problem,
            "connections": total,
            "servers": [address for address, _ in servers],
            "counts": [count for _, count in servers],
            "seen": hidden.samples,
        },
        retry_why="This is about the capture, not about a call.",
        fix=fix,
        key=problem,
        count=total,
    )


def check_key_logs(run: Run) -> Iterator[Match]:
    """Lines of a key log that are no keys."""
    for log in run.key_logs:
        if not log.garbage:
            continue
        yield Match(
            severity="info",
            certainty="certain",
            who=["capture"],
            title=f"{log.path}: {log.garbage:,} {'line is' if log.garbage == 1 else 'lines are'} no TLS key",
            explanation=f"{log.keys:,} lines of this key log are secrets; {log.garbage:,} are neither secrets nor "
            "comments and were passed over. Connections whose keys were among them stay closed.",
            evidence=[],
            details={"path": log.path, "keys": log.keys, "garbage": log.garbage},
            retry_why="This is about the capture, not about a call.",
            fix="If a connection lacks its keys, copy the key log again as it was written: binary, whole lines.",
            key=log.path,
        )


RULES: tuple[Rule, ...] = (
    Rule(
        id="obs-encrypted",
        title="TLS that was not decrypted",
        summary="TLS connections were not decrypted, or not in full, so what is hidden there was not inspected.",
        references=("wirecase: the observer's limits",),
        scope="run",
        check=check_encrypted,
    ),
    Rule(
        id="obs-keylog",
        title="A key log with lines that are no keys",
        summary="Lines of a key log could not be read as TLS secrets.",
        references=("RFC 9850",),
        scope="run",
        check=check_key_logs,
    ),
)
