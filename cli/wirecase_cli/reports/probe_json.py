"""A probe as JSON (``wirecase/probe/1``; its schema is ``probe_v1.schema.json``)."""

from __future__ import annotations

import json
from typing import Any

from wirecase import __version__
from wirecase.probing import Probe
from wirecase_cli.reports.json_v1 import json_safe, report
from wirecase_cli.reports.times import rfc3339

SCHEMA = "wirecase/probe/1"
VERDICTS = {0: "fine", 1: "findings", 3: "unreachable", 4: "untold"}


def render(found: Probe) -> str:
    """Return the document, with its newline."""
    return json.dumps(json_safe(document(found)), indent=2, ensure_ascii=True) + "\n"


def document(found: Probe) -> dict[str, Any]:
    """Return the document."""
    target, tls = found.request.target, found.tls
    return {
        "schema": SCHEMA,
        "version": __version__,
        "target": {"name": target.name, "address": target.address},
        "started": rfc3339(found.started),
        "verdict": VERDICTS[found.status],
        "interrupted": found.interrupted,
        "unreachable": found.unreachable or None,
        "tls": None if tls is None else {
            "version": tls.version or None, "cipher": tls.cipher or None, "alpn": tls.alpn, "trusted": tls.trusted,
            "problem": tls.problem or None, "subject": tls.subject or None, "issuer": tls.issuer or None,
            "names": tls.names, "not_before": tls.not_before or None, "not_after": tls.not_after or None,
        },
        "settings": found.settings,
        "services": found.services,
        "checks": [
            {"id": one.id, "state": one.state, "text": one.text, "seconds": one.seconds, "details": one.details}
            for one in found.checks
        ],
        "findings": [one.id for one in found.counted],
        "report": None if found.diagnosis is None else report(found.diagnosis),
    }  # fmt: skip
