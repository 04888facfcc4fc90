"""Events: written once, read by cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claudine_mcp.core.alerts import is_alert, passed_with
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.registry.alerts import clear_alerts, raise_alert
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import EVENT_COLUMNS, dump, event_of


async def add_event(tx: Transaction, event: Event) -> int:
    """Store an event, with what it means for alerts; give its `seq`."""
    seq = await tx.insert(
        "INSERT INTO events (at, type, severity, task_id, run_id, message, data, suggestions)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.at,
            event.type,
            event.severity.rank,
            event.task_id,
            event.run_id,
            event.message,
            dump(event.data),
            dump(event.suggestions),
        ),
    )
    if (passed := passed_with(event)) is not None:
        await clear_alerts(tx, passed, event.at)
    if is_alert(event):
        await raise_alert(tx, seq, event)
    return seq


async def events_after(
    tx: Transaction,
    after: int,
    *,
    limit: int = 500,
    task_ids: Sequence[str] = (),
    types: Sequence[str] = (),
    without: Sequence[str] = (),
    min_severity: Severity = Severity.DEBUG,
) -> list[Event]:
    """Give events that came after the cursor, oldest first; none of the types in `without`."""
    where = ["seq > ?", "severity >= ?"]
    values: list[Any] = [after, min_severity.rank]
    for column, wanted in (("task_id", task_ids), ("type", types)):
        if wanted:
            where.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values += wanted
    if without:
        where.append(f"type NOT IN ({', '.join('?' * len(without))})")
        values += without
    rows = await tx.all(
        f"SELECT {EVENT_COLUMNS} FROM events WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?",
        (*values, limit),
    )
    return [event_of(row) for row in rows]


async def events_before(tx: Transaction, until: int, *, limit: int) -> list[Event]:
    """Give the last events up to and with the cursor, oldest first."""
    rows = await tx.all(
        f"SELECT {EVENT_COLUMNS} FROM events WHERE seq <= ? ORDER BY seq DESC LIMIT ?", (until, limit)
    )
    return [event_of(row) for row in reversed(rows)]


async def get_event(tx: Transaction, seq: int) -> Event | None:
    """Give an event, None if there is none with this number, or not any more."""
    row = await tx.one(f"SELECT {EVENT_COLUMNS} FROM events WHERE seq = ?", (seq,))
    return None if row is None else event_of(row)


async def last_seq(tx: Transaction) -> int:
    """Give the cursor that stands after everything that has happened."""
    row = await tx.one("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
    return 0 if row is None else int(row[0])
