"""`suspend`, `hibernate` and `resume`: stopping a task, and letting it go on."""

from __future__ import annotations

from typing import Annotated

import typer

from claudine_mcp.cli.client import with_front
from claudine_mcp.cli.console import say, say_json
from claudine_mcp.cli.options import AsJson, Reason, TaskId
from claudine_mcp.cli.words import DONE, told
from claudine_mcp.core.models import JSON, Task
from claudine_mcp.front import controls
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import row_of, shown


def suspend(task_id: TaskId, reason: Reason = None, as_json: AsJson = False) -> int:
    """Stop a running task where it is, with all its processes.

    `resume` lets it go on. It keeps its memory.
    """

    async def stop(front: Front) -> int:
        task, result = await controls.suspend(front, task_id, reason)
        return _say(task, result, controls.said_of_suspending(task, result), as_json=as_json)

    return with_front(stop)


def hibernate(task_id: TaskId, reason: Reason = None, as_json: AsJson = False) -> int:
    """End a task's processes, which frees their memory, and keep the task.

    `resume` goes on with it: with a Claude Code in its session, with a restartable command from its beginning.
    """

    async def rest(front: Front) -> int:
        task, result = await controls.hibernate(front, task_id, reason)
        return _say(task, result, controls.said_of_hibernating(task, result), as_json=as_json)

    return with_front(rest)


def resume(
    task_id: TaskId,
    prompt: Annotated[
        str | None, typer.Option(help="What a hibernated Claude Code is told; default: to go on.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Let a suspended or hibernated task go on, or one whose processes someone else has stopped."""

    async def go_on(front: Front) -> int:
        task, result = await controls.resume(front, task_id, prompt)
        return _say(task, result, controls.said_of_resuming(result), as_json=as_json)

    return with_front(go_on)


def _say(task: Task, result: JSON, done: str, *, as_json: bool) -> int:
    if as_json:
        say_json({**shown(row_of(task)), **result})
    else:
        say(told(f"{task.id} {task.state}: {done}"))
    return DONE
