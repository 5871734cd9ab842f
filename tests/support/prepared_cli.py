"""The command with a prepared answer in place of the pipeline's, in this process or in one of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from wirecase.model import Diagnosis

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "WIRECASE_DEBUG")},
    "PYTHONPATH": os.pathsep.join([str(ROOT / "cli"), str(ROOT / "decoders")]),
}
CAPTURE = str(ROOT / "fixtures" / "incident" / "capture.pcapng")
"""Any that can be opened; what is told of it is prepared."""

STUBBED = """
import runpy, sys, types
sample = runpy.run_path({sample!r})
module = types.ModuleType("wirecase.pipeline")
module.Options = types.SimpleNamespace
module.diagnose = lambda options, **_: sample["incident"]()
sys.modules["wirecase.pipeline"] = module
import wirecase
wirecase.pipeline = module
from wirecase_cli.main import main
sys.exit(main())
"""


class Stub:
    """Stands in for the pipeline: hands back a prepared answer and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: Diagnosis | BaseException | None = None
        self.asked: Any = None

    def diagnose(self, options: Any, *, progress: Any = None, stop: Any = None, opened: Any = None) -> Diagnosis:
        self.asked = options
        if isinstance(self.answer, BaseException):
            raise self.answer
        assert self.answer is not None
        return self.answer


def stubbed(*arguments: str) -> list[str]:
    """The command line of such a process."""
    return [sys.executable, "-c", STUBBED.format(sample=str(ROOT / "tests" / "cli" / "conftest.py")), *arguments]
