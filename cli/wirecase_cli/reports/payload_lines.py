"""Messages field by field, for timelines: a few lines for people, all of it for machines. Credentials are masked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from wirecase.case.redact.policy import is_secret_name
from wirecase.grpc.arrow_ipc import ArrowMessage, Column
from wirecase.grpc.flight import CREDENTIALS
from wirecase.grpc.views import Node, View, reads_like_text
from wirecase.listing.payloads import MessageView
from wirecase_cli.reports import escape, json_v1, masking, words
from wirecase_cli.reports.lines import safe

FEW, ALL = 10, 2_000
"""Lines of one message that are shown, without ``--all`` and with it."""
_TEXT = 160
_BYTES = 24
_COLUMNS = 12


def lines(one: MessageView, *, secrets: bool, most: int) -> Iterator[str]:
    """Yield the lines of a message, safe to show, at most `most` of them."""
    view = one.view
    if view is None or (view.problem and not view.type) or not (view.nodes or view.type):
        return
    yield f"message {one.number}: {safe(view.type) if view.type else 'protobuf without a schema'}" + (
        ", its beginning" if view.cut else ""
    )
    left = most
    for line in _nodes(_shown(view, secrets=secrets), 1, secrets=secrets):
        if left <= 0:
            yield "  … more fields" + ("; --all shows them" if most == FEW else "")
            break
        left -= 1
        yield line
    if view.left_out:
        yield f"  … {words.plural(view.left_out, 'more field')}"
    if view.problem:
        yield f"  does not decode: {safe(view.problem)} (byte {words.number(view.offset)})"


def _shown(view: View, *, secrets: bool) -> list[Node]:
    """Return a message's fields, without what Flight's handshake logs in with."""
    hidden = None if secrets else CREDENTIALS.get(view.type)
    if hidden is None:
        return view.nodes
    return [
        replace(node, value=f"(masked, {words.size(node.size)})", type="masked") if node.name == hidden else node
        for node in view.nodes
    ]


def _nodes(nodes: list[Node], depth: int, *, secrets: bool) -> Iterator[str]:
    for node in nodes:
        name = safe(node.name) if node.name else str(node.number)
        indent = "  " * min(depth, 12)
        if node.arrow is not None:
            yield f"{indent}{name}: {_arrow(node.arrow)}"
        elif node.value is None:
            kind = f" ({safe(node.type)})" if node.known else ""
            yield f"{indent}{name}{kind}, {words.size(node.size)}:" if node.children else f"{indent}{name}{kind}: empty"
            yield from _nodes(node.children, depth + 1, secrets=secrets)
        else:
            yield f"{indent}{name}: {_value(node, secrets=secrets)}"


def _value(node: Node, *, secrets: bool) -> str:
    value = _masked(node, secrets=secrets)
    if node.label:
        return f"{safe(node.label)} ({value})"
    if node.type == "masked":
        return str(value)
    if isinstance(value, str):
        return f'"{escape.cut(safe(value, 4 * _TEXT), _TEXT)}"' + _rest(node, len(value.encode("utf-8", "replace")))
    if isinstance(value, bytes):
        if value and reads_like_text(value, cut=len(value) < node.size):
            text = safe(escape.from_bytes(value), 4 * _TEXT)
            return f'"{escape.cut(text, _TEXT)}" ({words.size(node.size)})'
        more = " …" if node.size > _BYTES else ""
        return f"{words.size(node.size)}" + (f", {value[:_BYTES].hex(' ')}{more}" if value else "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _rest(node: Node, shown: int) -> str:
    return f" ({words.size(node.size)})" if node.size > max(shown, _TEXT) else ""


def _masked(node: Node, *, secrets: bool) -> Any:
    """Return the value for showing: what its name or its shape calls a credential is masked."""
    value = node.value
    if secrets or value is None:
        return value
    if node.name and is_secret_name(node.name.lower()) and not isinstance(value, bool):
        return f"(masked, {words.size(node.size)})" if node.size else "(masked)"
    if isinstance(value, str):
        return masking.text(value.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return masking.text(value)
    return value


def _arrow(arrow: ArrowMessage) -> str:
    if arrow.kind == "Schema":
        shown = [f"{safe(one.name, 60)} {one.type}" for one in arrow.columns[:_COLUMNS]]
        more = arrow.column_count - len(shown)
        told = ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
        return f"Arrow schema, {words.plural(arrow.column_count, 'column')}" + (f": {told}" if told else "")
    told = f"Arrow {arrow.kind}"
    if arrow.rows is not None:
        told += f", {words.plural(arrow.rows, 'row')}"
    return f"{told}, body of {words.size(max(arrow.body_length, 0))}"


def as_json(one: MessageView, *, secrets: bool) -> dict[str, Any]:
    """Return a message as JSON writes it."""
    view = one.view
    found: dict[str, Any] = {"number": one.number, "length": one.length, "compressed": one.compressed}
    if view is not None:
        found |= _view(view, secrets=secrets)
    safe_: dict[str, Any] = json_v1.json_safe(found)
    return safe_


def _view(view: View, *, secrets: bool) -> dict[str, Any]:
    return {
        "type": view.type or None,
        "fields": [_node(node, secrets=secrets) for node in _shown(view, secrets=secrets)],
        "problem": view.problem or None,
        "problem_offset": view.offset if view.problem else None,
        "left_out": view.left_out,
        "cut": view.cut,
    }


def _node(node: Node, *, secrets: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"number": node.number, "name": node.name or None, "type": node.type}
    value = _masked(node, secrets=secrets)
    if node.value is None:
        found |= {"size": node.size, "fields": [_node(child, secrets=secrets) for child in node.children]}
    elif node.arrow is not None:
        found |= {"size": node.size, "arrow": _arrow_json(node.arrow)}
    elif isinstance(value, bytes):
        found |= {"size": node.size, "hex": value.hex()}
    else:
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)
        found["value"] = value
        if node.size:
            found["size"] = node.size
        if node.label:
            found["label"] = node.label
    return found


def _arrow_json(arrow: ArrowMessage) -> dict[str, Any]:
    return {
        "kind": arrow.kind,
        "body_length": arrow.body_length,
        "columns": [_column(one) for one in arrow.columns],
        "column_count": arrow.column_count,
        "rows": arrow.rows,
        "nodes": arrow.nodes,
        "buffers": arrow.buffers,
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "nullable": column.nullable,
        "children": [_column(child) for child in column.children],
    }
