"""Tools that say when queued tasks may start."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from claudine_mcp.front.pausing import QueuePause
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


def register(server: MCPServer[Session]) -> None:
    """Add these tools."""
    hints = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
    server.add_tool(told_to_the_model(PauseQueue), annotations=hints)
