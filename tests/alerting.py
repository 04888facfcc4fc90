"""What is open about a task."""

from __future__ import annotations

from claudine_mcp.front.alert_views import AlertView
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front


async def alerts_about(front: Front, task_id: str) -> list[AlertView]:
    """Give the open alerts of a task, as TaskStatus shows them."""
    return (await task_view(front, task_id)).open_alerts or []
