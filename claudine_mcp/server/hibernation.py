"""The tool that ends a task's processes and keeps the task."""

from __future__ import annotations

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from claudine_mcp.front.views import View
from claudine_mcp.server.parameters import Reason, TaskId
from claudine_mcp.server.session import Ctx, Session, front_of, told_to_the_model


class Hibernated(View):
    """What a hibernation did."""

    task_id: str
    state: str
    freed_bytes: int | None = Field(default=None, description="of memory that its processes had")
    checkpoint_id: str | None = Field(default=None, description="made before")
    signals: list[str] | None = None
    took_seconds: float | None = None
    done: str = Field(description="what was done, and what ResumeTask will do")


async def HibernateTask(ctx: Ctx, taskId: TaskId, reason: Reason = None) -> Hibernated:  # noqa: N802
    """Free a task's memory and keep the task: its processes are ended gently, and ResumeTask goes on with it.

    A Claude Code goes on in its session. A command begins again, and must have been declared restartable.
    """
    from claudine_mcp.front.controls import hibernate, said_of_hibernating  # noqa: PLC0415 - start-up time

    task, result = await hibernate(await front_of(ctx), taskId, reason)
    return Hibernated(
        task_id=task.id,
        state=task.state,
        freed_bytes=result.get("freedBytes"),
        checkpoint_id=result.get("checkpointId"),
        signals=result["stopped"].get("signals"),
        took_seconds=result["stopped"].get("tookSeconds"),
        done=said_of_hibernating(task, result),
    )


def register(server: MCPServer[Session]) -> None:
    """Add this tool."""
    hints = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False)
    server.add_tool(told_to_the_model(HibernateTask), annotations=hints)
