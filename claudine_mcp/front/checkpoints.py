"""Checkpoints: making one, and what there are."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.ids import new_id
from claudine_mcp.core.models import Checkpoint, CommandKind, Task
from claudine_mcp.core.units import format_time, whole_text
from claudine_mcp.front.front import Front
from claudine_mcp.front.view import View
from claudine_mcp.registry.checkpoints import checkpoints_of, get_checkpoint
from claudine_mcp.registry.tasks import get_task

MAX_LABEL = 200


class CheckpointView(View):
    """What a task had come to."""

    checkpoint_id: str
    task_id: str
    at: str
    cause: str
    label: str | None = None
    state: str
    run: int
    session_id: str | None = None
    repository: str | None = Field(default=None, description="top folder of the work tree that was kept")
    ref: str | None = Field(default=None, description="keeps the commit of the work tree")
    commit: str | None = None
    no_work_tree: str | None = Field(default=None, description="why the work tree was not kept")
    head: str | None = Field(default=None, description="the commit that was checked out")
    branch: str | None = None
    staged: bool | None = None
    unmerged: list[str] | None = None
    not_stored: list[dict[str, Any]] | None = Field(
        default=None, description="files that are not in it as they were, and why"
    )
    more_not_stored: int | None = None
    transcript: dict[str, Any] | None = None
    log_bytes: dict[str, int] | None = None


def checkpoint_view(made: Checkpoint) -> CheckpointView:
    """Give a checkpoint as it is shown."""
    details = made.details
    return CheckpointView(
        checkpoint_id=made.id,
        task_id=made.task_id,
        at=format_time(made.at),
        cause=made.cause,
        label=made.label,
        state=made.state,
        run=made.run,
        session_id=made.session_id,
        repository=made.repository,
        ref=made.ref,
        commit=made.commit_id,
        no_work_tree=details.get("noWorkTree"),
        head=details.get("head"),
        branch=details.get("branch"),
        staged=details.get("staged"),
        unmerged=details.get("unmerged"),
        not_stored=details.get("notStored"),
        more_not_stored=details.get("moreNotStored"),
        transcript=details.get("transcript"),
        log_bytes=details.get("logs"),
    )


async def make_checkpoint(front: Front, wanted: str, label: str | None = None) -> CheckpointView:
    """Have a task's checkpoint made; give it.

    Raises:
        TaskNotFound: there is no such task.
        InvalidInput: the label is not one line.
        NotNow: nothing of it has begun, or its work tree cannot be kept now.
    """
    if label is not None and (
        not whole_text(label, "label").isprintable() or not 1 <= len(label) <= MAX_LABEL
    ):
        raise InvalidInput("label", "it must be one line", f"Give 1 to {MAX_LABEL} characters.")
    task = await front.task(wanted)
    args = {"checkpointId": new_id(), "label": label}
    result = await front.command(CommandKind.CHECKPOINT, task.id, args)
    async with front.db.read() as tx:
        return checkpoint_view(await get_checkpoint(tx, result["checkpointId"]))


async def list_checkpoints(front: Front, wanted: str) -> tuple[Task, list[CheckpointView]]:
    """Give a task and its checkpoints, newest first.

    Raises:
        TaskNotFound: there is no such task.
    """
    async with front.db.read() as tx:
        task = await get_task(tx, wanted)
        found = await checkpoints_of(tx, task.id)
    return task, [checkpoint_view(made) for made in reversed(found)]
