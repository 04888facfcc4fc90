"""Whether the queue is paused: one row of `meta`, so that it is so for every supervisor that comes."""

from __future__ import annotations

import json

from claudine_mcp.core.models import JSON
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import dump

PAUSED = "paused"


async def paused(tx: Transaction) -> JSON | None:
    """Give `since` when (seconds since the epoch) the queue is paused, `by` whom, and the `reason`; None: it is not."""
    row = await tx.one("SELECT value FROM meta WHERE key = ?", (PAUSED,))
    return None if row is None else json.loads(row["value"])


async def keep_paused(tx: Transaction, value: JSON | None) -> None:
    """Keep that the queue is paused, as `paused` gives it; None: that it is not."""
    if value is None:
        await tx.run("DELETE FROM meta WHERE key = ?", (PAUSED,))
    else:
        await tx.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (PAUSED, dump(value)))


async def queued_count(tx: Transaction) -> int:
    """Give how many tasks are queued."""
    row = await tx.one("SELECT count(*) FROM tasks WHERE state = 'queued'")
    return 0 if row is None else int(row[0])
