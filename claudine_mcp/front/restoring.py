"""Restoring a checkpoint, as server and command line do it."""

from __future__ import annotations

import uuid
from typing import Final

from pydantic import Field

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.ids import new_id
from claudine_mcp.core.models import JSON, CommandKind, Kind, Task
from claudine_mcp.core.states import State
from claudine_mcp.front.delegate import check_depth, check_text
from claudine_mcp.front.front import Front
from claudine_mcp.front.view import View
from claudine_mcp.registry.checkpoints import get_checkpoint
from claudine_mcp.registry.tasks import get_task

NEW_TASK, SAME_TASK = "new-task", "same-task"
HEAD_STAYS: Final = "Index, branch and HEAD of the repository stay as they are."


class RestoredView(View):
    """What restoring a checkpoint did, or would do."""

    checkpoint_id: str
    task_id: str = Field(description="the new task, or the one whose files were put back")
    into: str
    changed: bool = Field(description="false: nothing was done; `done` says why")
    files: int | None = Field(default=None, description="that were, or would be, put back")
    would_lose: list[str] | None = Field(
        default=None,
        description="changed files that no commit has; confirm: true puts them back all the same",
    )
    more_would_lose: int | None = Field(default=None, description="how many more there are")
    before_checkpoint_id: str | None = Field(default=None, description="keeps what was there before")
    done: str = Field(description="what was done, and what to do next")


async def restore(
    front: Front, wanted: str, *, into: str = NEW_TASK, confirm: bool = False, prompt: str | None = None
) -> RestoredView:
    """Have a new task go on from a checkpoint, or put the files of its task back.

    Args:
        front: the client's side of the state directory.
        wanted: the checkpoint's id.
        into: "new-task" or "same-task".
        confirm: put files back though that loses work which no commit has.
        prompt: what the new Claude Code is told; None: to go on.

    Raises:
        CheckpointNotFound: there is no such checkpoint.
        InvalidInput: `into` is neither, or there is a prompt that nobody would read.
        NotNow: it cannot be done, and why; nothing was changed, unless that says so.
    """
    if into not in {NEW_TASK, SAME_TASK}:
        raise InvalidInput("into", f"{into!r} is unknown", f'Give "{NEW_TASK}" or "{SAME_TASK}".')
    async with front.db.read() as tx:
        found = await get_checkpoint(tx, wanted)
        task = await get_task(tx, found.task_id)
    args: JSON = {"checkpointId": found.id, "into": into, "confirm": confirm}
    if prompt is not None:
        check_text("prompt", prompt)
        if into == SAME_TASK or task.kind is not Kind.CLAUDE:
            raise InvalidInput("prompt", "only a new Claude Code is told something", "Give none.")
        args["prompt"] = prompt
    if into == NEW_TASK:
        args |= {"newTaskId": new_id(), "newSessionId": str(uuid.uuid4())}
        if task.kind is Kind.CLAUDE:
            args["depth"] = check_depth(front.env, (await front.settings()).settings) + 1
    result = await front.command(CommandKind.RESTORE, task.id, args)
    return RestoredView(
        checkpoint_id=found.id,
        task_id=result.get("taskId", task.id),
        into=into,
        changed=result["changed"],
        files=result.get("files"),
        would_lose=result.get("wouldLose"),
        more_would_lose=result.get("moreWouldLose") or None,
        before_checkpoint_id=result.get("beforeCheckpointId"),
        done=_queued(task, result) if into == NEW_TASK else _put_back(task, result),
    )


def _queued(task: Task, result: JSON) -> str:
    where = (
        "in a git worktree of its own, which begins with the files of the checkpoint (uncommitted ones stay so; what "
        "git ignores is not in it)"
        if result["worktree"]
        else f"in {task.cwd} as it is now: the checkpoint has no work tree"
    )
    how = (
        "a copy of the session, with all that it has said until the copy is made"
        if task.kind is Kind.CLAUDE
        else "a new run from its beginning"
    )
    return f"task {result['taskId']} is queued: {how}, {where}"


def _put_back(task: Task, result: JSON) -> str:
    files: int = result["files"]
    noun = "file" if files == 1 else "files"
    if "wouldLose" in result:
        count = len(result["wouldLose"]) + result["moreWouldLose"]
        return (
            f"nothing was changed: of {files} {noun} that would be put back, {count} would lose what no commit has. "
            "With confirm: true it is done; a checkpoint keeps what is there first, but for what git ignores"
        )
    if not result["changed"]:
        return f"nothing was to be done: the files are as they were at the checkpoint. {HEAD_STAYS}"
    moved = " Another commit is checked out than then, and stays so." if result["headMoved"] else ""
    then = "ResumeTask" if task.state is State.HIBERNATED else "RetryTask"
    means = "lets it go on in its session" if task.kind is Kind.CLAUDE else "runs it again"
    return (
        f"{files} {noun} put back; what was there before is checkpoint {result['beforeCheckpointId']}. {HEAD_STAYS}"
        f"{moved} {then} {means}"
    )
