"""The events that a supervisor writes, and the words in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from claudine_mcp.core.evidence import Judgement
from claudine_mcp.core.models import Checkpoint, Event, Run, Severity, Task
from claudine_mcp.core.progress.model import Progress
from claudine_mcp.core.states import Outcome
from claudine_mcp.core.units import format_time, human_duration, human_size

SEVERITY_OF = {
    Outcome.SUCCEEDED: Severity.INFO,
    Outcome.CANCELLED: Severity.NOTICE,
    Outcome.SKIPPED: Severity.WARNING,
    Outcome.FAILED: Severity.WARNING,
    Outcome.INTERRUPTED: Severity.ERROR,
    Outcome.NOT_STARTED: Severity.ERROR,
}


def started(task: Task, run: Run, at: float) -> Event:
    """A run's process is there, and about to be let go."""
    return Event(
        "task:started",
        Severity.INFO,
        f"{task.name} ({task.id}) started" + (f", run {run.n}" if run.n > 1 else ""),
        at,
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, "run": run.n},
    )


def ended(
    task: Task, judgement: Judgement, at: float, *, exit_code: int | None = None, number: int | None = None
) -> Event:
    """A task has an outcome."""
    return Event(
        "task:ended",
        SEVERITY_OF[judgement.outcome],
        f"{task.name} ({task.id}) {judgement.outcome.replace('_', ' ')}: {judgement.reason}",
        at,
        task_id=task.id,
        run_id=f"{task.id}.{task.run}" if task.run else None,
        data={
            "taskId": task.id,
            "outcome": judgement.outcome,
            "reason": judgement.reason,
            "exitCode": exit_code,
            "signal": number,
        },
    )


def requeued(task: Task, why: str, at: float) -> Event:
    """A task went back to the queue without having begun, or was asked to run again."""
    return Event(
        "task:requeued",
        Severity.INFO,
        f"{task.name} ({task.id}) is queued again: {why}",
        at,
        task_id=task.id,
        data={"taskId": task.id, "reason": why},
    )


def goes_on_later(task: Task, why: str, until: float, at: float, *, most: int) -> Event:
    """The API has failed a run, and its task goes on by itself; for the last time after `most` of them."""
    when = f"it goes on by itself at {format_time(until)} ({task.resumes + 1} of {most})"
    return Event(
        "task:requeued",
        Severity.NOTICE,
        f"{task.name} ({task.id}) is queued again: {why}; {when}",
        at,
        task_id=task.id,
        run_id=f"{task.id}.{task.run}",
        data={"taskId": task.id, "reason": why, "until": format_time(until), "resumes": task.resumes + 1},
    )


def leftovers(task: Task, run: Run, count: int, at: float) -> Event:
    """A task has ended, and processes that it started live on."""
    noun = "process" if count == 1 else "processes"
    return Event(
        "task:leftovers",
        Severity.WARNING,
        f"{task.name} ({task.id}) has ended but left {count} {noun} running",
        at,
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, "processes": count},
        suggestions=({"action": "cancel", "label": "end what it left running (CancelTask)"},),
    )


def progress(task: Task, run: Run, told: Progress, at: float) -> Event:
    """A run has come further, or to another phase."""
    percent = None if told.percent is None else f"{told.percent:g} %{' of' if told.is_of_phase else ''}"
    return Event(
        "task:progress",
        Severity.INFO,
        f"{task.name} ({task.id}): " + " ".join(part for part in (percent, told.phase) if part),
        at,
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, "percent": told.percent, "phase": told.phase},
    )


def leftovers_gone(task: Task, run: Run, at: float) -> Event:
    """What a task had left running is gone, too."""
    return Event(
        "task:recovered",
        Severity.INFO,
        f"nothing of {task.name} ({task.id}) is left running",
        at,
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, "of": "task:leftovers"},
    )


