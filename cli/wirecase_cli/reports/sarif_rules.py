"""Rules as SARIF describes them: what each is, its page as help, and an address where its reference is read."""

from __future__ import annotations

import re
from typing import Any

from wirecase.explaining import markdown, pages
from wirecase.explaining.page import Page
from wirecase_cli.reports import escape

_RFC = re.compile(r"RFC (\d+)(?: §([0-9.]+))?")
_GRPC = {
    "gRPC PROTOCOL-HTTP2": "https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md",
    "gRPC PROTOCOL-WEB": "https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md",
    "gRPC compression.md": "https://github.com/grpc/grpc/blob/master/doc/compression.md",
    "gRPC http-grpc-status-mapping.md": "https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md",
    "gRPC keepalive.md": "https://github.com/grpc/grpc/blob/master/doc/keepalive.md",
    "gRPC statuscodes.md": "https://github.com/grpc/grpc/blob/master/doc/statuscodes.md",
}


def message(text: str) -> dict[str, str]:
    """Return a SARIF message of one harmless line.

    Braces would be placeholders (§3.11.5), brackets with parentheses links (§3.11.6).
    """
    safe = escape.line(text)
    for char in "\\[]":
        safe = safe.replace(char, f"\\{char}")
    return {"text": safe.replace("{", "{{").replace("}", "}}") or "-"}


def descriptor(rule: str) -> dict[str, Any]:
    """Return the reporting descriptor of a rule (§3.49)."""
    found: dict[str, Any] = {"id": rule}
    page = pages().get(rule)
    if page is None:
        return found
    found["shortDescription"] = {"text": page.title}
    found["fullDescription"] = {"text": page.summary}
    found["help"] = {"text": _help(page), "markdown": markdown(page)}
    uri = next((uri for uri in map(reference_uri, page.references) if uri is not None), None)
    if uri is not None:
        found["helpUri"] = uri
    found["properties"] = {"tags": ["grpc", "http2", "network"], "references": list(page.references)}
    return found


def _help(page: Page) -> str:
    parts = [page.summary, page.wire, f"What to look at next: {page.check}" if page.check else ""]
    parts += [f"What mends it: {page.fix}" if page.fix else "", f"See {'; '.join(page.references)}."]
    return "\n\n".join(part for part in parts if part)


def reference_uri(reference: str) -> str | None:
    """Return where a rule's reference is read; None for one that has no address here."""
    if (rfc := _RFC.fullmatch(reference)) is not None:
        section = f"#section-{rfc[2]}" if rfc[2] else ""
        return f"https://www.rfc-editor.org/rfc/rfc{rfc[1]}.html{section}"
    if reference.startswith("CVE-"):
        return f"https://www.cve.org/CVERecord?id={reference}"
    return _GRPC.get(reference.split(",", 1)[0])
