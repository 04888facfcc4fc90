"""Rows to models and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Row
from typing import Any

from claudine_mcp.core.models import (
    Checkpoint,
    Command,
    CommandKind,
    Dependency,
    Event,
    Kind,
    Priority,
    Run,
    Severity,
    Task,
)
from claudine_mcp.core.states import Outcome, State

TASK_COLUMNS = (
    "seq, id, kind, name, cwd, spec, labels, depends_on, submitter, priority, state, outcome, reason, "
    "exit_code, signal, killed_for_memory, created_at, queued_at, started_at, ended_at, not_before, "
    "run, hold, supervised, leftovers, session_id, seen, stopped, resumes, worktree, "
    "(SELECT suspended_s FROM runs WHERE task_id = tasks.id AND n = tasks.run) AS suspended_s"
)
RUN_COLUMNS = (
    "task_id, n, admitted_at, keeper, main, started_at, exited_at, gone_at, overdue_at, "
    "exit_code, signal, outcome, reason, suspended_s, resumed_at"
)
"""Without `seen`, which can be large and is for the run's own watcher."""
LAST_SEQ = 2**63 - 1
"""SQLite numbers no row higher."""
EVENT_COLUMNS = "seq, at, type, severity, task_id, run_id, message, data, suggestions"
CHECKPOINT_COLUMNS = (
    "seq, id, task_id, run, at, cause, label, state, session_id, repository, ref, commit_id, details"
)
COMMAND_COLUMNS = "seq, id, kind, task_id, args, origin, created_at, taken_at, done_at, result"

SEVERITIES = list(Severity)


def dump(value: Any) -> str:
    """Give JSON in its shortest form."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def dependencies_of(text: str) -> tuple[Dependency, ...]:
    """Read the column `depends_on`."""
    return tuple(Dependency(task_id, on) for task_id, on in json.loads(text))


def task_of(row: Row) -> Task:
    """Read a row of TASK_COLUMNS."""
    return Task(
        seq=row["seq"],
        id=row["id"],
        kind=Kind(row["kind"]),
        name=row["name"],
        cwd=row["cwd"],
        spec=json.loads(row["spec"]),
        labels=tuple(json.loads(row["labels"])),
        depends_on=dependencies_of(row["depends_on"]),
        submitter=json.loads(row["submitter"]),
        priority=Priority(row["priority"]),
        state=State(row["state"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        reason=row["reason"],
        exit_code=row["exit_code"],
        signal=row["signal"],
        killed_for_memory=bool(row["killed_for_memory"]),
        created_at=row["created_at"],
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        not_before=row["not_before"],
        run=row["run"],
        hold=optional(row["hold"]),
        supervised=bool(row["supervised"]),
        leftovers=row["leftovers"],
        session_id=row["session_id"],
        seen=optional(row["seen"]),
        stopped=optional(row["stopped"]),
        resumes=row["resumes"],
        worktree=optional(row["worktree"]),
        suspended_s=row["suspended_s"] or 0.0,
    )


def optional(text: str | None) -> Any:
    """Read a column of JSON that may be empty."""
    return None if text is None else json.loads(text)


def run_of(row: Row) -> Run:
    """Read a row of RUN_COLUMNS."""
    values: dict[str, Any] = {name: row[name] for name in RUN_COLUMNS.split(", ")}
    outcome: str | None = values.pop("outcome")
    return Run(**values, outcome=None if outcome is None else Outcome(outcome))


def checkpoint_of(row: Row) -> Checkpoint:
    """Read a row of CHECKPOINT_COLUMNS."""
    values: dict[str, Any] = {name: row[name] for name in CHECKPOINT_COLUMNS.split(", ")}
    state, details = State(values.pop("state")), json.loads(values.pop("details"))
    return Checkpoint(**values, state=state, details=details)


def event_of(row: Sequence[Any] | Row) -> Event:
    """Read a row of EVENT_COLUMNS."""
    seq, at, type_, severity, task_id, run_id, message, data, suggestions = tuple(row)
    return Event(
        seq=seq,
        at=at,
        type=type_,
        severity=SEVERITIES[int(severity)],
        task_id=task_id,
        run_id=run_id,
        message=message,
        data=json.loads(data),
        suggestions=tuple(json.loads(suggestions)),
    )


def command_of(row: Row) -> Command:
    """Read a row of COMMAND_COLUMNS."""
    seq, id_, kind, task_id, args, origin, created_at, taken_at, done_at, result = tuple(row)
    return Command(
        seq=seq,
        id=id_,
        kind=CommandKind(kind),
        task_id=task_id,
        args=json.loads(args),
        origin=json.loads(origin),
        created_at=created_at,
        taken_at=taken_at,
        done_at=done_at,
        result=None if result is None else json.loads(result),
    )
