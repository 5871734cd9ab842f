"""Pictures of sessions: lanes of frames in time, and flow-control windows over time.

See `wirecase.picturing.model` for what they are made of.
"""

from __future__ import annotations

from wirecase.picturing.model import Limits, Picture
from wirecase.picturing.run import picture

__all__ = ["Limits", "Picture", "picture"]
