"""The events of suspending, hibernating and resuming."""

from __future__ import annotations

from claudine_mcp.core.models import JSON, Event, Run, Severity, Task
from claudine_mcp.core.units import human_duration, human_size

SUSPENDED = "task:suspended"
RESUMED = "task:resumed"
HIBERNATED = "task:hibernated"

_CHOICES = (
    {"action": "resume", "label": "let it go on (ResumeTask)"},
    {"action": "cancel", "label": "end it (CancelTask)"},
    {"action": "snooze", "label": "say nothing of it for a while"},
)


def by(origin: JSON) -> str:
    """Give who is behind a command, as `Task.stopped` has it."""
    if origin.get("other"):
        return "other"
    return "policy" if origin.get("policy") else "user"


def who(origin: JSON) -> str:
    """Name who is behind a command."""
    return str(origin.get("by", "the user"))


def suspended(task: Task, run: Run, stopped: JSON, origin: JSON, processes: int) -> Event:
    """A task's processes are stopped; unless its user has just asked for that, somebody should decide what next."""
    is_expected = stopped["by"] == "user" and not origin.get("timeout")
    noun = "process keeps its" if processes == 1 else "processes keep their"
    why = f": {stopped['why']}" if stopped["why"] else ""
    return Event(
        SUSPENDED,
        Severity.NOTICE if is_expected else Severity.WARNING,
        f"{task.name} ({task.id}) was suspended by {who(origin)}{why}. Its {processes} {noun} memory",
        stopped["at"],
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, "by": stopped["by"], "why": stopped["why"], "processes": processes},
        suggestions=() if is_expected else _CHOICES,
    )


def resumed(task: Task, run: Run, origin: JSON, suspended_s: float | None, at: float) -> Event:
    """A task goes on; `suspended_s`: after so long, None if it was not us who had stopped it."""
    after = "" if suspended_s is None else f" after {human_duration(suspended_s)}"
    data: JSON = {"taskId": task.id, "by": by(origin)}
    if suspended_s is not None:
        data["suspendedSeconds"] = round(suspended_s, 3)
    return Event(
        RESUMED,
        Severity.NOTICE,
        f"{task.name} ({task.id}) was resumed by {who(origin)}{after}",
        at,
        task_id=task.id,
        run_id=run.id,
        data=data,
    )


def hibernated_by(task: Task) -> str:
    """Say by whom a task was hibernated, and why."""
    stopped = task.stopped or {}
    why: str | None = stopped.get("why")
    return f"hibernated by the {stopped.get('by', 'user')}" + (f": {why}" if why else "")


def hibernated(task: Task, run: Run, at: float) -> Event:
    """A task's processes are gone; unless its user has asked for that, somebody should know."""
    stopped = task.stopped or {}
    by: str = stopped.get("by", "user")
    freed: int | None = stopped.get("freedBytes")
    memory = "" if freed is None else f"; {human_size(freed)} of memory are free again"
    return Event(
        HIBERNATED,
        Severity.NOTICE if by == "user" else Severity.WARNING,
        f"{task.name} ({task.id}) was {hibernated_by(task)}{memory}. ResumeTask lets it go on",
        at,
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, "by": by, "why": stopped.get("why"), "freedBytes": freed},
        suggestions=() if by == "user" else _CHOICES,
    )
