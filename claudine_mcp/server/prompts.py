"""Prompts: what a user can say with one word."""

from __future__ import annotations

from typing import Annotated

from mcp.server import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR
from pydantic import Field

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.server.session import Session

DELEGATE = """\
Hand this over to a background task, and do not do it here:

{task}

Use DelegateTask if it needs judgement, RunCommand if it is a command. A delegated Claude Code knows nothing of this \
conversation, so write all of it into the prompt: what is wanted and why, where, how to tell that it is done, and what \
must not be touched. Give it `worktree: true` if it writes where something else does. Before you start it, ask me what \
you cannot know. Then tell me its name and id, and go on with what we were at; do not wait for it."""


def register(server: MCPServer[Session], session: Session) -> None:
    """Add the prompts."""

    @server.prompt(title="What needs me?")
    async def triage() -> str:  # pyright: ignore[reportUnusedFunction] - the server calls it
        """What of my background tasks needs me: open alerts, what runs, what waits and why."""
        from claudine_mcp.front.triage import triage as words  # noqa: PLC0415 - start-up time

        try:
            return await words(await session.front())
        except ClaudineError as error:
            raise MCPError(INTERNAL_ERROR, str(error)) from error

    @server.prompt(title="Do it in the background")
    def delegate(  # pyright: ignore[reportUnusedFunction]
        task: Annotated[str, Field(description="what is to be done")],
    ) -> str:
        """Hand a piece of work over to a background task."""
        return DELEGATE.format(task=task)
