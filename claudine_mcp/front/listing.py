"""Lists of tasks, page by page."""

from __future__ import annotations

import time
from collections.abc import Sequence

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.filters import MAX_PAGE, PAGE, TaskFilter
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import TaskRow, first_questions, row_of
from claudine_mcp.registry.alerts import open_alerts
from claudine_mcp.registry.commands import open_questions
from claudine_mcp.registry.tasks import find_tasks


async def list_tasks(
    front: Front, wanted: TaskFilter, limit: int = PAGE, cursor: str | None = None
) -> tuple[Sequence[TaskRow], str | None]:
    """Give a page of tasks, newest first, and the cursor of the next page, None after the last.

    Raises:
        InvalidInput: the limit or the cursor is none.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput("limit", f"{limit} is out of range", f"Give 1 to {MAX_PAGE}.")
    if cursor is not None and not cursor.isdecimal():
        raise InvalidInput(
            "cursor", f"{cursor[:40]!r} is none", "Give the nextCursor of an earlier answer, or none."
        )
    async with front.db.read() as tx:
        found = await find_tasks(tx, wanted.criteria(), limit + 1, None if cursor is None else int(cursor))
        asked = first_questions(await open_questions(tx))
        alerts = {alert.event.task_id: alert.event for alert in reversed(await open_alerts(tx, time.time()))}
    page = found[:limit]
    rows = [row_of(task, asked.get(task.id), alerts.get(task.id)) for task in page]
    return rows, str(page[-1].seq) if len(found) > limit else None
