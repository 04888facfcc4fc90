"""Tools that say when queued tasks may start."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from claudine_mcp.front.pausing import QueuePause
from claudine_mcp.front.reserving import Capacity
from claudine_mcp.server.session import Ctx, Session, front_of, told_to_the_model


async def PauseQueue(  # noqa: N802 - the interface's spelling
    ctx: Ctx,
    paused: Annotated[bool, Field(description="false: let the queue go on")],
    reason: Annotated[str | None, Field(description="why; shown to whoever wonders")] = None,
) -> QueuePause:
    """Start no queued task until this is called with false, whatever its priority. What runs goes on.

    It stays so for every session, and across restarts.
    """
    from claudine_mcp.front.pausing import pause_queue  # noqa: PLC0415 - start-up time

    return await pause_queue(await front_of(ctx), paused, reason)


async def ReserveCapacity(  # noqa: N802 - the interface's spelling
    ctx: Ctx,
    memory: Annotated[
        int | str | None,
        Field(description='bytes, or "2GB"; default with taskId: what that task is expected to need'),
    ] = None,
    slots: Annotated[int | None, Field(description="how many tasks; default 1")] = None,
    taskId: Annotated[
        str | None, Field(description="a queued task that it is kept for, until it starts")
    ] = None,
    duration: Annotated[
        int | str | None,
        Field(description='at most so long: milliseconds, or "30m"; default 1 h, at most 7 d'),
    ] = None,
    release: Annotated[
        str | None, Field(description="id of a reservation that is to be released; alone")
    ] = None,
) -> Capacity:
    """Keep memory and slots free from other queued tasks, for a task or for a time, or release them.

    The answer names the tasks that would start now without it. What runs goes on. SystemStatus lists what is kept.
    """
    from claudine_mcp.front.reserving import CapacityRequest, reserve_capacity  # noqa: PLC0415 - start-up time

    request = CapacityRequest(memory, slots, taskId, duration, release)
    return await reserve_capacity(await front_of(ctx), request)


def register(server: MCPServer[Session]) -> None:
    """Add these tools."""
    hints = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
    server.add_tool(told_to_the_model(PauseQueue), annotations=hints)
    reserves = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False)
    server.add_tool(told_to_the_model(ReserveCapacity), annotations=reserves)
