"""Running the client's own command: start it, watch it, end it, and read what it says about its calls."""

from wirecase.replay.client.command import Target, environment, fill
from wirecase.replay.client.process import ClientProcess
from wirecase.replay.client.reported import ReportFile

__all__ = ["ClientProcess", "ReportFile", "Target", "environment", "fill"]
