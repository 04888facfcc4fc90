"""An ended task run once more."""

from __future__ import annotations

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import CommandKind, Kind, Task
from claudine_mcp.front.front import Front

MODES = ("resume", "fresh")


async def retry(front: Front, wanted: str, mode: str | None = None) -> Task:
    """Queue a task that has ended once more; give it.

    Args:
        front: the client's side of the state directory.
        wanted: the task's id or the beginning of it.
        mode: of a Claude Code: `resume` goes on in its session, which None does as well; `fresh` begins a new one.

    Raises:
        TaskNotFound: there is no such task.
        InvalidInput: there is no such mode, or none for this task.
        NotNow: it has not ended.
    """
    if mode is not None and mode not in MODES:
        raise InvalidInput("mode", f"{mode!r} is none", f"Give {' or '.join(MODES)}.")
    task = await front.task(wanted)
    if mode == "resume" and task.kind is not Kind.CLAUDE:
        raise InvalidInput(
            "mode",
            f"task {task.id} is a {task.kind}, which has no session to go on in",
            "Give fresh, or none.",
        )
    await front.command(CommandKind.RETRY, task.id, {} if mode is None else {"mode": mode})
    return await front.task(task.id)
