"""Wireshark's own words about one packet, as text and for machines; credentials are masked."""

from __future__ import annotations

import json
from collections.abc import Iterator

from wirecase.sources.tshark.dissect import Layer
from wirecase_cli.reports import json_v1, masking
from wirecase_cli.reports.drawing import safe

SCHEMA = "wirecase/dissection/1"
_MOST = 2_000
"""Fields of one layer that are shown."""
_SAID_ELSEWHERE = frozenset(
    ("http2.headers", "http2.header.value", "http2.header.unescaped", "http2.header.value.length", "http.authbasic")
)
"""Fields that repeat a header's value without its name, or in its coded form: nothing there could be masked by name."""
_HEADER = "Header: "


def visible(layer: Layer, *, secrets: bool) -> Iterator[tuple[str, str]]:
    """Yield the fields of a layer with their texts, masked unless `secrets`."""
    for name, text in layer.fields[:_MOST]:
        if secrets:
            yield name, text
        elif name not in _SAID_ELSEWHERE:
            yield name, _masked(text)
    if len(layer.fields) > _MOST:
        yield "", f"and {len(layer.fields) - _MOST:,} more fields"


def _masked(text: str) -> str:
    start = _HEADER if text.startswith(_HEADER) else ""
    name, colon, value = text[len(start) :].partition(": ")
    if not colon:
        return masking.text(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    shown, _ = masking.value(name.strip().encode("utf-8", "replace"), value.encode("utf-8", "replace"))
    return f"{start}{name}{colon}{shown.decode('utf-8', 'replace')}"


def text_lines(layers: list[Layer], engine: str, packet: int, *, secrets: bool) -> Iterator[str]:
    """Yield the lines of the text form."""
    yield f"packet {packet} in the words of {safe(engine)}\n"
    for layer in layers:
        yield f"\n{safe(layer.name)}\n"
        for _, text in visible(layer, secrets=secrets):
            yield f"    {safe(text, 400)}\n"
    if not secrets:
        yield "\nCredentials are masked: --secrets shows them.\n"


def as_json(layers: list[Layer], engine: str, source: str, packet: int, *, secrets: bool) -> str:
    """Return ``wirecase/dissection/1``: the layers, each with its fields in the order of the bytes."""
    document = {
        "schema": SCHEMA,
        "engine": engine,
        "source": source,
        "packet": packet,
        "layers": [
            {
                "name": layer.name,
                "fields": [{"name": name, "text": text} for name, text in visible(layer, secrets=secrets)],
            }
            for layer in layers
        ],
    }
    return json.dumps(json_v1.json_safe(document), ensure_ascii=True, allow_nan=False, indent=2) + "\n"
