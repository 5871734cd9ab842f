"""Wireshark's own words about one packet, as pyshark reads them out of tshark's PDML.

Only pyshark's parser of a packet is used. Its captures run tshark through asyncio with child watchers that Python 3.14
no longer has; here tshark runs as everywhere else (`program.Child`), so nothing of that is ever called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from wirecase.errors import WirecaseError
from wirecase.sources.raw import shown
from wirecase.sources.tshark.program import Child, Tshark, TsharkError, preference_arguments

LONGEST = 64 << 20
"""Bytes of one packet's dissection."""
_EXTRA = "python -m pip install 'wirecase[tshark]'"


class ExtraMissingError(WirecaseError):
    """pyshark is not installed."""

    exit_status = 3


@dataclass(slots=True)
class Layer:
    """One protocol of a packet."""

    name: str
    """Wireshark's short name, e.g. ``http2``."""
    fields: list[tuple[str, str]] = field(default_factory=list)
    """(name of the field, what Wireshark says about it), in the order of the bytes."""


def dissect(
    program: Tshark, path: str, number: int, *, ports: Iterable[int] = (), preferences: Sequence[str] = (),
    stop: Callable[[], bool] | None = None,
) -> list[Layer]:  # fmt: skip
    """Return the layers of packet `number`, the outermost first; an empty list if there is no such packet.

    `ports` carry HTTP/2; `stop` may say that the answer is no longer wanted. The packets before are dissected too,
    since what a packet means depends on them. Raises `TsharkError` where tshark fails, `ExtraMissingError` without
    pyshark.
    """
    try:
        from pyshark.tshark.output_parser.tshark_xml import packet_from_xml_packet
    except ImportError as error:
        raise ExtraMissingError(f"pyshark is not installed: {_EXTRA}") from error
    arguments = ["-n", "-r", path, "-c", str(number), *preference_arguments(preferences)]
    for port in sorted(set(ports)):
        arguments += ["-d", f"tcp.port=={port},http2"]
    arguments += ["-Y", f"frame.number=={number}", "-T", "pdml"]
    held: list[bytes] = []
    size = 0
    with Child(program, arguments) as child:
        for line in child.lines():
            if line is None:
                if stop is not None and stop():
                    return []
                continue
            if held or line.lstrip().startswith(b"<packet>"):
                held.append(line)
                size += len(line)
            if size > LONGEST:
                raise TsharkError(f"{shown(path)}: the dissection of packet {number} is longer than {LONGEST:,} bytes")
            if line.strip() == b"</packet>":
                break
        else:
            if problem := child.finish():
                raise TsharkError(f"{shown(path)}: tshark: {problem}")
    if not held:
        return []
    packet = packet_from_xml_packet(b"\n".join(held))
    return [_layer(one) for one in [packet.frame_info, *packet.layers]]


def _layer(layer: object) -> Layer:
    """Put the fields of a pyshark layer back into the order of the bytes: it holds them by name."""
    told = Layer(str(getattr(layer, "layer_name", "")))
    placed: list[tuple[int, int, int, str, str]] = []
    for container in getattr(layer, "_all_fields", {}).values():
        for one in container.all_fields:
            text = str(one.showname or one.show or "")
            if text and not one.hide:
                placed.append((int(one.pos or 0), -int(one.size or 0), len(placed), str(one.name or ""), text))
    told.fields = [(name, text) for *_, name, text in sorted(placed)]
    return told
