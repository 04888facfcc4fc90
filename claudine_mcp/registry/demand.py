"""What is known of classes of tasks: what their runs needed, and how long they took."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from sqlite3 import Row

from claudine_mcp.core.classes import TaskClass, class_of, class_with_key
from claudine_mcp.core.demand import Demand
from claudine_mcp.core.models import JSON, Kind
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import dump

CLASS_COLUMNS = (
    "class_key, CASE WHEN class_key IS NULL"
    " THEN json_array(kind, cwd, json(spec), json(labels)) END AS class_parts"
)
"""Of `tasks`: what `class_of_row` reads. A row of an older version has no key."""


async def load_demand(tx: Transaction) -> Demand:
    """Give everything that is known."""
    rows = await tx.all("SELECT class_key, state FROM demand")
    return Demand({row["class_key"]: json.loads(row["state"]) for row in rows})


async def store_demand(tx: Transaction, changed: Mapping[str, JSON]) -> None:
    """Keep what has changed, as `Demand.changed` gave it."""
    rows = [(key, state["seenAt"], dump(state)) for key, state in changed.items()]
    await tx.run_many("INSERT OR REPLACE INTO demand VALUES (?, ?, ?)", rows)


async def forget_demand(tx: Transaction, keys: Iterable[str]) -> None:
    """Forget what is known of some classes."""
    await tx.run_many("DELETE FROM demand WHERE class_key = ?", [(key,) for key in keys])


async def task_class(tx: Transaction, task_id: str) -> TaskClass | None:
    """Give the class of a task; None: it was removed."""
    row = await tx.one(f"SELECT {CLASS_COLUMNS} FROM tasks WHERE id = ?", (task_id,))
    return None if row is None else class_of_row(row)


def class_of_row(row: Row) -> TaskClass:
    """Read the class of a task from CLASS_COLUMNS."""
    if row["class_key"] is not None:
        return class_with_key(row["class_key"])
    kind, cwd, spec, labels = json.loads(row["class_parts"])
    return class_of(Kind(kind), cwd, spec, labels)
