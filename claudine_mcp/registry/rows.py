"""Rows to models and back."""

from __future__ import annotations

import json
from sqlite3 import Row
from typing import Any

from claudine_mcp.core.models import (
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
    "run, hold, supervised, leftovers"
)
RUN_COLUMNS = (
    "task_id, n, admitted_at, keeper, main, started_at, exited_at, gone_at, overdue_at, "
    "exit_code, signal, outcome, reason"
)
EVENT_COLUMNS = "seq, at, type, severity, task_id, run_id, message, data, suggestions"
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
    (seq, id_, kind, name, cwd, spec, labels, depends_on, submitter, priority, state, outcome, *rest) = tuple(
        row
    )
    (
        reason,
        exit_code,
        signal,
        memory,
        created,
        queued,
        started,
        ended,
        not_before,
        run,
        hold,
        supervised,
        left,
    ) = rest
    return Task(
        seq=seq,
        id=id_,
        kind=Kind(kind),
        name=name,
        cwd=cwd,
        spec=json.loads(spec),
        labels=tuple(json.loads(labels)),
        depends_on=dependencies_of(depends_on),
        submitter=json.loads(submitter),
        priority=Priority(priority),
        state=State(state),
        outcome=None if outcome is None else Outcome(outcome),
        reason=reason,
        exit_code=exit_code,
        signal=signal,
        killed_for_memory=bool(memory),
        created_at=created,
        queued_at=queued,
        started_at=started,
        ended_at=ended,
        not_before=not_before,
        run=run,
        hold=None if hold is None else json.loads(hold),
        supervised=bool(supervised),
        leftovers=left,
    )


def run_of(row: Row) -> Run:
    """Read a row of RUN_COLUMNS."""
    (*head, outcome, reason) = tuple(row)
    return Run(*head, outcome=None if outcome is None else Outcome(outcome), reason=reason)


def event_of(row: Row) -> Event:
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
