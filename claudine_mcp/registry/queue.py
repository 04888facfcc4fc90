"""The queue: what waits, what it waits for, and what holds all Claude Code together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from sqlite3 import Row

from claudine_mcp.core.admission import Active, Waiting
from claudine_mcp.core.classes import TaskClass
from claudine_mcp.core.demand import Demand, Durations, Need
from claudine_mcp.core.models import JSON, Kind, Priority
from claudine_mcp.core.states import ACTIVE, State
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.demand import CLASS_COLUMNS, class_of_row
from claudine_mcp.registry.rows import dependencies_of, dump, optional

QUOTA = "quota"
"""The quota of Claude Code is gone: `until`, `why`, and the `alertId` by which everyone was told."""
BUDGET = "budget"
"""`scheduling.dailyBudgetUsd` is spent: the `day`, the `alertId`, and whether it is `lifted` for that day."""

_RESOURCES = "spec ->> '$.resources.minMemory' AS least, spec ->> '$.resources.preferredMemory' AS preferred"


async def waiting_tasks(tx: Transaction, demand: Demand, at: float) -> list[Waiting]:
    """Give what admission needs of every queued task, mostly without reading their specifications.

    Args:
        tx: an open transaction.
        demand: what is known of classes of tasks.
        at: now, in seconds since the epoch.
    """
    rows = await tx.all(
        "SELECT id, seq, kind, priority, queued_at, not_before, depends_on, hold, session_id,"
        f" {CLASS_COLUMNS}, {_RESOURCES} FROM tasks WHERE state = 'queued'"
    )
    expected = _Expected(demand, at)
    found: list[Waiting] = []
    for row in rows:
        of = class_of_row(row)
        need = expected.need(of, row)
        preferred: int | None = row["preferred"]
        durations = expected.durations(of)
        found.append(
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
                need=need,
                preferred=None if preferred is None else need.at_least(preferred),
                lasts=None if durations is None else durations.eta(0.0),
            )
        )
    return found


async def active_tasks(tx: Transaction, demand: Demand, at: float, memory: Mapping[str, int]) -> list[Active]:
    """Give every task that has, or may have, processes of a run that has not ended.

    Args:
        tx: an open transaction.
        demand: what is known of classes of tasks.
        at: now, in seconds since the epoch.
        memory: bytes that the tree of each run uses now, by run id, as far as that is known.
    """
    marks = ", ".join("?" * len(ACTIVE))
    rows = await tx.all(
        "SELECT id, tasks.run, kind, priority, state, tasks.started_at, stopped ->> '$.at' AS stopped_at, suspended_s,"
        f" admitted_at, granted_bytes, {CLASS_COLUMNS}, {_RESOURCES} FROM tasks"
        f" LEFT JOIN runs ON task_id = id AND n = tasks.run WHERE state IN ({marks})",
        sorted(ACTIVE),
    )
    expected = _Expected(demand, at)
    found: list[Active] = []
    for row in rows:
        of = class_of_row(row)
        durations = expected.durations(of)
        ran_s = 0.0
        if row["started_at"] is not None and row["state"] != State.STARTING:
            until: float = at if row["stopped_at"] is None else row["stopped_at"]
            ran_s = max(0.0, until - row["started_at"] - (row["suspended_s"] or 0.0))
        found.append(
            Active(
                id=row["id"],
                kind=Kind(row["kind"]),
                priority=Priority(row["priority"]),
                need=expected.need(of, row).at_least(row["granted_bytes"] or 0),
                memory_bytes=memory.get(f"{row['id']}.{row['run']}"),
                is_suspended=row["state"] == State.SUSPENDED,
                ends=None if durations is None else durations.eta(ran_s),
                admitted_at=row["admitted_at"],
            )
        )
    return found


async def displaced_tasks(
    tx: Transaction, demand: Demand, at: float, memory: Mapping[str, int]
) -> list[Waiting]:
    """Give the tasks that the policy has stopped for more important ones, as they stand in line to go on.

    Args:
        tx: an open transaction.
        demand: what is known of classes of tasks.
        at: now, in seconds since the epoch.
        memory: bytes that the tree of each run uses now, by run id, as far as that is known.
    """
    rows = await tx.all(
        "SELECT id, seq, run, kind, priority, state, session_id, stopped ->> '$.at' AS stopped_at,"
        f" stopped ->> '$.freedBytes' AS freed, {CLASS_COLUMNS}, {_RESOURCES} FROM tasks"
        " WHERE state IN ('suspended', 'hibernated') AND stopped ->> '$.by' = 'policy'"
        " AND stopped ->> '$.for' IS NOT NULL"
    )
    expected = _Expected(demand, at)
    found: list[Waiting] = []
    for row in rows:
        need = expected.need(class_of_row(row), row)
        task = Waiting(
            row["id"],
            row["seq"],
            Priority(row["priority"]),
            row["stopped_at"],
            session=row["session_id"],
            kind=Kind(row["kind"]),
            need=need.at_least(row["freed"] or 0),
        )
        if row["state"] == State.SUSPENDED:
            holds_bytes = memory.get(f"{row['id']}.{row['run']}", 0)
            task = replace(task, is_stopped=True, need=need.besides(holds_bytes))
        found.append(task)
    return found


class _Expected:
    """What is expected of classes of tasks, each looked up once."""

    def __init__(self, demand: Demand, at: float) -> None:
        self._demand = demand
        self._at = at
        self._needs: dict[TaskClass, Need] = {}
        self._durations: dict[TaskClass, Durations | None] = {}

    def need(self, of: TaskClass, row: Row) -> Need:
        found = self._needs.get(of)
        if found is None:
            found = self._needs[of] = self._demand.need(of, self._at)
        least: int | None = row["least"]
        return found if least is None else found.at_least(least)

    def durations(self, of: TaskClass) -> Durations | None:
        if of not in self._durations:
            self._durations[of] = self._demand.durations(of, self._at)
        return self._durations[of]


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
