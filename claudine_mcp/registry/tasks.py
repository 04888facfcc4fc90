"""Tasks and runs: how they are stored, found and moved from state to state.

Every function takes an open `Transaction`, so that what belongs together is committed together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from claudine_mcp.core.admission import IN_LINE
from claudine_mcp.core.errors import IllegalTransition, TaskNotFound
from claudine_mcp.core.models import JSON, Event, Run, Task
from claudine_mcp.core.states import Outcome, State, Trigger, advance
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.rows import (
    RUN_COLUMNS,
    TASK_COLUMNS,
    dump,
    optional,
    run_of,
    task_of,
)
from claudine_mcp.registry.worktrees import UNSETTLED


async def insert_task(tx: Transaction, task: Task) -> int:
    """Store a new task, with its class; give its place in the order of arrival.

    Raises:
        sqlite3.IntegrityError: the id is taken.
    """
    from claudine_mcp.core.classes import class_of  # noqa: PLC0415 - start-up time

    return await tx.insert(
        "INSERT INTO tasks (id, kind, name, cwd, spec, labels, depends_on, submitter, priority, state, created_at,"
        " queued_at, not_before, session_id, class_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            task.id,
            task.kind,
            task.name,
            task.cwd,
            dump(task.spec),
            dump(task.labels),
            dump([(item.task_id, item.on) for item in task.depends_on]),
            dump(task.submitter),
            task.priority,
            task.state,
            task.created_at,
            task.queued_at,
            task.not_before,
            task.session_id,
            class_of(task.kind, task.cwd, task.spec, task.labels).key,
        ),
    )


async def get_task(tx: Transaction, wanted: str) -> Task:
    """Give the task that has this id, or the only one whose id begins so.

    Raises:
        TaskNotFound: there is none, or several.
    """
    row = await tx.one(f"SELECT {TASK_COLUMNS} FROM tasks WHERE id = ?", (wanted,))
    if row is not None:
        return task_of(row)
    if not wanted:
        raise TaskNotFound(wanted)
    # A range instead of LIKE: it uses the index, and % and _ mean themselves.
    rows = await tx.all(
        f"SELECT {TASK_COLUMNS} FROM tasks WHERE id >= ? AND id < ? LIMIT 6", (wanted, wanted + "\U0010ffff")
    )
    if len(rows) == 1:
        return task_of(rows[0])
    if rows:
        raise TaskNotFound(wanted, [row["id"] for row in rows], ambiguous=True)
    recent = await tx.all("SELECT id FROM tasks ORDER BY seq DESC LIMIT 1000")
    raise TaskNotFound(wanted, [row["id"] for row in recent])


async def tasks_in(tx: Transaction, states: Sequence[State], limit: int = -1) -> list[Task]:
    """Give the tasks in these states: by priority, then by how long they are queued."""
    marks = ", ".join("?" * len(states))
    rows = await tx.all(
        f"SELECT {TASK_COLUMNS} FROM tasks WHERE state IN ({marks}) ORDER BY priority, queued_at, seq LIMIT ?",
        (*states, limit),
    )
    return [task_of(row) for row in rows]


async def count_by_state(tx: Transaction) -> dict[State, int]:
    """Give how many tasks are in each state; states without any are left out."""
    rows = await tx.all("SELECT state, count(*) FROM tasks GROUP BY state")
    return {State(row[0]): row[1] for row in rows}


async def has_work(tx: Transaction) -> bool:
    """Whether a supervisor is needed: for what is queued, active or asked for, or to see what an end has left."""
    row = await tx.one(
        "SELECT EXISTS (SELECT 1 FROM tasks WHERE state IN"
        " ('queued', 'starting', 'running', 'suspended', 'hibernating', 'stopping'))"
        " OR EXISTS (SELECT 1 FROM tasks WHERE state = 'hibernated' AND stopped ->> '$.by' = 'policy')"
        " OR EXISTS (SELECT 1 FROM commands WHERE done_at IS NULL)"
        " OR EXISTS (SELECT 1 FROM runs JOIN tasks ON id = task_id AND run = n"
        " WHERE gone_at IS NULL AND state = 'ended' AND leftovers = 0)"
        f" OR EXISTS ({UNSETTLED.format(columns=1)})"
    )
    return row is not None and bool(row[0])


async def in_transition(tx: Transaction) -> bool:
    """Whether anything is between two states: about to start or to stop, or asked for and not done."""
    row = await tx.one(
        "SELECT EXISTS (SELECT 1 FROM tasks WHERE state IN ('starting', 'stopping', 'hibernating'))"
        " OR EXISTS (SELECT 1 FROM commands WHERE done_at IS NULL)"
    )
    return row is not None and bool(row[0])


async def outcomes_of(tx: Transaction, ids: Sequence[str]) -> dict[str, Outcome | None]:
    """Give the outcome of each of these tasks, None while it has not ended; removed ones are left out."""
    marks = ", ".join("?" * len(ids))
    rows = await tx.all(f"SELECT id, outcome FROM tasks WHERE id IN ({marks})", ids)
    return {row[0]: None if row[1] is None else Outcome(row[1]) for row in rows}


async def move(tx: Transaction, task: Task, trigger: Trigger, event: Event | None, **columns: Any) -> State:
    """Take one step of the state machine, and say so: the guarded update and the event, together.

    Args:
        tx: the open write transaction.
        task: as it was read; the step is taken only if its state is still that.
        trigger: what happened.
        event: what everyone is told; None where the step is of no interest by itself.
        columns: further columns of the task to set, by name; dicts become JSON.

    Raises:
        IllegalTransition: the table does not have the step, or the task has moved on meanwhile.
    """
    state = advance(task.state, trigger)
    columns["state"] = state
    names = ", ".join(f"{name} = ?" for name in columns)
    values = [dump(value) if isinstance(value, dict) else value for value in columns.values()]
    changed = await tx.run(
        f"UPDATE tasks SET {names} WHERE id = ? AND state = ? AND run = ?",
        (*values, task.id, task.state, task.run),
    )
    if changed != 1:
        raise IllegalTransition(f"no longer {task.state}", trigger)
    if event is not None:
        await add_event(tx, event)
    return state


async def update_task(tx: Transaction, task_id: str, **columns: Any) -> None:
    """Set columns that are not part of the state machine."""
    names = ", ".join(f"{name} = ?" for name in columns)
    values = [dump(value) if isinstance(value, dict | list) else value for value in columns.values()]
    await tx.run(f"UPDATE tasks SET {names} WHERE id = ?", (*values, task_id))


async def delete_task(tx: Transaction, task_id: str) -> None:
    """Remove an ended task with its runs; its events stay until retention takes them."""
    await tx.run("DELETE FROM tasks WHERE id = ? AND state = 'ended'", (task_id,))


async def add_run(tx: Transaction, run: Run) -> None:
    """Store the intent to start a run."""
    await tx.run(
        "INSERT INTO runs (task_id, n, admitted_at) VALUES (?, ?, ?)", (run.task_id, run.n, run.admitted_at)
    )


async def update_run(tx: Transaction, run: Run, **columns: Any) -> None:
    """Set columns of a run."""
    names = ", ".join(f"{name} = ?" for name in columns)
    await tx.run(
        f"UPDATE runs SET {names} WHERE task_id = ? AND n = ?", (*columns.values(), run.task_id, run.n)
    )


async def runs_of(tx: Transaction, task_id: str) -> list[Run]:
    """Give the runs of a task, oldest first."""
    rows = await tx.all(f"SELECT {RUN_COLUMNS} FROM runs WHERE task_id = ? ORDER BY n", (task_id,))
    return [run_of(row) for row in rows]


async def run_seen(tx: Transaction, run: Run) -> JSON | None:
    """Give what was kept of a run's output to go on from, None while nothing was."""
    row = await tx.one("SELECT seen FROM runs WHERE task_id = ? AND n = ?", (run.task_id, run.n))
    return None if row is None else optional(row["seen"])


