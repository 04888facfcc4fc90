"""How tasks and events look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from claudine_mcp.cli.asking import asks
from claudine_mcp.cli.console import BAD, DIM, GOOD, fields, say, styled, table
from claudine_mcp.cli.delegated import claude_fields
from claudine_mcp.cli.words import ago, told
from claudine_mcp.core.models import Event, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.core.units import format_time, human_duration, human_size, parse_time, printable
from claudine_mcp.front.alert_views import AlertView
from claudine_mcp.front.health.findings import plural
from claudine_mcp.front.progress_views import EtaView, ProgressView
from claudine_mcp.front.system_views import Machine, ReservationView
from claudine_mcp.front.views import SampleView, TaskRow, TaskView, row_of
from claudine_mcp.front.worktree_views import WorktreeView

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
        asked = None if row.question is None else asks(row.question)
        noted = asked or row.alert or row.reason or _suspended(row) or progress_words(row.progress)
        cells.append([row.task_id, standing(row), row.priority, submitted, took, row.name, noted])
    headers = ["ID", "STATE", "PRIORITY", "SUBMITTED", "TOOK", "NAME", "NOTE"]
    table(headers, cells, shorten=5, style_of=STYLE_OF)


def alerts_table(alerts: Sequence[AlertView]) -> None:
    """Write what is wrong, a line each, with the number by which it is answered."""
    cells = [
        [str(alert.alert_id), alert.severity, ago(parse_time(alert.at or "", "at")), alert.message]
        for alert in alerts
    ]
    table(["ALERT", "SEVERITY", "SINCE", "WHAT"], cells, shorten=3)
    say("`claudine-mcp answer ALERT continue`, or `snooze`; `cancel` ends the task")


def reservations_table(reservations: Sequence[ReservationView]) -> None:
    """Write what is kept free, a line each."""
    cells = [
        [
            each.reservation_id,
            human_size(each.memory_bytes),
            str(each.slots),
            each.until,
            each.task_id or "",
            each.by,
        ]
        for each in reservations
    ]
    table(["ID", "MEMORY", "SLOTS", "UNTIL", "FOR TASK", "BY"], cells, shorten=5)


def rows_table(rows: Sequence[TaskRow]) -> None:
    """Write active tasks, a line each."""
    cells = [
        [
            row.task_id,
            row.state,
            row.priority,
            human_duration(row.runtime_seconds or 0),
            row.name,
            _suspended(row) or progress_words(row.progress),
        ]
        for row in rows
    ]
    table(["ID", "STATE", "PRIORITY", "FOR", "NAME", "PROGRESS"], cells, shorten=4)


def progress_words(progress: ProgressView | None) -> str:
    """Say how far a task is: "42 % building"."""
    if progress is None:
        return ""
    percent = None if progress.percent is None else f"{progress.percent:g} %"
    if percent is not None and progress.of_phase:
        percent += " of" if progress.phase else " of a phase"
    return " ".join(part for part in (percent, progress.phase) if part)


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
        f"run {run.run}: " + (f"{run.outcome} ({run.reason})" if run.outcome else run.reason or "requeued")
        for run in view.earlier_runs or ()
    ]
    fields(
        [
            ("task", view.task_id),
            ("name", view.name),
            ("state", state),
            ("suspended", _suspended(view)),
            ("waits", None if view.queue is None else f"at place {view.queue.position}: {view.queue.reason}"),
            ("until", None if view.queue is None else view.queue.until),
            ("command", command or None),
            ("cwd", view.cwd),
            ("worktree", None if view.worktree is None else _worktree(view.worktree)),
            ("priority", view.priority),
            ("labels", ", ".join(view.labels) if view.labels else None),
            ("after", _dependencies(view)),
            ("not before", view.not_before),
            ("submitted", _when(view.created_at)),
            ("started", _when(view.started_at)),
            ("ended", _when(view.ended_at)),
            ("progress", _progress(view)),
            ("will take", None if view.eta is None else _eta(view.eta)),
            ("took", None if view.runtime_seconds is None else human_duration(view.runtime_seconds)),
            ("timeout", _timeout(view)),
            ("output", ", ".join(sizes) or None),
            ("uses", None if view.sample is None else _use(view.sample)),
            (
                "silent for",
                None if view.silent_for_seconds is None else human_duration(view.silent_for_seconds),
            ),
            ("left running", _leftovers(view)),
            ("killed", "by the kernel, for memory" if view.killed_for_memory else None),
            ("runs", "; ".join(earlier) or None),
            ("note", view.note),
            *(
                (
                    alert.severity,
                    f"{alert.message}: `claudine-mcp answer {alert.alert_id} {'|'.join(alert.actions)}`",
                )
                for alert in view.open_alerts or ()
                if view.question is None or alert.alert_id != view.question.alert_id
            ),
            *claude_fields(view),
        ]
    )


def _progress(view: TaskView) -> str | None:
    progress = view.progress
    if progress is None:
        return None
    count = "" if progress.total is None else f"{progress.done:,g} of {progress.total:,g}, "
    origin = "" if progress.source is None else f" ({count}by {progress.source})"
    note = "" if progress.note is None else f"; {progress.note}"
    return f"{progress_words(progress)}{origin}{note}".strip("; ")


def _worktree(made: WorktreeView) -> str:
    where = f"{made.path} on branch {made.branch}: " if made.path else f"of {made.repository}: "
    return where + ", ".join(text for text in (made.state, made.changes, made.note) if text)


def _eta(eta: EtaView) -> str:
    if eta.p50_seconds is None or eta.p90_seconds is None:
        return f"unknown: {eta.unknown}"
    half, most = human_duration(eta.p50_seconds), human_duration(eta.p90_seconds)
    return f"another {half}; in 9 of 10 cases no more than {most} (by {eta.basis})"


def _when(text: str | None) -> str | None:
    return None if text is None else f"{text} ({ago(parse_time(text, 'time'))})"


def _timeout(view: TaskView) -> str | None:
    if view.timeout_seconds is None:
        return None
    return f"{human_duration(view.timeout_seconds)}, then {view.on_timeout or 'notify'}"


def _dependencies(view: TaskView) -> str | None:
    return ", ".join(f"{item['taskId']} ({item['on']})" for item in view.depends_on or ()) or None


def _use(sample: SampleView) -> str:
    memory = sample.rss_bytes if sample.pss_bytes is None else min(sample.pss_bytes, sample.rss_bytes)
    stopped = f", {sample.stopped} stopped" if sample.stopped else ""
    cpu = "" if sample.cpu_percent is None else f", {sample.cpu_percent:g} % of a CPU"
    processes = plural(sample.processes, "process", "processes")
    return f"{human_size(memory)} in {processes}{stopped}{cpu}, {human_duration(sample.age_seconds)} ago"


def _suspended(row: TaskRow) -> str | None:
    if row.stopped is None:
        return None
    why = f": {row.stopped['why']}" if "why" in row.stopped else ""
    return f"by the {row.stopped['by']}, {ago(parse_time(row.stopped['since'], 'since'))}{why}"


def _leftovers(view: TaskView) -> str | None:
    if not view.leftovers:
        return None
    return f"{plural(view.leftovers, 'process', 'processes')}; `claudine-mcp cancel {view.task_id}` ends them"


def machine_lines(machine: Machine) -> list[str]:
    """Say how the machine is: memory, load, disk, and who else uses it."""
    limit = f" (limit of {printable(machine.limited_by)})" if machine.limited_by else ""
    ours = (
        "" if machine.tasks_memory_bytes is None else f", tasks use {human_size(machine.tasks_memory_bytes)}"
    )
    memory = (
        f"{human_size(machine.memory_available_bytes)} of {human_size(machine.memory_total_bytes)} memory"
    )
    rest = f"load {machine.load1:g} on {machine.cpus:g} CPUs, {human_size(machine.disk_free_bytes)} disk free"
    lines = [f"machine     {memory} available{limit}{ours}, {rest}"]
    history = machine.history
    if history is not None and history.memory_available_bytes is not None and history.load is not None:
        window = human_duration(history.window_seconds)
        available, load = history.memory_available_bytes.sparkline, history.load.sparkline
        lines.append(f"            in the last {window}: memory available {available}, load {load}")
    other = machine.other_claude
    if other.processes:
        orphans = f", {other.orphans} orphaned" if other.orphans else ""
        lines.append(
            f"beside us   {plural(other.processes, 'process', 'processes')} of Claude Code, "
            f"{human_size(other.rss_bytes)}{orphans}"
        )
    return lines


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
