"""Tools for checkpoints."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from claudine_mcp.front.restoring import RestoredView, restore
from claudine_mcp.front.view import View
from claudine_mcp.server.parameters import TaskId
from claudine_mcp.server.session import Ctx, Session, front_of, told_to_the_model


class Made(View):
    """A checkpoint."""

    checkpoint_id: str
    task_id: str
    at: str
    session_id: str | None = None
    ref: str | None = None
    commit: str | None = None
    details: dict[str, Any] = Field(description="what else is known of it: what was not stored, and why")


class Listed(View):
    """The checkpoints of a task."""

    task_id: str
    checkpoints: list[dict[str, Any]] = Field(description="newest first, as CheckpointTask gives them")


async def CheckpointTask(  # noqa: N802 - the interface's spelling
    ctx: Ctx,
    taskId: TaskId,
    label: Annotated[str | None, Field(description="a word to know it by")] = None,
) -> Made:
    """Keep what a task has come to: its session, its logs, and its whole git work tree as a commit under a ref.

    The user's index, branch and files stay as they are. Ignored and very large files are not in it.
    """
    from claudine_mcp.front.checkpoints import make_checkpoint  # noqa: PLC0415 - start-up time
    from claudine_mcp.front.views import shown  # noqa: PLC0415

    made = dict(shown(await make_checkpoint(await front_of(ctx), taskId, label)))
    own = {field.alias or name for name, field in Made.model_fields.items()}
    details = {name: value for name, value in made.items() if name not in own}
    return Made.model_validate({**made, "details": details})


async def ListCheckpoints(ctx: Ctx, taskId: TaskId) -> Listed:  # noqa: N802
    """List the checkpoints of a task, newest first."""
    from claudine_mcp.front.checkpoints import list_checkpoints  # noqa: PLC0415 - start-up time
    from claudine_mcp.front.views import shown  # noqa: PLC0415

    task, found = await list_checkpoints(await front_of(ctx), taskId)
    return Listed(task_id=task.id, checkpoints=[dict(shown(made)) for made in found])


async def RestoreCheckpoint(  # noqa: N802
    ctx: Ctx,
    checkpointId: Annotated[str, Field(description="as ListCheckpoints gives it")],
    into: Annotated[
        str, Field(description='"new-task", or "same-task": put the files of its work tree back')
    ] = "new-task",
    confirm: Annotated[
        bool, Field(description="same-task: even if work is lost that no commit has; ask the user first")
    ] = False,
    prompt: Annotated[
        str | None, Field(description="what the new Claude Code is told; default: to go on")
    ] = None,
) -> RestoredView:
    """Go on from a checkpoint: a new task with a copy of the Claude session, in a new git worktree with its files.

    Or put the files of the same task back, which must have ended or be hibernated. Index, branch and HEAD stay.
    """
    return await restore(await front_of(ctx), checkpointId, into=into, confirm=confirm, prompt=prompt)


def register(server: MCPServer[Session]) -> None:
    """Add these tools."""
    adds = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
    reads = ToolAnnotations(read_only_hint=True)
    server.add_tool(told_to_the_model(CheckpointTask), annotations=adds)
    server.add_tool(told_to_the_model(ListCheckpoints), annotations=reads)
    destroys = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True)
    server.add_tool(told_to_the_model(RestoreCheckpoint), annotations=destroys)
