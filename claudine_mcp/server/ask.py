"""The small server that a delegated Claude Code asks for permissions (`--permission-prompt-tool`).

Each question is stored and waits for a person: in the registry, so that it survives this process, the
supervisor and whoever was about to answer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import Field

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.front.asking import ask_person, asker
from claudine_mcp.front.front import Front, open_front
from claudine_mcp.front.supervision import keep_supervised

PROGRESS_EVERY_S = 10.0
"""Claude Code gives up a call on stdio after 30 min without progress."""


def main() -> int:
    """Serve the questions of one run on stdin and stdout."""
    task_id = os.environ.get("CLAUDINE_TASK")
    if not task_id:
        sys.stderr.write("claudine-mcp ask is started by a delegated Claude Code, with CLAUDINE_TASK set\n")
        return 2
    server(task_id).run()
    return 0


def server(task_id: str) -> MCPServer[Front]:
    """Build the server for a task's questions."""

    @asynccontextmanager
    async def lifespan(_: MCPServer[Front]) -> AsyncGenerator[Front]:
        async with (
            open_front(os.environ, str(Path.cwd()), asker(task_id)) as front,
            anyio.create_task_group() as group,
        ):
            group.start_soon(keep_supervised, front.db, front.state_dir, os.environ)
            yield front
            group.cancel_scope.cancel()

    asking = MCPServer[Front]("claudine_permission", lifespan=lifespan, log_level="WARNING")

    @asking.tool(structured_output=False)  # its client takes one text, and nothing beside it
    async def ask(  # pyright: ignore[reportUnusedFunction] - the server calls it
        ctx: Context[Front, Any],
        tool_name: Annotated[str, Field(description="the tool that wants to run")],
        input: Annotated[dict[str, Any], Field(description="its input")],  # noqa: A002
        tool_use_id: str | None = None,
    ) -> str:
        """Ask a person whether a tool may run."""
        front: Front = ctx.request_context.lifespan_context
        args = {"tool": tool_name, "input": input, "toolUseId": tool_use_id}
        result: dict[str, Any] = {}
        async with anyio.create_task_group() as group:
            group.start_soon(_report, ctx)
            result = await _answer(front, task_id, args)
            group.cancel_scope.cancel()
        return json.dumps(result)

    return asking


async def _answer(front: Front, task_id: str, args: dict[str, Any]) -> dict[str, Any]:
    try:
        result = await ask_person(front, task_id, args)
    except ClaudineError as error:
        return {"behavior": "deny", "message": f"nobody could be asked: {error}"}
    return {**result, "updatedInput": args["input"]} if result["behavior"] == "allow" else result


async def _report(ctx: Context[Front, Any]) -> None:
    seconds = 0.0
    while True:
        await anyio.sleep(PROGRESS_EVERY_S)
        seconds += PROGRESS_EVERY_S
        await ctx.report_progress(seconds, None, "waiting for a person to answer")
