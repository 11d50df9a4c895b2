"""The event log of all jobs, on disk."""

from __future__ import annotations

from sqlalchemy import Engine, insert, select

from coordinator.database import events, transaction
from coordinator.events import Event, event_from_json, event_to_json
from protos.errors import StateError


class EventLog:
    """Appends durably and reads back in order."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, job: str, event: Event) -> None:
        """Writes one event; it survives a power cut once this returns. Raises `StateError` on a full disk."""
        kind, body = event_to_json(event)
        with transaction(self._engine) as connection:
            connection.execute(insert(events).values(job=job, kind=kind, body=body))

    def read(self) -> list[tuple[str, Event]]:
        """Every (job, event), oldest first. Raises `StateError` on an event that this version does not know."""
        with transaction(self._engine) as connection:
            rows = connection.execute(select(events.c.job, events.c.kind, events.c.body).order_by(events.c.number))
            try:
                return [(row.job, event_from_json(row.kind, row.body)) for row in rows]
            except (KeyError, ValueError) as error:
                raise StateError(f"the event log cannot be read by this release: {error}") from error
