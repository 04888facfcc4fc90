"""Removing what is old."""

from __future__ import annotations

from claudine_mcp.registry.database import Transaction

_GONE = "NOT EXISTS (SELECT 1 FROM runs WHERE task_id = tasks.id AND gone_at IS NULL)"
_NOT_AWAITED = (
    "NOT EXISTS (SELECT 1 FROM tasks AS other, json_each(other.depends_on) AS item"
    " WHERE other.state = 'queued' AND json_extract(item.value, '$[0]') = tasks.id)"
)


async def remove_ended(tx: Transaction, before: float, limit: int) -> list[str]:
    """Remove tasks that ended before this time, left nothing running and are not waited for; give their ids."""
    rows = await tx.all(
        f"SELECT id FROM tasks WHERE state = 'ended' AND ended_at < ? AND {_GONE} AND {_NOT_AWAITED} LIMIT ?",
        (before, limit),
    )
    ids = [row["id"] for row in rows]
    if ids:
        await tx.run_many("DELETE FROM tasks WHERE id = ?", [(task_id,) for task_id in ids])
    return ids


async def ended_before(tx: Transaction, before: float) -> list[tuple[str, int]]:
    """Give tasks that ended before this time and left nothing running, each with its number of runs."""
    rows = await tx.all(
        f"SELECT id, run FROM tasks WHERE state = 'ended' AND ended_at < ? AND {_GONE}", (before,)
    )
    return [(row["id"], row["run"]) for row in rows]


async def expire_events(tx: Transaction, before: float) -> None:
    """Remove events that happened before this time."""
    await tx.run("DELETE FROM events WHERE at < ?", (before,))


async def expire_commands(tx: Transaction, before: float) -> None:
    """Remove commands that were done before this time."""
    await tx.run("DELETE FROM commands WHERE done_at < ?", (before,))
