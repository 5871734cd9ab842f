"""One call as a flat row: what listings show and filters ask for, without the objects that it was drawn from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wirecase.grpc.messages import MessageReader
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, Finding
from wirecase.session.call import Call


@dataclass(slots=True)
class CallRow:
    """What one call came to. Texts are as they stood on the wire (Latin-1: one character per byte), not escaped."""

    call: int
    """Number of the call, from 0 in the order of request headers."""
    kind: str
    """``grpc``, ``grpc-web``, ``connect``, ``unknown``."""
    connection: int
    stream: int
    client: str
    """``addr:port``."""
    server: str
    authority: str | None
    path: str | None
    status: int | None
    """The grpc-status that counts; None if there was none or it is no number."""
    http: int | None
    """``:status``."""
    content_type: str | None
    """Of the response."""
    source: int
    """Index of the source that holds the first frame."""
    packet: int
    """``frame.number`` of the first frame."""
    started: int
    """Time of the first frame, ns."""
    ended: int | None
    """Time of the frame or packet that ended it; None while nothing did."""
    duration: int
    """ns from `started` to `ended`, or to the connection's last packet where nothing ended the call."""
    messages_sent: int
    """Whole messages of the client."""
    messages_received: int
    """Whole messages of the server."""
    bytes_sent: int
    """Payload of the client's DATA frames, without padding."""
    bytes_received: int
    by: str | None
    """Who ended it: ``client``, ``server``; None where nobody did or it cannot be told."""
    how: str
    """How it ended (`wirecase.session.call.How`)."""
    error: int | None
    """HTTP/2 error code of the RST_STREAM, or of the GOAWAY that ended it."""
    flag: int | None
    """The compression flag that is neither 0 nor 1."""
    rules: tuple[str, ...] = ()
    """Ids of the rules that the call breaks, each once."""
    findings: tuple[str, ...] = ()
    """``F1`` …; known when the diagnosis is complete."""


def row_of(call: Call, named: Iterable[Finding] = ()) -> CallRow:
    """Draw the row of a closed call; `named` are the findings that it takes part in."""
    session, stream, ending = call.session, call.stream, call.ending
    ref = session.ref
    bodies = (call.request_body, call.response_body)
    started = call.started
    ended = ending.mark.time if ending is not None and ending.mark is not None and ending.how != "open" else None
    until = ended if ended is not None else session.last_time
    return CallRow(
        call=call.index,
        kind=call.kind,
        connection=ref.index,
        stream=stream.id,
        client=ref.client,
        server=ref.server,
        authority=call.authority,
        path=call.path,
        status=call.grpc_status,
        http=call.http_status,
        content_type=call.content_type,
        source=started.source,
        packet=started.packet,
        started=started.time,
        ended=ended,
        duration=max((until if until is not None else started.time) - started.time, 0),
        messages_sent=_messages(bodies[CLIENT]),
        messages_received=_messages(bodies[SERVER]),
        bytes_sent=stream.data_bytes[CLIENT],
        bytes_received=stream.data_bytes[SERVER],
        by=None if ending is None or ending.by is None else SIDE_NAMES[ending.by],
        how=ending.how if ending is not None else "open",
        error=_error(call),
        flag=next((body.bad.flag for body in reversed(bodies) if body is not None and body.bad is not None), None),
        rules=tuple(dict.fromkeys(finding.rule for finding in named)),
        findings=tuple(dict.fromkeys(finding.id for finding in named if finding.id)),
    )


def _messages(body: MessageReader | None) -> int:
    return 0 if body is None else body.messages


def _error(call: Call) -> int | None:
    ending = call.ending
    if ending is None:
        return None
    if ending.reset is not None:
        return ending.reset.code
    if ending.how != "goaway":
        return None
    return next((one.code for one in call.session.h2.goaways if one.excerpt.mark == ending.mark), None)
