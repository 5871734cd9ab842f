"""From words to the wire: what a log line may stand for, a rule's page, and a log beside a capture."""

from __future__ import annotations

from wirecase.explaining.bridge import match
from wirecase.explaining.explanation import Candidate, Explanation, explain
from wirecase.explaining.numbers import Decoded
from wirecase.explaining.page import Page, index, markdown, pages

__all__ = ["Candidate", "Decoded", "Explanation", "Page", "explain", "index", "markdown", "match", "pages"]
