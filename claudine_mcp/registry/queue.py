"""The queue: what waits, what it waits for, and what holds all Claude Code together."""

from __future__ import annotations

import json

from claudine_mcp.core.admission import Active, Waiting
from claudine_mcp.core.models import JSON, Kind, Priority
from claudine_mcp.core.states import ACTIVE, State
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import dependencies_of, dump, optional

QUOTA = "quota"
"""The quota of Claude Code is gone: `until`, `why`, and the `alertId` by which everyone was told."""
BUDGET = "budget"
"""`scheduling.dailyBudgetUsd` is spent: the `day`, the `alertId`, and whether it is `lifted` for that day."""


async def waiting_tasks(tx: Transaction) -> list[Waiting]:
    """Give what admission needs of every queued task, without reading their specifications."""
    rows = await tx.all(
        "SELECT id, seq, kind, priority, queued_at, not_before, depends_on, hold, session_id FROM tasks"
        " WHERE state = 'queued'"
    )
    return [
        Waiting(
            id=row["id"],
            seq=row["seq"],
            kind=Kind(row["kind"]),
            priority=Priority(row["priority"]),
            queued_at=row["queued_at"],
            not_before=row["not_before"],
            depends_on=dependencies_of(row["depends_on"]),
            hold=optional(row["hold"]),
            session=row["session_id"],
        )
        for row in rows
    ]


async def active_tasks(tx: Transaction) -> list[Active]:
    """Give every task that has, or may have, processes of a run that has not ended."""
    marks = ", ".join("?" * len(ACTIVE))
    rows = await tx.all(
        f"SELECT id, kind, priority, state FROM tasks WHERE state IN ({marks})", sorted(ACTIVE)
    )
    return [
        Active(
            id=row["id"],
            kind=Kind(row["kind"]),
            priority=Priority(row["priority"]),
            is_suspended=row["state"] == State.SUSPENDED,
        )
        for row in rows
    ]


async def busy_sessions(tx: Transaction) -> dict[str, str]:
    """Give the Claude Code sessions that a run is in, each with its task."""
    marks = ", ".join("?" * len(ACTIVE))
    rows = await tx.all(
        f"SELECT session_id, id FROM tasks WHERE session_id IS NOT NULL AND state IN ({marks})",
        sorted(ACTIVE),
    )
    return {row["session_id"]: row["id"] for row in rows}


async def set_holds(tx: Transaction, holds: dict[str, JSON]) -> None:
    """Note by which rule each of these queued tasks is held."""
    await tx.run_many(
        "UPDATE tasks SET hold = ? WHERE id = ? AND state = 'queued'",
        [(dump(hold), task_id) for task_id, hold in holds.items()],
    )


async def claude_holds(tx: Transaction) -> dict[str, JSON]:
    """Give what is known of `QUOTA` and `BUDGET`, by name; what was never needed is left out."""
    rows = await tx.all("SELECT key, value FROM meta WHERE key IN (?, ?)", (QUOTA, BUDGET))
    return {row["key"]: json.loads(row["value"]) for row in rows}


async def keep_claude_hold(tx: Transaction, name: str, value: JSON | None) -> None:
    """Keep what is known of `QUOTA` or `BUDGET`; None: nothing."""
    if value is None:
        await tx.run("DELETE FROM meta WHERE key = ?", (name,))
    else:
        await tx.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, dump(value)))
