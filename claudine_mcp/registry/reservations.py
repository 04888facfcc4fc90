"""Memory and slots that are kept free. What is reserved for a task is so until it runs or has ended."""

from __future__ import annotations

from dataclasses import dataclass

from claudine_mcp.core.admission import Reservation
from claudine_mcp.registry.database import Transaction

_COLUMNS = "reservations.id, memory_bytes, slots, task_id, until, at, by"


@dataclass(frozen=True, slots=True)
class Reserved(Reservation):
    """A reservation as it is stored; `at` is when it was made (seconds since the epoch), `by` whom."""

    at: float = 0.0
    by: str = ""


async def reservations(tx: Transaction, now: float) -> list[Reserved]:
    """Give those in force, oldest first: neither over nor used by a task that is being started."""
    rows = await tx.all(
        f"SELECT {_COLUMNS} FROM reservations LEFT JOIN tasks ON tasks.id = task_id"
        " WHERE (until IS NULL OR until > ?) AND (task_id IS NULL OR state = 'queued')"
        " ORDER BY at, reservations.id",
        (now,),
    )
    return [Reserved(**dict(row)) for row in rows]


async def add_reservation(tx: Transaction, made: Reserved) -> None:
    """Store one; one that there is for the same task goes."""
    await tx.run(
        "INSERT OR REPLACE INTO reservations (id, memory_bytes, slots, task_id, until, at, by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (made.id, made.memory_bytes, made.slots, made.task_id, made.until, made.at, made.by),
    )


async def delete_reservation(tx: Transaction, reservation_id: str) -> bool:
    """Remove one; give whether it was there."""
    return bool(await tx.run("DELETE FROM reservations WHERE id = ?", (reservation_id,)))


async def drop_expired(tx: Transaction, now: float) -> list[Reserved]:
    """Remove those whose time is over; give them."""
    rows = await tx.all(f"SELECT {_COLUMNS} FROM reservations WHERE until <= ?", (now,))
    await tx.run("DELETE FROM reservations WHERE until <= ?", (now,))
    return [Reserved(**dict(row)) for row in rows]
