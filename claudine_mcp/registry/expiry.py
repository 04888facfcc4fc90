"""Removing what is old."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Row

from claudine_mcp.core.models import Severity
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.worktrees import REMOVED

_GONE = "NOT EXISTS (SELECT 1 FROM runs WHERE task_id = tasks.id AND gone_at IS NULL)"
_NOT_AWAITED = (
    "NOT EXISTS (SELECT 1 FROM tasks AS other, json_each(other.depends_on) AS item"
    " WHERE other.state = 'queued' AND json_extract(item.value, '$[0]') = tasks.id)"
)


async def remove_ended(tx: Transaction, before: float, limit: int) -> list[str]:
    """Remove tasks that ended before this time and left nothing, running or in a worktree; give their ids.

    Those that others wait for stay.
    """
    rows = await tx.all(
        f"SELECT id FROM tasks WHERE state = 'ended' AND ended_at < ? AND {_GONE} AND {_NOT_AWAITED}"
        f" AND {REMOVED} LIMIT ?",
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


async def expire_events(tx: Transaction, after: int, before: float, limit: int) -> int | None:
    """Remove those of the next events after a cursor that happened before this time.

    Numbers follow the order in which events were written, times only as far as nobody sets the clock.

    Returns:
        The cursor after those that were looked at; None: there is no older one beyond.
    """
    rows = await tx.all("SELECT seq, at FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
    return await _remove_older(tx, rows, before, limit)


async def expire_signs_of_life(tx: Transaction, after: int, before: float, limit: int) -> int | None:
    """Do the same for the events `task:active` alone."""
    rows = await tx.all(
        "SELECT seq, at FROM events WHERE type = 'task:active' AND severity = ? AND seq > ? ORDER BY seq LIMIT ?",
        (Severity.DEBUG.rank, after, limit),
    )
    return await _remove_older(tx, rows, before, limit)


async def _remove_older(tx: Transaction, rows: Sequence[Row], before: float, limit: int) -> int | None:
    old = [(row["seq"],) for row in rows if row["at"] < before]
    if old:
        await tx.run_many("DELETE FROM events WHERE seq = ?", old)
    return rows[-1]["seq"] if old and len(rows) == limit else None


async def expire_commands(tx: Transaction, before: float) -> None:
    """Remove commands that were done before this time."""
    await tx.run("DELETE FROM commands WHERE done_at < ?", (before,))
