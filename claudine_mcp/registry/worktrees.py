"""Tasks with git worktrees."""

from __future__ import annotations

from claudine_mcp.core.models import Task
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import TASK_COLUMNS, task_of

UNSETTLED = (
    "SELECT {columns} FROM tasks WHERE state = 'ended' AND worktree IS NOT NULL"
    " AND json_extract(worktree, '$.fate') IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM runs WHERE task_id = tasks.id AND gone_at IS NULL)"
)
"""Ended tasks of which nothing is left running, and whose worktrees nobody has decided about."""
REMOVED = "(worktree IS NULL OR json_extract(worktree, '$.fate') = 'removed')"


async def unsettled(tx: Transaction) -> list[Task]:
    """Give the ended tasks of which nothing runs, and whose worktrees nobody has decided about."""
    return [task_of(row) for row in await tx.all(UNSETTLED.format(columns=TASK_COLUMNS))]


async def keepers_of_worktrees(tx: Transaction, before: float) -> list[str]:
    """Give the tasks that ended before this time and still have their worktrees."""
    rows = await tx.all(
        f"SELECT id FROM tasks WHERE state = 'ended' AND ended_at < ? AND NOT {REMOVED}", (before,)
    )
    return [row["id"] for row in rows]
