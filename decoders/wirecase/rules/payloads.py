"""Rules that need a schema: messages that are not of their method's type, and too many or too few of them.

Theory. The schema says what a method takes and gives, and whether it streams. Without it nobody can tell a wrong
payload from a right one, nor an empty stream from a missing answer; with it both are certain, provided that the schema
given is the one that the peers use, which the findings say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wirecase.grpc import status as s
from wirecase.model import CLIENT, SERVER, SIDE_NAMES, ClientSees, Who
from wirecase.rules import clients
from wirecase.rules.base import Match, Rule, show
from wirecase.rules.calls import is_grpc_call, plural, request_context, response_context
from wirecase.rules.clients.table import CORE, GO, JAVA, JS, TONIC, says
from wirecase.session.call import Call

if TYPE_CHECKING:
    from wirecase.grpc.schema import Method


def _undecodable(call: Call) -> Iterator[Match]:
    if call.method is None or not is_grpc_call(call):
        return
    from wirecase.grpc.checking import CheckedReader

    for side, body in ((CLIENT, call.request_body), (SERVER, call.response_body)):
        if not isinstance(body, CheckedReader) or not body.undecodable:
            continue
        first = body.undecodable[0]
        name = SIDE_NAMES[side]
        who: list[Who] = ["client"] if side == CLIENT else ["server"]
        many = f" So are {body.undecodable_count - 1:,} more of this side." if body.undecodable_count > 1 else ""
        inflated = ", inflated," if first.compressed else ""
        yield Match(
            severity="error",
            certainty="certain",
            who=who,
            title=f"The {name}'s message {first.message} is no {body.type_name}: {first.problem}",
            explanation=(
                f"The message is framed well, and its {first.declared:,} bytes{inflated} are not a protobuf message "
                f"of the type that the schema gives for {call.method.path}: {first.problem}, at byte {first.offset} of "
                f"the message.{many} Certain as far as the schema given is the one that both sides were built with."
            ),
            evidence=[
                show(first.excerpt, f"message {first.message}, which does not decode"),
                *(response_context(call) if side == SERVER else request_context(call)),
            ],
            details={
                "by": name,
                "type": body.type_name,
                "problem": first.problem,
                "offset": first.offset,
                "message": first.message,
                "declared": first.declared,
                "compressed": first.compressed,
                "undecodable": body.undecodable_count,
                "checked": body.checked,
            },
            client_sees=_client_sees() if side == SERVER else [],
            retry_safe="unknown",
            retry_why="The server may have processed the call: only the message is lost.",
            fix=(
                f"Compare the .proto files of both sides: is {body.type_name} what this method carries there? If they "
                "agree, look at what writes the payload: an encoder other than protobuf, or a filter that changes it."
            ),
            key=(side, body.type_name, first.problem),
        )


def _client_sees() -> list[ClientSees]:
    return [
        says(TONIC, s.INTERNAL, "failed to decode Protobuf message: …", checked=False),
        says(GO, s.INTERNAL, "grpc: failed to unmarshal the received message: …"),
        says(CORE, s.INTERNAL, "Exception deserializing response!"),
        says(JAVA, s.INTERNAL, "Invalid protobuf byte sequence"),
        says(JS, s.INTERNAL, "Response message parsing error: …"),
    ]


def cardinality(call: Call, method: Method) -> Iterator[Match]:
    """Judge the number of messages of a call whose method is known."""
    request, response, trailers = call.request_body, call.response_body, call.trailers
    if request is None or call.blurred or not call.stream.ended[CLIENT]:
        return
    if not method.client_streams and request.messages != 1 and request.bad is None and request.pending() is None:
        yield _counted(
            call, method, CLIENT, request.messages, "warning" if call.grpc_status == 0 else "error",
            "The server is built for exactly one request message.",
        )  # fmt: skip
    if trailers is None or call.grpc_status != 0 or (response is None and not call.response_complete):
        return
    got = 0 if response is None else response.messages
    odd = response is not None and (response.bad is not None or response.pending() is not None)
    if not method.server_streams and got != 1 and not odd:
        yield _counted(
            call, method, SERVER, got, "error", "With status OK a client of this method needs exactly one message."
        )


def _counted(call: Call, method: Method, side: int, count: int, severity: Any, why: str) -> Match:
    name = SIDE_NAMES[side]
    what = "request" if side == CLIENT else "response"
    told = "no message" if not count else plural(count, "message")
    frame = call.request if side == CLIENT else call.trailers
    assert frame is not None
    who: list[Who] = ["client"] if side == CLIENT else ["server"]
    return Match(
        severity=severity,
        certainty="certain",
        who=who,
        title=f"{told[:1].upper()}{told[1:]} in the {what} of a {method.kind} call, where exactly one is due",
        explanation=(
            f"By the schema {method.path} is {method.kind}. The {name} ended its part in order with {told}. {why} "
            "Certain as far as the schema given is the one that both sides were built with."
        ),
        evidence=[
            show(frame.excerpt, "the request's headers" if side == CLIENT else f"grpc-status {call.grpc_status}"),
            *([] if side == CLIENT else request_context(call)),
        ],
        details={"messages": count, "by": name, "grpc_status": call.grpc_status, "method_kind": method.kind},
        client_sees=clients.no_message() if side == SERVER and not count else [],
        retry_safe="unknown",
        retry_why="The call was processed." if call.grpc_status == s.OK else "The server decides what it did before.",
        fix="Compare the method's kind (stream or not) in the .proto files of both sides.",
        key=(what, count),
    )  # fmt: skip


RULES: tuple[Rule, ...] = (
    Rule(
        "grpc-payload-undecodable",
        "A message that is not of its method's type",
        "With a schema: the framing is fine, the payload is not the protobuf type that the method carries.",
        ("gRPC PROTOCOL-HTTP2, Length-Prefixed-Message", "Protocol Buffers, Encoding"),
        "call",
        _undecodable,
    ),
)