def unsupervised(task: Task, run: Run, at: float) -> Event:
    """A run lost its keeper and goes on."""
    return Event(
        "supervisor:adopted",
        Severity.WARNING,
        f"the keeper of {task.name} ({task.id}) is gone; the task runs on and is watched from outside. "
        "Its output is complete; how it ends may be unknown",
        at,
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, "supervised": False},
    )


def timed_out(task: Task, run: Run, at: float) -> Event:
    """A run takes longer than its timeout, and is cancelled or suspended because its submitter wanted that."""
    wanted = task.spec["onTimeout"]
    done = "cancelled" if wanted == "cancel" else "suspended"
    limit = human_duration(task.spec["timeout"] / 1000)
    return Event(
        "task:overdue",
        Severity.NOTICE,
        f"{task.name} ({task.id}) runs longer than its timeout of {limit}; it is {done}",
        at,
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, "timeout": task.spec["timeout"], "onTimeout": wanted},
    )


def log_limit(task: Task, run: Run, stream: str, limit_bytes: int, at: float, *, released: bool) -> Event:
    """A stream has become longer than what is kept of it."""
    what = (
        "only the end of it is kept from here on"
        if released
        else ("it grows on, since this file system cannot release the beginning of a file")
    )
    return Event(
        "task:log-limit",
        Severity.NOTICE if released else Severity.WARNING,
        f"{task.name} ({task.id}) has printed more than {human_size(limit_bytes)} (limits.maxLogBytes) to {stream}; "
        + what,
        at,
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, "stream": stream, "limit": limit_bytes, "released": released},
    )


def supervisor_started(epoch: int, runs: int, at: float) -> Event:
    """A supervisor took the lease; `runs` were found and are followed from here on."""
    kind = "supervisor:adopted" if runs else "supervisor:started"
    found = f" and adopted {runs} {'run' if runs == 1 else 'runs'}" if runs else ""
    return Event(
        kind, Severity.INFO, f"supervisor {epoch} started{found}", at, data={"epoch": epoch, "runs": runs}
    )


def active(run_id: str, more: Mapping[str, int], at: float) -> Event:
    """A run has printed: how many bytes to each stream since that was told last."""
    task_id = run_id.partition(".")[0]
    stream, total = next(iter(more)) if len(more) == 1 else "both", sum(more.values())
    return Event(
        "task:active",
        Severity.DEBUG,
        f"task {task_id} has printed {human_size(total)}",
        at,
        task_id=task_id,
        run_id=run_id,
        data={"taskId": task_id, "stream": stream, "data": {"bytes": total}},
    )


def configured(task_id: str | None, values: Mapping[str, Any], at: float) -> Event:
    """What is watched for was changed, for one task or for all; a value of None was taken back."""
    whose = "all tasks" if task_id is None else f"task {task_id}"
    said = ", ".join(f"{key} {'reset' if value is None else value}" for key, value in sorted(values.items()))
    return Event(
        "monitoring:configured",
        Severity.NOTICE,
        f"monitoring of {whose} was configured: {said or 'nothing had been changed'}",
        at,
        task_id=task_id,
        data={"values": dict(values)},
    )


def forgotten(seq: int, kind: str, at: float) -> Event:
    """What an alert of the machine told of is not watched any more: the machine was restarted since."""
    return Event(
        "system:recovered",
        Severity.INFO,
        f"{kind} of before the machine's restart is over",
        at,
        data={"of": kind, "alertId": seq},
    )


def checkpoint(task: Task, made: Checkpoint) -> Event:
    """What a task had come to is kept."""
    kept = "" if made.commit_id is None else f", with its work tree at {made.commit_id[:12]}"
    return Event(
        "task:checkpoint",
        Severity.INFO if made.cause == "user" else Severity.DEBUG,
        f"{task.name} ({task.id}) has a checkpoint ({made.label or made.cause}){kept}",
        made.at,
        task_id=task.id,
        run_id=f"{task.id}.{made.run}",
        data={
            "taskId": task.id,
            "sessionId": made.session_id,
            "timestamp": format_time(made.at),
            "checkpointId": made.id,
            "cause": made.cause,
        },
    )
