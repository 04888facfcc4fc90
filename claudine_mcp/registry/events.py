"""Events: written once, read by cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claudine_mcp.core.alerts import is_alert, passed_with
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.registry.alerts import clear_alerts, raise_alert
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import EVENT_COLUMNS, dump, event_of

NEAR = 2000
"""A reader usually stands closer to the end; to look at so many takes 0.3 ms."""
FEW_TASKS = 50
"""Of so many all events are looked at; of more, all events of the types that are wanted."""


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
    """Give events that came after the cursor, oldest first; none of the types in `without`.

    Where a filter is given, the next `NEAR` events are looked at one by one, and what is beyond is found by an
    index: few may fit of a million.
    """
    where, values = _filter(task_ids, types, without, min_severity)
    values |= {"after": after, "limit": limit}
    if not where:
        rows = await tx.all(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE seq > :after ORDER BY seq LIMIT :limit", values
        )
        return [event_of(row) for row in rows]
    fits = " AND ".join(where)
    rows = await tx.all(
        f"SELECT {EVENT_COLUMNS} FROM (SELECT * FROM events WHERE seq > :after ORDER BY seq LIMIT {NEAR})"
        f" WHERE {fits} ORDER BY seq LIMIT :limit",
        values,
    )
    last = await tx.one(
        f"SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT 1 OFFSET {NEAR - 1}", (after,)
    )
    if len(rows) < limit and last is not None:
        values |= {"after": last["seq"], "limit": limit - len(rows)}
        if 0 < len(task_ids) <= FEW_TASKS:
            found = f"SELECT seq FROM events INDEXED BY events_by_task WHERE seq > :after AND {fits}"
        else:
            kinds = [
                name for name in await _types(tx) if name not in without and (not types or name in types)
            ]
            found = _by_kind(kinds, min_severity, values, fits if task_ids else "")
        rows += await tx.all(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE seq IN ({found} ORDER BY seq LIMIT :limit) ORDER BY seq",
            values,
        )
    return [event_of(row) for row in rows]


def _filter(
    task_ids: Sequence[str], types: Sequence[str], without: Sequence[str], min_severity: Severity
) -> tuple[list[str], dict[str, Any]]:
    """Give the conditions that events have to meet, and the values in them."""
    where: list[str] = []
    values: dict[str, Any] = {}
    if min_severity.rank:
        where.append("severity >= :severity")
        values["severity"] = min_severity.rank
    for name, condition, wanted in (
        ("tasks", "task_id IN", task_ids),
        ("types", "type IN", types),
        ("without", "type NOT IN", without),
    ):
        if wanted:
            where.append(f"{condition} (SELECT value FROM json_each(:{name}))")
            values[name] = dump(list(wanted))
    return where, values


async def _types(tx: Transaction) -> list[str]:
    """Give the types that there are, by a leap in the index for each: a DISTINCT would read all of it."""
    rows = await tx.all(
        "WITH RECURSIVE kinds (type) AS (SELECT min(type) FROM events UNION ALL"
        " SELECT (SELECT min(type) FROM events WHERE type > kinds.type) FROM kinds WHERE type IS NOT NULL)"
        " SELECT type FROM kinds WHERE type IS NOT NULL"
    )
    return [row["type"] for row in rows]


def _by_kind(kinds: Sequence[str], min_severity: Severity, values: dict[str, Any], fits: str) -> str:
    """Give SQL for the first numbers of each type and severity, in each of which the index has them in order."""
    parts = ["SELECT 0 AS seq WHERE FALSE"]
    for number, kind in enumerate(kinds):
        values[f"kind{number}"] = kind
        parts += [
            "SELECT * FROM (SELECT seq FROM events INDEXED BY events_by_type"
            f" WHERE type = :kind{number} AND severity = {rank} AND seq > :after {fits and 'AND ' + fits}"
            " ORDER BY seq LIMIT :limit)"
            for rank in range(min_severity.rank, len(Severity))
        ]
    return f"SELECT seq FROM ({' UNION ALL '.join(parts)})"


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
