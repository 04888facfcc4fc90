"""Memory and slots that are kept free. What is reserved for a task is so until it runs or has ended."""

from __future__ import annotations

from dataclasses import dataclass

from claudine_mcp.core.admission import Reservation
from claudine_mcp.registry.database import Transaction

_COLUMNS = ("id", "memory_bytes", "slots", "task_id", "until", "at", "by")
_SELECTED = ", ".join(f"reservations.{name}" for name in _COLUMNS)


@dataclass(frozen=True, slots=True)
class Reserved(Reservation):
    """A reservation as it is stored; `at` is when it was made (seconds since the epoch), `by` whom."""

    at: float = 0.0
    by: str = ""


async def reservations(tx: Transaction, now: float) -> list[Reserved]:
    """Give those in force, oldest first: neither over nor used by a task that is being started."""
    rows = await tx.all(
        f"SELECT {_SELECTED} FROM reservations LEFT JOIN tasks ON tasks.id = task_id"
        " WHERE until > ? AND (task_id IS NULL OR state = 'queued') ORDER BY at, reservations.id",
        (now,),
    )
    return [Reserved(**dict(row)) for row in rows]


async def reservations_for(tx: Transaction, task_id: str) -> list[Reserved]:
    """Give what is stored for a task, in force or over: one at most."""
    rows = await tx.all(f"SELECT {_SELECTED} FROM reservations WHERE task_id = ?", (task_id,))
    return [Reserved(**dict(row)) for row in rows]


async def over_reservations(tx: Transaction, now: float) -> list[tuple[Reserved, str]]:
    """Give those that are there and not needed any more, each with the reason: used, ended (its task), or expired.

    Of a task that is being started nobody knows yet whether it will.
    """
    rows = await tx.all(
        f"SELECT {_SELECTED}, CASE WHEN coalesce(state, 'queued') = 'queued' THEN 'expired'"
        " WHEN state <> 'ended' OR EXISTS (SELECT 1 FROM runs WHERE runs.task_id = tasks.id AND n = tasks.run"
        " AND admitted_at >= reservations.at AND runs.started_at IS NOT NULL) THEN 'used' ELSE 'ended' END AS why"
        " FROM reservations LEFT JOIN tasks ON tasks.id = reservations.task_id"
        " WHERE (until <= ? OR reservations.task_id IS NOT NULL AND state <> 'queued')"
        " AND coalesce(state, '') <> 'starting' ORDER BY at, reservations.id",
        (now,),
    )
    return [(Reserved(**{name: row[name] for name in _COLUMNS}), row["why"]) for row in rows]


async def next_end(tx: Transaction, now: float) -> tuple[int, float | None]:
    """Give how many are there, and when the next of them ends by itself; None: none does."""
    row = await tx.one("SELECT count(*), min(CASE WHEN until > ? THEN until END) FROM reservations", (now,))
    return (0, None) if row is None else (row[0], row[1])


async def add_reservation(tx: Transaction, made: Reserved) -> None:
    """Store one."""
    await tx.run(
        "INSERT INTO reservations (id, memory_bytes, slots, task_id, until, at, by) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (made.id, made.memory_bytes, made.slots, made.task_id, made.until, made.at, made.by),
    )


async def delete_reservation(tx: Transaction, reservation_id: str) -> bool:
    """Remove one; give whether it was there."""
    return bool(await tx.run("DELETE FROM reservations WHERE id = ?", (reservation_id,)))
