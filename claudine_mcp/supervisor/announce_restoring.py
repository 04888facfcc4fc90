"""The events of restoring a checkpoint."""

from __future__ import annotations

from claudine_mcp.core.models import Checkpoint, Event, Severity, Task
from claudine_mcp.core.units import format_time


def queued_from(task: Task, found: Checkpoint) -> Event:
    """A task was made from a checkpoint."""
    return Event(
        "task:queued",
        Severity.INFO,
        f"{task.name} ({task.id}) was queued with priority {task.priority.name}, to go on from checkpoint {found.id} "
        f"of task {found.task_id}",
        task.created_at,
        task_id=task.id,
        data={
            "taskId": task.id,
            "priority": task.priority.name,
            "checkpointId": found.id,
            "fromTaskId": found.task_id,
        },
    )


def restored(
    task: Task, checkpoint_id: str, *, made_at: float, safety: Checkpoint, files: int, at: float
) -> Event:
    """The files of a task's work tree were put back; `safety` keeps what was there before."""
    noun = "file was" if files == 1 else "files were"
    return Event(
        "task:restored",
        Severity.NOTICE,
        f"{files} {noun} put back in {safety.repository} to what they were for {task.name} ({task.id}) at "
        f"{format_time(made_at)}; what was there before is checkpoint {safety.id}",
        at,
        task_id=task.id,
        data={
            "taskId": task.id,
            "checkpointId": checkpoint_id,
            "beforeCheckpointId": safety.id,
            "files": files,
        },
    )
