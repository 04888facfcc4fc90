"""What admission is given: read from the registry in one place, for the supervisor and for whoever plays it through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from claudine_mcp.core.admission import Active, Caps, Machine, MemoryHold, Situation, Starts
from claudine_mcp.core.admission.soft_cap import SoftCap
from claudine_mcp.core.config import Settings
from claudine_mcp.core.demand import Demand
from claudine_mcp.core.models import JSON, Kind, Priority
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.paused import paused
from claudine_mcp.registry.queue import active_tasks, busy_sessions, displaced_tasks, waiting_tasks
from claudine_mcp.registry.reservations import reservations
from claudine_mcp.registry.rows import dump
from claudine_mcp.registry.tasks import outcomes_of

STANDING: Final = "admission"
GROWN_S: Final = 30.0
"""A run that nobody measures is taken to use what is expected of it after so long, and nothing before."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the supervisor went by when it last looked at the queue.

    Attributes:
        at: when that was, seconds since the epoch.
        soft_cap: in force then.
        machine: as it was; None: it was not looked at.
        claude_hold: what held all Claude Code; None: nothing did.
        memory: what held everything for protective mode; None: nothing did.
    """

    at: float
    soft_cap: SoftCap
    machine: Machine | None = None
    claude_hold: JSON | None = None
    memory: MemoryHold | None = None


async def standing(tx: Transaction) -> Standing | None:
    """Give what admission last went by; None: no supervisor has ever looked at a queue."""
    row = await tx.one("SELECT value FROM meta WHERE key = ?", (STANDING,))
    if row is None:
        return None
    stored: JSON = json.loads(row["value"])
    machine, memory = stored["machine"], stored["memory"]
    return Standing(
        stored["at"],
        SoftCap(**stored["softCap"]),
        None if machine is None else Machine(**machine),
        stored["claudeHold"],
        None if memory is None else _memory_hold(memory),
    )


def _memory_hold(stored: JSON) -> MemoryHold:
    least: int | None = stored.get("least")
    return MemoryHold(stored["hold"], frozenset(stored["butFor"]), None if least is None else Priority(least))


async def keep_standing(tx: Transaction, now: Standing) -> None:
    """Keep what admission goes by."""
    memory = now.memory
    stored: JSON = {
        "at": now.at,
        "softCap": now.soft_cap._asdict(),
        "machine": None if now.machine is None else asdict(now.machine),
        "claudeHold": now.claude_hold,
        "memory": None
        if memory is None
        else {"hold": memory.hold, "butFor": sorted(memory.but_for), "least": memory.least},
    }
    await tx.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (STANDING, dump(stored)))


async def read_situation(
    tx: Transaction,
    settings: Settings,
    demand: Demand,
    memory: Mapping[str, int],
    going_by: Standing,
) -> Situation:
    """Give everything that admission decides by.

    Args:
        tx: an open transaction.
        settings: in force.
        demand: what is known of classes of tasks.
        memory: bytes that the tree of each run uses now, by run id, as far as that is known.
        going_by: what is not in tables: the time, the machine, the soft cap, and what holds many tasks together.
    """
    now = going_by.at
    limits, scheduling = settings.limits, settings.scheduling
    waiting = await waiting_tasks(tx, demand, now)
    active = await active_tasks(tx, demand, now, memory)
    if not settings.monitoring.enabled:
        active = [_guessed(task, now) for task in active]
    wanted = {item.task_id for task in waiting for item in task.depends_on}
    return Situation(
        waiting=waiting,
        active=active,
        caps=Caps(going_by.soft_cap.cap, limits.hard_max_concurrent, limits.soft_max_concurrent),
        now=now,
        outcomes=await outcomes_of(tx, sorted(wanted)),
        machine=going_by.machine,
        n_sigma=scheduling.n_sigma,
        ageing_s=scheduling.ageing / 1000,
        max_load=scheduling.max_load,
        starts=await _starts(tx, settings, now),
        busy_sessions=await busy_sessions(tx),
        claude_hold=going_by.claude_hold,
        memory=going_by.memory,
        paused=await paused(tx),
        reservations=await reservations(tx, now),
        displaced=await displaced_tasks(tx, demand, now, memory),
    )


def _guessed(task: Active, now: float) -> Active:
    """Give a task that nobody measures the size that is expected of it: what it uses is missing from what is free."""
    is_grown = task.admitted_at is not None and now - task.admitted_at >= GROWN_S
    return replace(task, memory_bytes=round(task.need.mean_bytes) if task.need and is_grown else None)


async def _starts(tx: Transaction, settings: Settings, now: float) -> Starts | None:
    """Give the starts of Claude Code that the bucket still knows; None: they are not spaced."""
    burst, spacing_s = settings.start_burst, settings.scheduling.start_spacing / 1000
    if not spacing_s:
        return None
    rows = await tx.all(
        "SELECT admitted_at FROM runs WHERE admitted_at > ? AND (SELECT kind FROM tasks WHERE id = task_id) = ?"
        " ORDER BY admitted_at",
        (now - burst * spacing_s, Kind.CLAUDE),
    )
    return Starts(burst, spacing_s, [row["admitted_at"] for row in rows])
