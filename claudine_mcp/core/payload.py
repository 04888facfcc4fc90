"""An event as everyone outside is given it: the JSON of the interface."""

from __future__ import annotations

from claudine_mcp.core.models import JSON, Event
from claudine_mcp.core.units import format_time


def event_payload(event: Event) -> JSON:
    """Give `{seq, type, severity, taskId?, runId?, at, message, data, suggestions?}`."""
    payload: JSON = {
        "seq": event.seq,
        "type": event.type,
        "severity": event.severity.value,
        "taskId": event.task_id,
        "runId": event.run_id,
        "at": format_time(event.at),
        "message": event.message,
        "data": {key: value for key, value in event.data.items() if value is not None},
        "suggestions": [dict(item) for item in event.suggestions] or None,
    }
    return {key: value for key, value in payload.items() if value is not None}
