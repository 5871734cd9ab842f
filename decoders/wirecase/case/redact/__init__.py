"""Redaction of a case while it is written, so that it may be attached to a public report.

A `Redactor` is given everything in the order in which it is written: header lists, messages, foreign bodies, debug
data, addresses. What it returns has the same length and structure, so that the fault is still reached. `search` then
proves that nothing removed is left, and `find_shapes` that nothing looks like a secret.

Four kinds of things are told apart. *Secrets* (by the name of their field, or by their shape) never stay. *Places*
(hosts and addresses) become pseudonyms. *Payloads* are somebody's data: their values are replaced, their structure
stays. *Evidence* (status texts, debug data, the text of foreign bodies) stays, with secrets and places in it masked.
"""

from wirecase.case.redact.policy import ALLOWED, Payloads, Policy
from wirecase.case.redact.redactor import Redactor
from wirecase.case.redact.search import Hit, search, searching
from wirecase.case.redact.shapes import Shape, find_shapes

__all__ = ["ALLOWED", "Hit", "Payloads", "Policy", "Redactor", "Shape", "find_shapes", "search", "searching"]
