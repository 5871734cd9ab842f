"""The answer on top of the report: what died, how much of it, why and through whom, and what was not looked into."""

from __future__ import annotations

from collections import Counter

from wirecase.model import Blast, CallTotals, Finding, Verdict
from wirecase.rules.causes import INFERRED
from wirecase.rules.legs import Legs
from wirecase.rules.tls_keys import reason as hidden_because
from wirecase.session.run import Run

_SERIOUS = ("error", "warning")
_WEIGHT = {"error": 0, "warning": 1, "info": 2}
_SURE = {"certain": 0, "probable": 1, "possible": 2}
_SIDES = {
    "server": "the server's side",
    "proxy": "a proxy",
    "client": "the client",
    "network": "the network",
    "capture": "the capture",
    "unknown": "unknown",
}


_COUNT_CALLS = ("h2-rapid-reset",)
"""Rules on connections whose count is one of calls."""
_NO_CALLS = ("h2-flood", "h2-stream-state-violation", "close-without-goaway")
"""Rules on connections that name streams, but not ones whose calls the fault is known to have hit."""
_UNPLACED = ("call-end-unseen",)
"""Rules that count calls without a place: the evidence knows of them, but of no connection."""
_CONTENT = "client-accepts-broken-bytes"


def is_limit(finding: Finding) -> bool:
    """Tell whether a finding is about the capture and not about a peer."""
    return finding.rule.startswith("obs-")


def _descendants(findings: list[Finding]) -> dict[str, set[str]]:
    """Return, for each finding's id, the ids that it explains, itself included."""
    parents = {finding.id: finding.caused_by for finding in findings}
    below: dict[str, set[str]] = {finding.id: {finding.id} for finding in findings}
    for finding in findings:
        step, seen = finding.caused_by, {finding.id}
        while step is not None and step not in seen and step in below:
            below[step].add(finding.id)
            seen.add(step)
            step = parents.get(step)
    return below


def _calls(findings: list[Finding], legs: Legs) -> int:
    """Return how many calls findings name: the streams of their places, at least their count (places stop at 100).

    A call that was met on several of its legs is one.
    """
    named: set[tuple[int, int]] = set()
    most = unplaced = 0
    for finding in findings:
        if finding.rule in _UNPLACED:
            unplaced += finding.count
            continue
        if finding.rule in _NO_CALLS and finding.call is None:
            continue
        here = {
            legs.head((place.connection, place.stream))
            for place in finding.occurrences
            if place.connection is not None and place.stream is not None
        }
        named |= here
        if (finding.call is not None or finding.rule in _COUNT_CALLS) and finding.count > len(finding.occurrences):
            most = max(most, finding.count)
    return max(most, len(named)) + unplaced


def roots(findings: list[Finding], legs: Legs | None = None) -> list[Finding]:
    """Return the errors and warnings that nothing else explains, the weightiest first."""
    known = legs or Legs()
    by_id = {finding.id: finding for finding in findings}
    below = _descendants(findings)

    def heaviest(root: Finding) -> int:
        """The worst severity that hangs on a root: a warning that explains an error weighs like one."""
        return min(_WEIGHT[by_id[number].severity] for number in below[root.id])

    found = [f for f in findings if f.caused_by is None and (f.severity in _SERIOUS or heaviest(f) < _WEIGHT["info"])]
    explained = {finding.id: _calls([by_id[number] for number in below[finding.id]], known) for finding in found}
    found.sort(
        key=lambda f: (
            is_limit(f),
            heaviest(f),
            -explained[f.id],
            _SURE[f.certainty],
            -len(below[f.id]),
            _WEIGHT[f.severity],
            f.time if f.time is not None else 1 << 63,
            f.id,
        )
    )
    return found


def blast(findings: list[Finding], run: Run, legs: Legs | None = None) -> Blast:
    """Return how many calls the errors and warnings hit, on which paths, and when."""
    serious = [f for f in findings if f.severity in _SERIOUS and not is_limit(f)]
    told = [f for f in findings if f.rule == "grpc-app-status" and f.caused_by is not None]
    count = _calls([*serious, *told], legs or Legs())
    total = run.calls.total
    count = min(count, total)
    paths: Counter[str] = Counter()
    times: list[int] = []
    for finding in serious:
        if finding.rule in _UNPLACED:
            paths.update(finding.details.get("paths", ()))
        for place in finding.occurrences:
            if place.path is not None:
                paths[place.path] += 1
            if place.time is not None:
                times.append(place.time)
        if finding.time is not None:
            times.append(finding.time)
    return Blast(
        calls=count,
        of=total,
        share=round(count / total, 4) if total else 0.0,
        paths=[path for path, _ in paths.most_common(10)],
        first=min(times, default=None),
        last=max(times, default=None),
    )


