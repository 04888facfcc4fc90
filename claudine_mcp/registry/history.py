"""How long runs have taken: what the past of a task's class tells."""

from __future__ import annotations

import json

from claudine_mcp.core.classes import class_of
from claudine_mcp.core.eta import PastRun
from claudine_mcp.core.models import Kind, Task
from claudine_mcp.core.states import Outcome
from claudine_mcp.registry.database import Transaction

RECENT_TASKS = 1000
"""So many tasks that have ended are looked through, the last first: a walk along an index."""
MOST_RUNS = 200
"""So many runs in the same place are looked at, the last first, for those of the class."""
ENOUGH_RUNS = 50

_ITS_OWN_END = {Outcome.SUCCEEDED, Outcome.FAILED}


async def past_runs(tx: Transaction, task: Task) -> list[PastRun]:
    """Give how long the last runs of a task's class took, suspended time apart, its own included; the newest first.

    A run that was cancelled, or ended by a signal from elsewhere, is censored: it would have taken longer.
    """
    wanted = class_of(task.kind, task.cwd, task.spec, task.labels)
    columns = "kind, spec, labels, runs.started_at, exited_at, suspended_s, runs.outcome, runs.signal"
    over = "runs.started_at IS NOT NULL AND exited_at IS NOT NULL"
    rows = await tx.all(
        f"SELECT {columns} FROM (SELECT id AS recent, kind AS of, cwd AS place FROM tasks INDEXED BY tasks_by_end"
        " WHERE state = 'ended' ORDER BY ended_at DESC LIMIT ?) JOIN tasks ON id = recent JOIN runs ON task_id = id"
        f" WHERE of = ? AND place = ? AND {over}"
        f" UNION ALL SELECT {columns} FROM tasks JOIN runs ON task_id = id"
        f" WHERE id = ? AND state <> 'ended' AND {over} ORDER BY exited_at DESC LIMIT ?",
        (RECENT_TASKS, task.kind, task.cwd, task.id, MOST_RUNS),
    )
    found: list[PastRun] = []
    for row in rows:
        labels: list[str] = json.loads(row["labels"])
        if class_of(Kind(row["kind"]), task.cwd, json.loads(row["spec"]), labels) != wanted:
            continue
        is_censored = row["outcome"] not in _ITS_OWN_END or row["signal"] is not None
        found.append(
            PastRun(max(row["exited_at"] - row["started_at"] - row["suspended_s"], 0.0), is_censored)
        )
        if len(found) == ENOUGH_RUNS:
            break
    return found
