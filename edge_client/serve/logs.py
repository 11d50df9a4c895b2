"""The server's log: one event a line on stderr, as text or as JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from edge_client.plain import OneLine


class JsonLine(OneLine):
    """One JSON object for one event: time, level, logger and message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        return json.dumps(
            {
                "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
                "level": record.levelname,
                "logger": record.name,
                "message": super().format(record),
            }
        )


def log_to_stderr(*, as_json: bool) -> None:
    """Sends the log to stderr from here on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLine("%(message)s") if as_json else OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
