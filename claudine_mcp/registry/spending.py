"""What Claude Code has cost: each run's dollars by day. It outlives the tasks, which a day's sum must not lose."""

from __future__ import annotations

from collections.abc import Sequence

from claudine_mcp.core.models import JSON, Run
from claudine_mcp.registry.database import Transaction

KEPT_DAYS = 35


async def note_costs(tx: Transaction, seen: Sequence[tuple[Run, JSON]], day: str) -> None:
    """Note what runs have cost by now, in the words of their output; what is more than was known is of this day.

    Args:
        tx: the transaction that keeps what was seen.
        seen: runs, and what is shown of each (`costUsd`).
        day: today, as `YYYY-MM-DD`.
    """
    rows = [(day, run.task_id, run.n, shown["costUsd"]) for run, shown in seen if shown.get("costUsd")]
    await tx.run_many(
        "INSERT INTO spending (day, task_id, run, usd)"
        " SELECT ?1, ?2, ?3, ?4 - coalesce((SELECT sum(usd) FROM spending WHERE task_id = ?2 AND run = ?3), 0)"
        " WHERE ?4 > coalesce((SELECT sum(usd) FROM spending WHERE task_id = ?2 AND run = ?3), 0) + 1e-9"
        " ON CONFLICT (task_id, run, day) DO UPDATE SET usd = usd + excluded.usd",
        rows,
    )


async def spent_on(tx: Transaction, day: str) -> float:
    """Give the dollars of a day, over all tasks, removed ones too."""
    row = await tx.one("SELECT coalesce(sum(usd), 0) FROM spending WHERE day = ?", (day,))
    return 0.0 if row is None else float(row[0])


async def spent_by(tx: Transaction, task_id: str, *, but_for_run: int | None = None) -> float:
    """Give the dollars of a task, over all its runs, or over all but one."""
    row = await tx.one(
        "SELECT coalesce(sum(usd), 0) FROM spending WHERE task_id = ? AND run IS NOT ?",
        (task_id, but_for_run),
    )
    return 0.0 if row is None else float(row[0])


async def forget_spending(tx: Transaction, before_day: str) -> None:
    """Remove what tasks that are gone have cost before this day."""
    await tx.run(
        "DELETE FROM spending WHERE day < ? AND task_id NOT IN (SELECT id FROM tasks)", (before_day,)
    )
