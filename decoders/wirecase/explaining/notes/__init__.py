"""What each rule's page says beside the rule's own words, by rule id."""

from __future__ import annotations

from wirecase.explaining.notes import connection, framing, messages, network, observer, status, streams
from wirecase.explaining.notes.note import Note

NOTES: dict[str, Note] = {
    **messages.NOTES,
    **status.NOTES,
    **streams.NOTES,
    **connection.NOTES,
    **framing.NOTES,
    **network.NOTES,
    **observer.NOTES,
}

__all__ = ["NOTES", "Note"]
