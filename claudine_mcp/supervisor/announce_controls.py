"""The events of suspending, hibernating and resuming."""

from __future__ import annotations

from claudine_mcp.core.models import JSON, Command, Event, Run, Severity, Task
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


def who_and_why(command: Command) -> JSON:
    """Give who stops a task, why, and for which other task, if it is for one, as `Task.stopped` has it."""
    known: JSON = {"by": by(command.origin), "why": command.args.get("reason")}
    return {**known, "for": command.args["for"]} if "for" in command.args else known


def suspended(task: Task, run: Run, stopped: JSON, origin: JSON, processes: int) -> Event:
    """A task's processes are stopped.

    Somebody should decide what next, unless its user has just asked for that, or it goes on by itself: what is more
    important was said before.
    """
    is_expected = (stopped["by"] == "user" and not origin.get("timeout")) or "for" in stopped
    noun = "process keeps its" if processes == 1 else "processes keep their"
    why = f": {stopped['why']}" if stopped["why"] else ""
    return Event(
        SUSPENDED,
        Severity.NOTICE if is_expected else Severity.WARNING,
        f"{task.name} ({task.id}) was suspended by {who(origin)}{why}. Its {processes} {noun} memory",
        stopped["at"],
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, **_known(stopped), "processes": processes},
        suggestions=() if is_expected else _CHOICES,
    )


def _known(stopped: JSON) -> JSON:
    known: JSON = {"by": stopped.get("by", "user"), "why": stopped.get("why")}
    return {**known, "for": stopped["for"]} if "for" in stopped else known


def resumed(
    task: Task, run: Run, origin: JSON, suspended_s: float | None, at: float, *, why: str | None = None
) -> Event:
    """A task goes on; `suspended_s`: after so long, None if it was not us who had stopped it."""
    after = "" if suspended_s is None else f" after {human_duration(suspended_s)}"
    because = f": {why}" if why else ""
    data: JSON = {"taskId": task.id, "by": by(origin), **({"why": why} if why else {})}
    if suspended_s is not None:
        data["suspendedSeconds"] = round(suspended_s, 3)
    return Event(
        RESUMED,
        Severity.NOTICE,
        f"{task.name} ({task.id}) was resumed by {who(origin)}{after}{because}",
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
    is_expected = by == "user" or "for" in stopped
    freed: int | None = stopped.get("freedBytes")
    memory = "" if freed is None else f"; {human_size(freed)} of memory are free again"
    return Event(
        HIBERNATED,
        Severity.NOTICE if is_expected else Severity.WARNING,
        f"{task.name} ({task.id}) was {hibernated_by(task)}{memory}. "
        + ("It goes on by itself" if "for" in stopped else "ResumeTask lets it go on"),
        at,
        task_id=task.id,
        run_id=run.id,
        data={"taskId": task.id, **_known(stopped), "freedBytes": freed},
        suggestions=() if is_expected else _CHOICES,
    )