def _counted(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def not_inspected(findings: list[Finding], run: Run) -> list[str]:
    """Return what the inputs hold and was not looked into, one phrase each."""
    phrases: list[str] = []
    without = sum(run.hidden[problem].count for problem in ("no-keys", "no-match") if problem in run.hidden)
    if without:
        phrases.append(f"{_counted(without, 'TLS connection')} without keys")
    for problem, hidden in sorted(run.hidden.items()):
        if problem not in ("no-keys", "no-match"):
            phrases.append(f"{_counted(hidden.count, 'TLS connection')} ({hidden_because(problem)})")
    for protocol, words in (("http1", "HTTP/1 connection"), ("other", "connection")):
        count = run.protocols.get(protocol, 0)
        if count:
            phrases.append(
                _counted(count, words)
                + (
                    " of another protocol"
                    if protocol == "other" and count == 1
                    else " of other protocols"
                    if protocol == "other"
                    else ""
                )
            )
    for kind, count in sorted(run.other_calls.items()):
        name = {"grpc-web": "gRPC-Web", "connect": "Connect"}.get(kind, kind)
        phrases.append(f"the messages of {_counted(count, name + ' call')}")
    for rule, words in (
        ("obs-gap", "bytes missing from the capture"),
        ("obs-snaplen", "packets cut by the snaplen"),
        ("obs-one-direction", "one direction of some connections"),
        ("obs-midconnection", "what came before the capture began"),
        ("obs-capture-ends", "how the calls ended that were open at the end of the capture"),
    ):
        hit = {place.connection for f in findings if f.rule == rule for place in f.occurrences}
        if hit:
            phrases.append(f"{words} ({_counted(len(hit), 'connection')})")
    lost = sum(source.dropped or 0 for source in run.sources)
    if lost:
        phrases.append(f"{_counted(lost, 'packet')} that the capture tool lost")
    for link, count in sorted(run.unsupported_links.items()):
        phrases.append(f"{_counted(count, 'packet')} of link type {link} (--engine tshark may read them)")
    if run.damages:
        phrases.append(f"{_counted(len(run.damages), 'damaged stretch', 'damaged stretches')} of the input")
    return phrases


def _who(finding: Finding) -> str:
    """Name the likeliest; a proxy without a trace of one is as well the server itself, as far as one leg shows."""
    who = finding.who[0] if finding.who else "unknown"
    if who == "proxy" and "proxy_address" in finding.details:
        return f"the proxy ({finding.details['proxy_address']})"
    if who == "proxy" and "server" in finding.who and not finding.details.get("proxy"):
        server = finding.connection.server if finding.connection else ""
        return "a proxy, or the server itself" + (f" ({server})" if server else "")
    return _SIDES[who]


def _spans_legs(findings: list[Finding]) -> bool:
    """Tell whether a call's fault was traced from one leg of a proxy to the next."""
    servers = {finding.id: finding.connection.server for finding in findings if finding.connection}
    calls = {finding.id for finding in findings if finding.call is not None}
    return any(
        finding.call is not None
        and finding.caused_by in calls
        and servers.get(finding.caused_by) != servers.get(finding.id)
        for finding in findings
    )


def _at(finding: Finding) -> str:
    """Return the server's address, where the sentence does not name it."""
    server = finding.connection.server if finding.connection else ""
    return f" ({server})" if server and finding.who[:1] == ["server"] and server not in finding.title else ""


def _kind(finding: Finding) -> tuple[object, ...]:
    """Return what two root causes share that are told as one: the fault, and the server that it was met at."""
    return finding.rule, finding.connection and finding.connection.server, finding.details.get("http_status")


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "…")) else text + "."


def _headline(
    findings: list[Finding], causes: list[Finding], spread: Blast, unseen: list[str], run: Run, legs: Legs
) -> str:
    tail = f" Not inspected: {'; '.join(unseen)}." if unseen else ""
    faults = [finding for finding in causes if not is_limit(finding)]
    if not faults:
        return _clean(run, unseen) + tail
    first = faults[0]
    kind = _kind(first)
    same = [finding for finding in faults if _kind(finding) == kind]
    below = _below(findings, same)
    told = [finding for finding in findings if finding.id in below]
    more = len({_kind(finding) for finding in faults} - {kind})
    ours = [finding for finding in told if finding.link != "stream"]  # what lies on a stream may have many causes
    hit = _hit(spread, run.calls, _calls(ours, legs) if more else spread.calls)
    content = _content(findings, spread, legs)
    parts = [
        f"{content or hit}: {_sentence(first.title)}",
        _passed_on(same, told),
        _blame(first, told),
        _on_connections(same),
        f"{_counted(more, 'further root cause')} below." if more else "",
    ]
    return " ".join(part for part in parts if part) + _counting(findings, run.calls) + tail


def _hit(spread: Blast, calls: CallTotals, by_this: int) -> str:
    """Say how many calls are hit, and how many of them by the cause that is told first."""
    if not spread.calls:
        return f"No gRPC call is known to be hit ({calls.total:,} seen)" if calls.total else "No gRPC call came about"
    share = f" ({spread.share:.0%})" if spread.of >= 10 and spread.share < 0.995 else ""
    if spread.of == spread.calls:
        every = {1: "The only gRPC call is", 2: "Both gRPC calls are"}
        hit = f"{every.get(spread.of, f'All {spread.of:,} gRPC calls are')} hit"
    else:
        hit = f"{spread.calls:,} of {spread.of:,} gRPC calls {'is' if spread.calls == 1 else 'are'} hit{share}"
    return f"{hit}, {by_this:,} of them by this" if 0 < by_this < spread.calls else hit


