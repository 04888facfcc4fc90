"""Open warnings as people and agents are shown them."""

from __future__ import annotations

from pydantic import Field

from claudine_mcp.core.alerts import asks_permission
from claudine_mcp.core.models import Event
from claudine_mcp.core.units import format_time
from claudine_mcp.front.view import View

QUESTIONS = frozenset({"allow", "deny"})
ALWAYS = ("continue", "snooze")
"""What can be said to any alert, besides what it suggests: that it is all right, or that it can wait."""


class AlertView(View):
    """An open warning."""

    alert_id: int
    type: str
    severity: str
    task_id: str | None = None
    at: str | None = None
    message: str
    actions: list[str] = Field(description="for AnswerAlert")


def actions(event: Event) -> list[str]:
    """Give what can be answered."""
    suggested = [str(item["action"]) for item in event.suggestions]
    return suggested + [action for action in ALWAYS if action not in suggested and not asks_permission(event)]


def alert_view(event: Event) -> AlertView:
    """Show an alert."""
    return AlertView(
        alert_id=event.seq,
        type=event.type,
        severity=event.severity,
        task_id=event.task_id,
        at=format_time(event.at),
        message=event.message,
        actions=actions(event),
    )
