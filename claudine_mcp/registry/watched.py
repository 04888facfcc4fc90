"""What must be known of the tasks that run, to judge them: read at every tick, and so in few columns."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from claudine_mcp.core.states import State
from claudine_mcp.registry.database import Transaction


@dataclass(frozen=True, slots=True)
class Watched:
    """A task that has processes.

    Attributes:
        run: the number of its run.
        settings: what its project's file says, by dotted key.
        timeout_ms: its own; None: it names none.
        on_timeout: what its submitter wants then; None: to be told.
        started_at: when the run began, seconds since the epoch.
        can_rest: whether it could go on, or begin again, after its processes have gone.
    """

    task_id: str
    run: int
    name: str
    is_suspended: bool
    settings: Mapping[str, Any]
    timeout_ms: int | None
    on_timeout: str | None
    started_at: float | None
    can_rest: bool


async def watched_tasks(tx: Transaction) -> dict[str, Watched]:
    """Give the tasks that run, are suspended, or are being stopped, by the id of their run."""
    rows = await tx.all(
        "SELECT id, run, name, state, started_at, spec ->> '$.settings' AS settings, spec ->> '$.timeout' AS timeout,"
        " spec ->> '$.onTimeout' AS on_timeout, kind = 'claude' OR coalesce(spec ->> '$.restartable', 0) AS can_rest"
        " FROM tasks WHERE state IN ('running', 'suspended', 'stopping')"
    )
    return {
        f"{row['id']}.{row['run']}": Watched(
            row["id"],
            row["run"],
            row["name"],
            row["state"] == State.SUSPENDED,
            json.loads(row["settings"] or "{}"),
            row["timeout"],
            row["on_timeout"],
            row["started_at"],
            bool(row["can_rest"]),
        )
        for row in rows
    }


async def own_settings(tx: Transaction) -> Mapping[str, Mapping[str, Any]]:
    """Give what was set for one task alone, by its id and by dotted key."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in await tx.all("SELECT scope, key, value FROM overrides WHERE scope <> '*'"):
        found[row["scope"]][row["key"]] = json.loads(row["value"])
    return found
