"""Tools that stop a task where it stands, and let it go on."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from claudine_mcp.front.views import View
from claudine_mcp.server.parameters import Reason, TaskId
from claudine_mcp.server.session import Ctx, Session, front_of, told_to_the_model


class Controlled(View):
    """What a control did."""

    task_id: str
    state: str
    processes: int | None = Field(default=None, description="that were stopped, or go on")
    suspended_seconds: float | None = Field(default=None, description="for how long it had been suspended")
    took_seconds: float | None = None
    done: str = Field(description="what was done, and what that means")


async def SuspendTask(ctx: Ctx, taskId: TaskId, reason: Reason = None) -> Controlled:  # noqa: N802
    """Stop a running task where it is: its whole process tree, verified. ResumeTask lets it go on, nothing is lost.

    It frees no memory. The time does not count for its timeout, stalls or estimates.
    """
    from claudine_mcp.front.controls import said_of_suspending, suspend  # noqa: PLC0415 - start-up time

    task, result = await suspend(await front_of(ctx), taskId, reason)
    return Controlled(
        task_id=task.id,
        state=task.state,
        processes=result.get("processes", 0),
        took_seconds=result.get("tookSeconds"),
        done=said_of_suspending(task, result),
    )


async def ResumeTask(  # noqa: N802
    ctx: Ctx,
    taskId: TaskId,
    prompt: Annotated[
        str | None, Field(description="what a hibernated Claude Code is told; default: to go on")
    ] = None,
) -> Controlled:
    """Let a suspended or hibernated task go on; also one whose processes someone else has stopped."""
    from claudine_mcp.front.controls import resume, said_of_resuming  # noqa: PLC0415 - start-up time

    task, result = await resume(await front_of(ctx), taskId, prompt)
    return Controlled(
        task_id=task.id,
        state=task.state,
        processes=result.get("processes"),
        suspended_seconds=result.get("suspendedSeconds"),
        took_seconds=result.get("tookSeconds"),
        done=said_of_resuming(result),
    )


def register(server: MCPServer[Session]) -> None:
    """Add these tools."""
    hints = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False)
    for tool in (SuspendTask, ResumeTask):
        server.add_tool(told_to_the_model(tool), annotations=hints)
