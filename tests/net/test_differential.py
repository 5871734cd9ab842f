"""The fast path against the slow one: the same calls (runs joined), the same marks, facts and books on any traffic."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from net_wire import ACK, FIN, PSH, RST, SYN, T0, Frame, Result, Talk, assemble, ethernet, ip4, ip6, read_pcap

DATA = Path(__file__).parent / "data"


def told(result: Result) -> list[Any]:
    """Everything that must not depend on the path, runs joined."""
    found: list[Any] = [result.accounting, result.assembler.notes, result.assembler.unsupported_links]
    for one in result.connections:
        connection = one.connection
        found.append((one.calls, one.marks, connection.sides[0].address))
        for side in connection.sides:
            found.append({f.name: getattr(side, f.name) for f in dataclasses.fields(side)})
        found.append((connection.index, connection.syn_seen, connection.offload, connection.end_reason,
                      connection.capture_end))  # fmt: skip
    return found


def agree(frames: list[Frame], link: int = 1, sizes: tuple[int, ...] = (10**9,)) -> None:
    """Both paths tell the same, batch size by batch size."""
    for size in sizes:
        slow = told(assemble(frames, link, columns=False, size=size))
        fast = told(assemble(frames, link, columns=True, size=size))
        assert fast == slow


@pytest.mark.parametrize("path", sorted(DATA.glob("*.pcap")), ids=lambda path: path.stem)
def test_captures(path: Path) -> None:
    link, frames = read_pcap(path)
    agree(frames, link, (10**9, 40, 7))


def _conversation(rng: random.Random, number: int) -> Talk:
    """One conversation, mostly in order, with the odd turns that TCP takes."""
    port = 40000 + number % 3
    talk = Talk(
        step=rng.choice((1_000, 100_000, 30_000_000)),
        isn=(rng.choice((1000, 2**32 - 40, 2**32 - 3000)), rng.choice((77, 2**32 - 500))),
        client=("10.0.0.1", port),
        time=T0 + number * rng.choice((0, 10**6, 5 * 10**9)),
    )
    if rng.random() < 0.8:
        talk.handshake(rng.choice((0, 7)))
    for _ in range(rng.choice((2, 20, 60))):
        side = rng.randrange(2)
        turn = rng.random()
        if turn < 0.55:
            for _ in range(rng.choice((1, 1, 5, 20))):
                talk.packet(
                    side, payload=rng.randbytes(rng.choice((1, 9, 100, 1448))), flags=rng.choice((ACK, ACK | PSH))
                )
        elif turn < 0.8:
            for _ in range(rng.choice((1, 1, 15))):
                talk.packet(side)
        elif turn < 0.83:
            talk.packet(side, window=0)
        elif turn < 0.86:
            talk.packet(side, talk.sent[side] - 1)
        elif turn < 0.9:
            talk.packet(
                side, max(talk.sent[side] - rng.randrange(1, 3000), 0), rng.randbytes(rng.choice((1, 700, 3000)))
            )
        elif turn < 0.93:
            talk.packet(side, talk.sent[side] + rng.choice((1, 1448, 10**6)), rng.randbytes(50))
        elif turn < 0.95:
            talk.packet(side, flags=rng.choice((RST, RST | ACK)), offset=talk.sent[side] + rng.choice((0, 0, 5, 10**7)))
        elif turn < 0.96:
            talk.packet(side, flags=FIN | ACK, payload=rng.randbytes(rng.choice((0, 30))))
        elif turn < 0.97:
            talk.packet(side, flags=SYN, seq=rng.choice((talk.isn[side], 5555)))
        elif turn < 0.98:
            talk.packet(side, payload=rng.randbytes(20_000))
        else:
            talk.time += 2_500_000_000
    ending = rng.random()
    if ending < 0.6:
        talk.close()
    elif ending < 0.75:
        talk.packet(rng.randrange(2), flags=RST | ACK)
    return talk


def _reshaped(data: bytes, shape: str, rng: random.Random) -> bytes:
    """The same packet with another link or network header; the conversation stays the same where `shape` is "mixed"."""
    packet = data[14:]
    if shape == "ipv6":
        one, two = bytes(12) + packet[12:16], bytes(12) + packet[16:20]
        return ethernet(ip6(packet[20:], source=one, target=two), 0x86DD, *rng.choice(((), (0x8100,))))
    if shape == "vlan":
        return ethernet(packet, 0x0800, 0x8100)
    if shape == "mixed" and rng.random() < 0.1:
        outer = ip4(b"\0\0\x08\0" + packet, protocol=47)
        return rng.choice((ethernet(packet, 0x0800, 0x88A8, 0x8100), ethernet(outer)))
    return data


def _traffic(seed: int) -> list[Frame]:
    """Some conversations in one capture that loses, doubles, reorders, cuts and damages packets."""
    rng = random.Random(seed)
    frames: list[Frame] = []
    for number in range(rng.choice((1, 1, 2, 4))):
        frames += _conversation(rng, number).frames
    frames.sort(key=lambda frame: frame[0])
    shape = rng.choice(("plain", "plain", "vlan", "ipv6", "mixed"))
    frames = [(time, _reshaped(data, shape, rng), length + 40) for time, data, length in frames]
    damage = rng.choice((0.0, 0.0, 0.01, 0.1))
    out: list[Frame] = []
    for time, data, length in frames:
        if rng.random() >= damage:
            out.append((time, data, length))
            continue
        turn = rng.randrange(6)
        if turn == 0:
            continue
        if turn == 1:
            out += [(time, data, length), (time + 5000, data, length)]
        elif turn == 2 and out:
            out.insert(len(out) - rng.randrange(min(len(out), 8)), (time, data, length))
        elif turn == 3:
            out.append((time, data[: rng.randrange(len(data))], length))
        elif turn == 4:
            place = rng.randrange(len(data))
            out.append((time, data[:place] + bytes((data[place] ^ 1 << rng.randrange(8),)) + data[place + 1 :], length))
        else:
            out.append((time, data + bytes(rng.randrange(30)), length + 30))
    return out


@given(st.integers(0, 2**32), st.sampled_from((10**9, 300, 50, 3)))
@settings(max_examples=150, deadline=None)
def test_damaged_traffic(seed: int, size: int) -> None:
    agree(_traffic(seed), sizes=(size,))
