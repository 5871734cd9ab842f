"""Samples, and what a diagnosis of bytes or files of them says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wirecase.errors import InputError
from wirecase.model import Diagnosis, Finding
from wirecase.pipeline import Options, diagnose
from wirecase.session.call import Call

DATA = Path(__file__).with_name("data")
SAMPLES = sorted(
    path.name for path in DATA.iterdir() if path.suffix not in (".md",) and not path.name.startswith("raw-")
)


@dataclass
class Read:
    """A diagnosis and its calls: path and grpc-status, in order."""

    diagnosis: Diagnosis
    calls: list[tuple[str, int | None]]

    @property
    def rules(self) -> list[str]:
        """The rules that found something, but for the standing remark about the form."""
        return sorted(one.rule for one in self.diagnosis.findings if one.rule != "obs-form-limits")


def read(*sources: str | Path) -> Read:
    """Diagnose sources."""
    calls: list[tuple[int, str, int | None]] = []

    def on_call(call: Call, _findings: list[Finding]) -> None:
        calls.append((call.index or 0, (call.path or "").rpartition("/")[2], call.grpc_status))

    found = diagnose(Options([one if isinstance(one, str) else str(one) for one in sources]), on_call=on_call)
    assert not found.accounting.unbalanced
    assert found.accounting.captured == found.accounting.decoded + sum(found.accounting.skipped.values())
    return Read(found, [(path, status) for _, path, status in sorted(calls, key=lambda one: one[0])])


def read_unless_refused(source: Path) -> Read | None:
    """Diagnose a source; return None where it is refused in one line."""
    try:
        return read(source)
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError(str(error)) from error
        return None