async def store_seen(tx: Transaction, seen: Sequence[tuple[Run, JSON, JSON]]) -> None:
    """Keep what the output of runs tells: what people are shown, and what its reader goes on from."""
    shown = [(dump(shown), run.task_id, run.n) for run, shown, _ in seen]
    states = [(dump(state), run.task_id, run.n) for run, _, state in seen]
    await tx.run_many("UPDATE tasks SET seen = ? WHERE id = ? AND run = ?", shown)
    await tx.run_many("UPDATE runs SET seen = ? WHERE task_id = ? AND n = ?", states)


async def runs_not_gone(tx: Transaction) -> list[tuple[Task, Run]]:
    """Give every run that may still have processes, with its task."""
    rows = await tx.all(f"SELECT {RUN_COLUMNS} FROM runs WHERE gone_at IS NULL")
    return [(await get_task(tx, row["task_id"]), run_of(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks are wanted; every field that is given must fit. `text` is looked for in name and id."""

    states: Sequence[str] = ()
    outcomes: Sequence[str] = ()
    kinds: Sequence[str] = ()
    priority: int | None = None
    label: str | None = None
    cwd: str | None = None
    text: str | None = None
    since: float | None = None

    def where(self) -> tuple[str, list[Any]]:
        """Give the SQL condition and its parameters."""
        parts: list[str] = ["1"]
        values: list[Any] = []
        for column, wanted in (("state", self.states), ("outcome", self.outcomes), ("kind", self.kinds)):
            if wanted:
                parts.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                values += wanted
        for sql, value in (
            ("priority = ?", self.priority),
            ("EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?)", self.label),
            ("cwd = ?", self.cwd),
            ("created_at >= ?", self.since),
        ):
            if value is not None:
                parts.append(sql)
                values.append(value)
        if self.text is not None:
            parts.append("(instr(lower(name), lower(?)) OR instr(id, ?))")
            values += [self.text, self.text]
        return " AND ".join(parts), values


async def find_tasks(tx: Transaction, wanted: Filter, limit: int, before: int | None = None) -> list[Task]:
    """Give tasks, newest first, at most `limit`, of those that came before the `seq` given."""
    where, values = wanted.where()
    if before is not None:
        where += " AND seq < ?"
        values.append(before)
    rows = await tx.all(
        f"SELECT {TASK_COLUMNS} FROM tasks WHERE {where} ORDER BY seq DESC LIMIT ?", (*values, limit)
    )
    return [task_of(row) for row in rows]


async def ahead_of(tx: Transaction, task: Task) -> int:
    """Give how many queued tasks stand before this one in line; see `core.admission.is_in_line` and `order`."""
    row = await tx.one(
        "SELECT count(*) FROM tasks WHERE state = 'queued' AND (priority, queued_at, seq) < (?, ?, ?)"
        f" AND (hold IS NULL OR json_extract(hold, '$.rule') IN ({', '.join('?' * len(IN_LINE))}))",
        (task.priority, task.queued_at, task.seq, *sorted(IN_LINE)),
    )
    return 0 if row is None else int(row[0])


async def newest_seq(tx: Transaction) -> int:
    """Give a number that grows with every task that is submitted."""
    row = await tx.one("SELECT seq FROM sqlite_sequence WHERE name = 'tasks'")
    return 0 if row is None else int(row[0])


async def dependents_of(tx: Transaction, task_id: str) -> list[str]:
    """Give the queued tasks that wait for this one."""
    rows = await tx.all(
        "SELECT id FROM tasks WHERE state = 'queued' AND EXISTS"
        " (SELECT 1 FROM json_each(depends_on) WHERE json_extract(value, '$[0]') = ?)",
        (task_id,),
    )
    return [row["id"] for row in rows]


async def existing_ids(tx: Transaction) -> set[str]:
    """Give the ids of all tasks."""
    return {row["id"] for row in await tx.all("SELECT id FROM tasks")}
