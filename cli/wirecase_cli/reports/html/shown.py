"""Text of a capture on its way to the page: credentials masked, nothing invisible, no markup.

Every expression of a template goes through `Shown.finalize` before Jinja escapes it for HTML, and every string of the
page's data through `Shown.text`; so no template can forget it.
"""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

from wirecase_cli.reports import escape, masking

_FOR_SCRIPTS = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


class Shown:
    """Makes text safe to show."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def text(self, text: str) -> str:
        """Return `text` as one line, without control, bidi or invisible characters, credentials masked."""
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = escape.line(_masked(text))
        return found

    def finalize(self, value: Any) -> Any:
        """Make the value of a template's expression safe; what is markup of our own stays."""
        if isinstance(value, str) and not isinstance(value, Markup):
            return self.text(value)
        return value


def _masked(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    masked = masking.text(data)
    return text if masked == data else masked.decode("utf-8", "backslashreplace")


def data_block(document: Any) -> Markup:
    """Return a document as JSON that may stand inside a ``<script>`` element: nothing in it can end the element."""
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_FOR_SCRIPTS))  # noqa: S704 - pure ASCII without <, > and &
