"""How tasks and events look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from claudine_mcp.cli.asking import asks
from claudine_mcp.cli.console import BAD, DIM, GOOD, fields, say, styled, table
from claudine_mcp.cli.delegated import claude_fields
from claudine_mcp.cli.words import ago, told
from claudine_mcp.core.models import Event, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.core.units import format_time, human_duration, human_size, parse_time
from claudine_mcp.front.views import TaskRow, TaskView, row_of

STYLE_OF: dict[str, str] = {
    **dict.fromkeys(map(str, Outcome), BAD),
    Outcome.SUCCEEDED: GOOD,
    Outcome.CANCELLED: DIM,
    Outcome.SKIPPED: DIM,
}


def standing(row: TaskRow) -> str:
    """Say where a task is: its outcome once it has ended, else its state."""
    return row.outcome or row.state


def tasks_table(rows: Sequence[TaskRow]) -> None:
    """Write tasks, a line each."""
    cells: list[list[str]] = []
    for row in rows:
        took = "" if row.runtime_seconds is None else human_duration(row.runtime_seconds)
        submitted = ago(parse_time(row.created_at, "createdAt"))
        why = row.reason or "" if row.question is None else asks(row.question)
        cells.append([row.task_id, standing(row), row.priority, submitted, took, row.name, why])
    headers = ["ID", "STATE", "PRIORITY", "SUBMITTED", "TOOK", "NAME", "WHY"]
    table(headers, cells, shorten=5, style_of=STYLE_OF)


def rows_table(rows: Sequence[TaskRow]) -> None:
    """Write active tasks, a line each."""
    cells = [
        [row.task_id, row.state, row.priority, human_duration(row.runtime_seconds or 0), row.name]
        for row in rows
    ]
    table(["ID", "STATE", "PRIORITY", "FOR", "NAME"], cells, shorten=4)


def task_fields(view: TaskView) -> None:
    """Write all that is known of a task."""
    state = view.state if view.outcome is None else f"{view.state}: {view.outcome}"
    if view.reason:
        state += f" ({view.reason})"
    command = view.command if isinstance(view.command, str) else " ".join(view.command or ())
    sizes = [
        f"{name} {human_size(size)}"
        for name, size in (("stdout", view.stdout_bytes), ("stderr", view.stderr_bytes))
        if size is not None
    ]
    earlier = [
        f"run {run.run}: {run.outcome or 'requeued'}" + (f" ({run.reason})" if run.reason else "")
        for run in view.earlier_runs or ()
    ]
    fields(
        [
            ("task", view.task_id),
            ("name", view.name),
            ("state", state),
            ("waits", None if view.queue is None else f"at place {view.queue.position}: {view.queue.reason}"),
            ("until", None if view.queue is None else view.queue.until),
            ("command", command or None),
            ("cwd", view.cwd),
            ("priority", view.priority),
            ("labels", ", ".join(view.labels) if view.labels else None),
            ("after", _dependencies(view)),
            ("not before", view.not_before),
            ("submitted", _when(view.created_at)),
            ("started", _when(view.started_at)),
            ("ended", _when(view.ended_at)),
            ("took", None if view.runtime_seconds is None else human_duration(view.runtime_seconds)),
            ("timeout", _timeout(view)),
            ("output", ", ".join(sizes) or None),
            (
                "silent for",
                None if view.silent_for_seconds is None else human_duration(view.silent_for_seconds),
            ),
            ("left running", _leftovers(view)),
            ("killed", "by the kernel, for memory" if view.killed_for_memory else None),
            ("runs", "; ".join(earlier) or None),
            ("note", view.note),
            *claude_fields(view),
        ]
    )


def _when(text: str | None) -> str | None:
    return None if text is None else f"{text} ({ago(parse_time(text, 'time'))})"


def _timeout(view: TaskView) -> str | None:
    if view.timeout_seconds is None:
        return None
    return f"{human_duration(view.timeout_seconds)}, then {view.on_timeout or 'notify'}"


def _dependencies(view: TaskView) -> str | None:
    return ", ".join(f"{item['taskId']} ({item['on']})" for item in view.depends_on or ()) or None


def _leftovers(view: TaskView) -> str | None:
    if not view.leftovers:
        return None
    noun = "process" if view.leftovers == 1 else "processes"
    return f"{view.leftovers} {noun}; `claudine-mcp cancel {view.task_id}` ends them"


def verdict(task: Task) -> str:
    """Say in one line how a task ended."""
    row = row_of(task)
    took = "" if row.runtime_seconds is None else f", {human_duration(row.runtime_seconds)}"
    return told(
        f"{row.task_id} {(row.outcome or row.state).replace('_', ' ')} ({row.reason}{took}): {row.name}"
    )


def succeeded(tasks: Sequence[Task]) -> bool:
    """Whether all of these tasks have ended well."""
    return all(task.state is State.ENDED and task.outcome is Outcome.SUCCEEDED for task in tasks)


def event_line(event: Event) -> str:
    """Write an event as one line."""
    actions = ", ".join(item["action"] for item in event.suggestions if "action" in item)
    offered = f" [{actions}]" if actions else ""
    at = format_time(event.at)
    return told(f"{event.seq} {at} {event.severity} {event.type} {event.message}{offered}")


def heading(text: str) -> None:
    """Write a heading."""
    say(styled(text, "1"))
