"""Who submitted tasks, and which tasks a session has submitted."""

from __future__ import annotations

import json
from collections.abc import Collection

from claudine_mcp.core.models import JSON, Task
from claudine_mcp.core.states import State
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.rows import TASK_COLUMNS, task_of

GOING_ON = tuple(state for state in State if state not in {State.HIBERNATED, State.ENDED})


async def going_on(tx: Transaction, session: str, until: float) -> list[Task]:
    """Give the tasks of a session that will end by themselves, but for those that may not start before `until`."""
    marks = ", ".join("?" * len(GOING_ON))
    rows = await tx.all(
        f"SELECT {TASK_COLUMNS} FROM tasks WHERE state IN ({marks})"
        " AND json_extract(submitter, '$.session') = ? AND coalesce(not_before, 0) <= ? ORDER BY seq",
        (*GOING_ON, session, until),
    )
    return [task_of(row) for row in rows]


async def submitters_of(tx: Transaction, ids: Collection[str]) -> dict[str, JSON]:
    """Give who submitted each of these tasks; removed ones are left out."""
    marks = ", ".join("?" * len(ids))
    rows = await tx.all(f"SELECT id, submitter FROM tasks WHERE id IN ({marks})", list(ids))
    return {row["id"]: json.loads(row["submitter"]) for row in rows}