def _content(findings: list[Finding], spread: Blast, legs: Legs) -> str:
    """Say that nobody complained about broken bytes, where that is so of all calls that are hit."""
    accepted = [finding for finding in findings if finding.rule == _CONTENT and finding.certainty != "possible"]
    count = _calls(accepted, legs)
    if not count or count < spread.calls:
        return ""
    calls = "the only gRPC call" if spread.of == count == 1 else f"{count:,} of {spread.of:,} gRPC calls"
    return f"The wire was broken and the client was most likely content, on {calls}"


def _below(findings: list[Finding], causes: list[Finding]) -> set[str]:
    """Return the ids of causes and of all that they explain."""
    below = _descendants(findings)
    return set().union(*(below[finding.id] for finding in causes))


def _passed_on(causes: list[Finding], told: list[Finding]) -> str:
    """Say what became of a fault on the legs towards the client: the end of the chain, which clients complain of."""
    step, passed = causes[0], False
    while True:
        server = step.connection.server if step.connection else ""
        further = (
            finding
            for finding in told
            if finding.caused_by == step.id
            and finding.severity in _SERIOUS
            and finding.call is not None
            and finding.connection is not None
            and finding.connection.server != server
        )
        found = next(further, None)
        if found is None:
            told_anew = passed and step.title != causes[0].title  # a NAT passes on what it gets
            return f"What became of it at {server}: {_sentence(step.title)}" if told_anew else ""
        step, passed = found, True


def _blame(first: Finding, told: list[Finding]) -> str:
    if first.who[:1] in ([], ["unknown"]):
        return "Who is at fault is not shown."
    sure = first.certainty
    guessed = (finding for finding in told if finding.link in INFERRED)
    if sure == "certain" and any(finding.link == "moment" or finding.call is not None for finding in guessed):
        sure = "probable"  # connections that were refused afterwards take nothing from it
    if sure == "certain" and {"client", "server"} <= set(first.who):
        sure = "probable"  # what happened is certain, which end is to blame for it is not on the wire
    return f"Most likely at fault{'' if sure == 'certain' else f' ({sure})'}: {_who(first)}{_at(first)}."


def _on_connections(causes: list[Finding]) -> str:
    """Say on how many connections the same happened."""
    alike = {place.connection for finding in causes for place in finding.occurrences}
    alike.discard(None)
    return f"It happened on {len(alike):,} connections." if len(alike) > 1 else ""


def _counting(findings: list[Finding], calls: CallTotals) -> str:
    """Say how calls were counted that were seen on more than one leg."""
    if calls.legs:
        seen = f"{_counted(calls.legs, 'call')} seen again on another leg (proxy, NAT)"
        return f" {seen} {'is' if calls.legs == 1 else 'are'} not counted twice."
    if calls.doubtful:
        return f" {_counted(calls.doubtful, 'call')} may be counted twice: both sides of a proxy were captured."
    return " Calls are counted on each leg of a proxy that was captured." if _spans_legs(findings) else ""


def _clean(run: Run, unseen: list[str]) -> str:
    calls = run.calls
    plain = run.protocols.get("h2", 0)
    seen = "in what could be read" if unseen else "found"
    if calls.total:
        parts = [f"{calls.ok:,} ok"]
        if calls.failed:
            untold = min(calls.failed, calls.by_status.get("none", 0))
            if calls.failed > untold:
                parts.append(f"{calls.failed - untold:,} with an error status of the application")
            if untold:
                parts.append(f"{untold:,} without a status (cancelled, or its end was not seen)")
        if calls.unfinished:
            parts.append(f"{calls.unfinished:,} whose outcome the capture does not show")
        where = f"{_counted(calls.total, 'gRPC call')} on {_counted(plain, 'HTTP/2 connection')}"
        return f"No wire fault {seen}: {where}, {', '.join(parts)}." + _counting([], calls)
    if plain:
        return f"No wire fault {seen}: {_counted(plain, 'HTTP/2 connection')}, no gRPC call."
    total = sum(run.protocols.values())
    if total:
        return f"No HTTP/2 could be read on {_counted(total, 'TCP connection')}: nothing can be said about gRPC."
    if run.left_out:
        none = "The only TCP connection is not" if run.left_out == 1 else f"None of {run.left_out:,} TCP connections is"
        return f"{none} of the host that was asked for: nothing can be said."
    return "No TCP connection is in the input: nothing can be said."


def verdict(findings: list[Finding], run: Run, legs: Legs | None = None) -> Verdict:
    """Return the verdict over linked and numbered findings; `legs` tells which calls are one."""
    causes = roots(findings, legs)
    spread = blast(findings, run, legs)
    unseen = not_inspected(findings, run)
    return Verdict(
        headline=_headline(findings, causes, spread, unseen, run, legs or Legs()),
        root_causes=[finding.id for finding in causes if finding.severity in _SERIOUS or not is_limit(finding)],
        not_inspected=unseen,
        blast=spread,
    )
