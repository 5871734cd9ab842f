"""Which hop is at fault for a call: in front of the proxy, the proxy itself, or behind it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from wirecase.comparing.endings import client_left, ending_of, gave_up, how_words
from wirecase.comparing.model import Clock, Hop, LegCall, Pair
from wirecase.model import CLIENT, SERVER, Evidence
from wirecase.rules.base import show

_REFUSALS = (1, 2, 3, 6, 9)
"""Error codes that say that the other side broke the protocol (RFC 9113 §7)."""
_ABRUPT = ("rst", "fin", "tcp-rst", "goaway", "data")


class Blame(NamedTuple):
    """A verdict on one call."""

    hop: Hop
    certainty: Literal["certain", "probable", "possible"]
    why: str
    front: list[Evidence]
    back: list[Evidence]


def blame(pair: Pair, clock: Clock) -> Blame | None:
    """Return who is at fault for a call, or None if it went well on both legs, or alike by the application's will."""
    front, back = pair.front, pair.back
    if front.in_order and back.in_order and front.status == back.status and not pair.breaks:
        return None
    if front.how == "open" or back.how == "open":
        if not pair.breaks:
            return None
    certainty: Literal["certain", "probable"] = "probable" if pair.matched_by == "path and time" else "certain"
    if front.blurred or back.blurred or not clock.consistent or clock.uncertainty is None:
        certainty = "probable"
    here, there = ending_of(front, "in front"), ending_of(back, "behind")
    if client_left(front, back, clock):
        return Blame("client", certainty, f"The client left first: in front {how_words(front)}.", here, there)
    if gave_up(front, back, clock):
        why = f"The proxy ended the call before the server did: {_worse(front)}."
        return Blame("proxy", certainty, why, here, there)
    if back.by == SERVER and back.how in _ABRUPT and not back.in_order:
        why = f"The call broke behind the proxy: {how_words(back)}."
        if pair.breaks:
            why += f" The proxy made it worse: {_worse(front)}."
        return Blame("server", certainty, why, here, there)
    if back.server_faults and not back.in_order:
        rules = ", ".join(back.server_faults[:3])
        why = f"Behind the proxy the server's answer breaks the protocol already ({rules})."
        return Blame("server", certainty, why, here, there)
    if back.by == CLIENT and back.how == "rst" and back.response is not None and back.code in _REFUSALS:
        why = f"The proxy refused what the server had sent: behind, {_as_proxy(back)}."
        return Blame("unknown", "possible", why, here, there)
    if back.by == CLIENT and back.how in ("rst", "fin", "tcp-rst"):
        why = f"Behind, the proxy itself gave the call up ({_as_proxy(back)}), and the client had not."
        return Blame("proxy", certainty, why, here, there)
    if back.response_body.foreign is not None:
        return Blame(
            "server", certainty, "What is no gRPC message is there behind the proxy already.",
            [show(front.response_body.foreign, "in front")] if front.response_body.foreign else here,
            [show(back.response_body.foreign, "behind")],
        )  # fmt: skip
    if back.in_order:
        why = f"Behind the proxy the call ended in order (grpc-status {back.status}); in front, {_worse(front)}."
        if front.in_order and front.status == back.status and front.response_body.foreign is None:
            why = "Both legs end with the same status, and the proxy changed what the call carries."
        return Blame("proxy", certainty, why, here, there)
    if (front.how, front.code, front.http_status) == (back.how, back.code, back.http_status):
        return Blame("server", "probable", f"Both legs end alike: {how_words(back)}.", here, there)
    return Blame("unknown", "possible", f"Behind, {how_words(back)}; in front, {how_words(front)}.", here, there)


def _worse(front: LegCall) -> str:
    if front.response_body.foreign is not None:
        return "the client gets bytes that are no gRPC message"
    if front.http_status not in (None, 200):
        return f"the client gets HTTP {front.http_status}"
    if front.in_order:
        return f"the client gets grpc-status {front.status}"
    return how_words(front)


def _as_proxy(back: LegCall) -> str:
    """Say what the proxy did behind: there it is the client."""
    return how_words(back).replace("the client", "it")
